/**
 * Lines instead of frames on the port that all services of a node share: one request of a peer about the node, one answer,
 * and the stream is over. Which questions there are is up to who makes this; how often a peer may ask is not.
 */
import { Clock, Effect } from "effect"
import * as MonotonicTime from "../../../core/actor/MonotonicTime.ts"
import type { JsonObject } from "../../../core/data/Json.ts"
import { TokenBucket } from "../../../core/data/TokenBucket.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import { LineSplitter } from "../../../protocol/relay/LineSplitter.ts"
import * as ServiceListing from "../../../protocol/relay/ServiceListing.ts"
import type { Address } from "../../../protocol/wire/Address.ts"

/** Answers one stream; `head` are bytes already read from it. Never throws away more than that stream. */
export type Answer = <E>(
  incoming: { readonly duplex: Duplex<E>; readonly remote: Address },
  head: Uint8Array
) => Effect.Effect<void, unknown>

/** What answers each method; the address is the peer's, proven by its tunnel. */
export type Handlers = Readonly<Record<string, (remote: Address, params: JsonObject) => Effect.Effect<JsonObject>>>

/** The answers of one keeper. */
export const make = Effect.fnUntraced(function* (handlers: Handlers): Effect.fn.Return<Answer> {
  const clock = yield* Clock.Clock
  const buckets = new Map<number, TokenBucket>()

  const isTooOften = (node: number): boolean => {
    const nowMs = MonotonicTime.nowMsUnsafe(clock)
    // A full bucket is the same as none, so the map holds only those that asked lately.
    for (const [key, bucket] of buckets) if (bucket.isFull(nowMs)) buckets.delete(key)
    const bucket = buckets.get(node) ?? new TokenBucket(RATE, nowMs)
    buckets.set(node, bucket)
    return !bucket.take(nowMs)
  }

  const replyTo = ({ id, method, params }: ServiceListing.PlainRequest, remote: Address) => {
    if (isTooOften(remote.node)) {
      return Effect.succeed(ServiceListing.refusal(id, ServiceListing.OVERLOADED, "Asked too often."))
    }
    const handler = Object.hasOwn(handlers, method) ? handlers[method] : undefined
    return handler === undefined
      ? Effect.succeed(ServiceListing.refusal(id, ServiceListing.METHOD_NOT_FOUND, "There is no such method here."))
      : Effect.map(handler(remote, params), (value) => ServiceListing.reply(id, value))
  }

  return ({ duplex, remote }, head) =>
    Effect.gen(function* () {
      const lines = new LineSplitter(ServiceListing.REQUEST_BYTES_MAX)
      let [line] = lines.push(head)
      while (line === undefined) [line] = lines.push(yield* duplex.read)
      const request = line._tag === "Whole" ? ServiceListing.parseRequest(line.bytes) : undefined
      if (request !== undefined) yield* duplex.write(yield* replyTo(request, remote))
    }).pipe(Effect.timeout(REQUEST_TIMEOUT))
})

/** Questions of one peer. */
const RATE = { capacity: 16, perSecond: 1 }
const REQUEST_TIMEOUT = "10 seconds"
