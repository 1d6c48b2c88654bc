/**
 * Modern requests of HTTP clients (mcp §2.4, §6.4): they belong to no session, so all of them share one relay session and
 * one server. Each request travels under an id of our own, and so do its progress token and its subscription; what comes
 * back carries the client's again. What belongs to no request is dropped, since it may be for another client.
 *
 * Owns the requests that wait, and the relay session, which starts with the first and ends with the last of a server that
 * turns out to be a legacy one. A client that goes away cancels its request (mcp §1.1), and so does one that reads nothing, so
 * that the others do not wait for it.
 */
import { type Cause, Effect, Exit, Queue, Result, Scope, Semaphore } from "effect"
import * as Bytes from "../../../core/data/Bytes.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import * as BridgeError from "../../../protocol/relay/BridgeError.ts"
import * as BridgeReplies from "../../../protocol/relay/BridgeReplies.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import * as JsonSplice from "../../../protocol/relay/JsonSplice.ts"
import { LineSplitter } from "../../../protocol/relay/LineSplitter.ts"
import { MESSAGE_BYTES_MAX } from "../../../protocol/relay/RelayControl.ts"
import type { Target } from "../Target.ts"

/** Notifications of a request, then its answer, then the end. */
export type Messages = Queue.Dequeue<Uint8Array, Cause.Done>

/** All modern requests of one endpoint. */
export interface EdgeExchange {
  /** Sends a request; undefined when too many wait. The end of the scope cancels it if it still waits. */
  readonly ask: (
    message: Uint8Array,
    request: Extract<JsonRpcPeek.Envelope, { _tag: "Request" }>
  ) => Effect.Effect<Messages | undefined, never, Scope.Scope>
}

/** No relay session yet; `connect` opens one whose messages are lines. */
export const make = Effect.fnUntraced(function* (
  connect: Effect.Effect<Duplex, never, Scope.Scope>,
  target: Target
): Effect.fn.Return<EdgeExchange, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const waiting = new Map<string, Waiting>()
  const opening = yield* Semaphore.make(1)
  let link: Link | undefined
  let count = 0

  const receive = Effect.fnUntraced(function* (from: Link, message: Uint8Array) {
    const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message))
    if (envelope?._tag === "Response") {
      const call = waiting.get(envelope.id)
      if (call === undefined) return
      waiting.delete(envelope.id)
      const answered = JsonSplice.replace(JsonSplice.replace(message, ["id"], call.id), RESULT_SUBSCRIPTION, call.id)
      yield* finish(call, answered)
      if (call.method === "server/discover" && envelope.isError) from.isLegacy = true
      return
    }
    if (envelope?._tag === "Request") return yield* from.write(BridgeReplies.noClient(envelope.id, "modern"))
    if (envelope?._tag !== "Notification") return
    const subscription = JsonRpcPeek.member(message, SUBSCRIPTION)
    const number = envelope.progressToken ?? subscription ?? ""
    const call = waiting.get(number)
    if (call === undefined) return
    const named = JsonSplice.replace(message, SUBSCRIPTION, call.id)
    const token = call.token === undefined ? named : JsonSplice.replace(named, ["params", "progressToken"], call.token)
    if (yield* isTaken(call, token)) return
    waiting.delete(number)
    yield* from.write(BridgeReplies.cancelled(number))
    yield* abandon(call)
  })

  /** The last message of a request. */
  const finish = Effect.fnUntraced(function* (call: Waiting, message: Uint8Array) {
    if (yield* isTaken(call, message)) yield* Queue.end(call.messages)
    else yield* abandon(call)
  })

  /** False if the client leaves no room for it for too long. */
  const isTaken = ({ messages }: Waiting, message: Uint8Array): Effect.Effect<boolean> =>
    Queue.offerUnsafe(messages, message)
      ? Effect.succeed(true)
      : Effect.map(Effect.timeoutOption(Queue.offer(messages, message), SLOW_TIMEOUT), ({ _tag }) => _tag === "Some")

  /** The client reads, if it ever does, why there is no answer, in place of what it has left lying. */
  const abandon = Effect.fnUntraced(function* ({ id, messages }: Waiting) {
    yield* Queue.clear(messages)
    yield* Queue.offer(messages, BridgeError.encode({ ...TOO_SLOW, ...target }, id))
    yield* Queue.end(messages)
  })

  const open = Effect.gen(function* () {
    const own = yield* Scope.fork(scope, "sequential")
    const server = yield* Scope.provide(connect, own).pipe(
      Effect.onExit((exit) => (Exit.isFailure(exit) ? Scope.close(own, exit) : Effect.void))
    )
    const opened: Link = {
      isLegacy: false,
      write: (message) => Effect.ignore(server.write(Bytes.concat(message, NEWLINE))),
      close: Effect.asVoid(Effect.forkIn(Scope.close(own, Exit.void), scope))
    }
    const lines = new LineSplitter(MESSAGE_BYTES_MAX)
    yield* Effect.gen(function* () {
      while (true) {
        for (const line of lines.push(yield* server.read)) {
          if (line._tag === "Whole") yield* receive(opened, line.bytes)
        }
      }
    }).pipe(Effect.ignore, Effect.andThen(Effect.suspend(() => lost(opened))), Effect.forkIn(own))
    return opened
  })

  /** The relay session is over: whoever waits is told, and nobody waits for a client that reads slowly. */
  const lost = Effect.fnUntraced(function* (gone: Link) {
    if (link === gone) link = undefined
    const left = [...waiting].filter(([, call]) => call.link === gone)
    for (const [number] of left) waiting.delete(number)
    yield* Effect.forEach(
      left,
      ([, call]) => finish(call, BridgeError.encode({ ...BridgeError.SESSION_ENDED, ...target }, call.id)),
      { concurrency: "unbounded", discard: true }
    )
    yield* gone.close
  })

  /** The call is carried by the session that there is, or by one that it opens; others that come wait for that. */
  const carried = (call: Waiting) =>
    opening.withPermit(
      Effect.gen(function* () {
        const current = link ?? (yield* open)
        link = current
        call.link = current
        return current
      })
    )

  const leave = (number: string, { link: from }: Waiting) =>
    Effect.gen(function* () {
      const didWait = waiting.delete(number)
      if (from === undefined) return
      if (didWait) yield* from.write(BridgeReplies.cancelled(number))
      if (!from.isLegacy || waiting.size > 0) return
      if (link === from) link = undefined
      yield* from.close
    })

  return {
    ask: Effect.fnUntraced(function* (message, { id, method, progressToken }) {
      if (waiting.size >= WAITING_MAX) return undefined
      const number = String(++count)
      const messages = yield* Queue.bounded<Uint8Array, Cause.Done>(MESSAGES_MAX)
      const call: Waiting = { id, method, token: progressToken, messages, link: undefined }
      waiting.set(number, call)
      // Before the first pause: a client may leave while the session is being opened.
      yield* Effect.addFinalizer(() => leave(number, call))
      const current = yield* carried(call)
      const numbered = JsonSplice.replace(message, ["id"], number)
      yield* current.write(JsonSplice.replace(numbered, ["params", "_meta", "progressToken"], number))
      return messages
    })
  }
})

interface Waiting {
  /** Raw text, as the client sent it. */
  readonly id: string
  readonly method: string
  readonly token: string | undefined
  readonly messages: Queue.Queue<Uint8Array, Cause.Done>
  /** Undefined while there is no session yet. */
  link: Link | undefined
}

interface Link {
  readonly write: (message: Uint8Array) => Effect.Effect<void>
  readonly close: Effect.Effect<void>
  isLegacy: boolean
}

const SUBSCRIPTION = ["params", "_meta", "io.modelcontextprotocol/subscriptionId"]
const RESULT_SUBSCRIPTION = ["result", "_meta", "io.modelcontextprotocol/subscriptionId"]
const NEWLINE = Uint8Array.of(0x0a)
/** Requests of all clients together; the relay session allows 256. */
const WAITING_MAX = 256
/** Messages of one request that wait for its client; then the server is not read, for a while. */
const MESSAGES_MAX = 256
const SLOW_TIMEOUT = "10 seconds"
const TOO_SLOW = {
  kind: "overloaded",
  message: "This client did not read what the request had to tell, so it was given up.",
  retryable: true,
  delivered: true
} as const
