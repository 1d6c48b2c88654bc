/**
 * One relay session on the side of the server (mcp §6.2): it outlives the streams that carry it, and a newer stream
 * displaces an older one.
 *
 * Owns the session's end, its `Upstream` and with it the child. Told of streams by the `Keeper`. While no stream carries
 * it, it lingers, then ends; the end of its scope stops everything.
 */

import { Effect, Latch, Option, Queue, type Scope } from "effect"
import type { Discovery } from "../../../protocol/relay/DiscoveryMemory.ts"
import { type Bye, type Hello, LIMITS_DEFAULT, VERSION } from "../../../protocol/relay/RelayControl.ts"
import { Frame } from "../../../protocol/relay/RelayFrame.ts"
import { CONFIG_DEFAULT } from "../../../protocol/relay/RelaySession.ts"
import { type FrameStream, StreamLost } from "../FrameStream.ts"
import * as RelayEnd from "../RelayEnd.ts"
import type { CannotStart, Child, TooManyStarts } from "../server/Child.ts"
import * as Upstream from "../server/Upstream.ts"
import type { CallGate } from "./CallGate.ts"
import type { ServiceBreaker } from "./ServiceBreaker.ts"

/** What a session is made for. */
export interface Options {
  readonly service: string
  readonly self: string
  readonly epoch: number
  readonly hello: Hello
  readonly spawn: Effect.Effect<Child, CannotStart | TooManyStarts, Scope.Scope>
  readonly gate: CallGate
  readonly discovery: Discovery
  readonly breaker: ServiceBreaker
  readonly parking: Upstream.Options["parking"]
  readonly approve: Upstream.Options["approve"]
}

/** A session, with or without a stream. */
export interface KeeperSession {
  readonly upstream: Upstream.Upstream
  /** No stream carries it and no call waits: it may be given up for another. */
  readonly isIdle: () => boolean
  /** The other side's `rx` is one from which this end can go on. */
  readonly canResumeFrom: (rx: number) => boolean
  /** Lets a stream carry the session; done when the stream is no longer needed. */
  readonly attach: (stream: FrameStream, hello: Hello, resumed: boolean) => Effect.Effect<void>
  /** Ends the session, telling the other side why. */
  readonly end: (bye: Bye) => Effect.Effect<void>
  /** Runs the session to its end. */
  readonly run: Effect.Effect<void>
}

/** A session that waits for its first stream. */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<KeeperSession, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const limits = options.hello.limits ?? LIMITS_DEFAULT
  const relay = yield* RelayEnd.make(CONFIG_DEFAULT)
  const attachments = yield* Queue.unbounded<Attachment>()
  const gone = Latch.makeUnsafe(false)
  const endings = yield* Queue.sliding<Bye>(1)
  const upstream = yield* Upstream.make({
    service: options.service,
    self: options.self,
    spawn: options.spawn,
    gate: options.gate,
    discovery: options.discovery,
    breaker: options.breaker,
    parking: options.parking,
    approve: options.approve,
    client: {
      isAttached: () => relay.session.isAttached,
      hasTaken: (ordinal) => relay.session.wasHandedOver(ordinal)
    },
    clientBytesMax: limits.message,
    // One that waits for room stops waiting when the client is gone for good.
    toClient: (message) =>
      Effect.suspend(() =>
        relay.session.canSend
          ? Effect.succeed(relay.sendNow(message))
          : Effect.raceFirst(relay.send(message), Effect.as(gone.await, undefined))
      )
  })

  /** Messages of the client, one after the other, to the server. */
  const passOn = Effect.gen(function* () {
    // The other end numbers them in the same way (`RelayEnd.send`).
    for (let ordinal = 1; ; ordinal++) {
      const message = yield* relay.take
      yield* upstream.fromClient(message.bytes, ordinal)
      relay.handedOver(message)
    }
  }).pipe(
    Effect.raceFirst(upstream.changed),
    Effect.catchTag("ServerChanged", () => Queue.offer(endings, { reason: "changed" }))
  )

  /** By another fiber: the older stream may take nothing any more, and the newer one must not wait for it. */
  const sayDisplaced = (stream: FrameStream) =>
    stream
      .send(Frame.Bye({ bye: { reason: "displaced" } }))
      .pipe(Effect.timeoutOption(GOODBYE_TIMEOUT), Effect.ignore, Effect.forkIn(scope, { startImmediately: true }))

  /** Carries the session over one stream; the answer says whether the session goes on. */
  const carry = ({ hello, resumed, stream }: Attachment): Effect.Effect<"ended" | "lost"> =>
    stream.send(Frame.Welcome({ welcome: welcome(options.epoch, resumed, relay.session.rx, options.gate) })).pipe(
      Effect.andThen(relay.carry(stream, hello.rx, hello.limits ?? limits)),
      Effect.raceFirst(
        Effect.flatMap(Queue.peek(attachments), () => new StreamLost({ reason: "Displaced", detail: "a newer stream" }))
      ),
      Effect.matchEffect({
        onFailure: (lost) =>
          Effect.as(
            lost.reason === "Displaced"
              ? sayDisplaced(stream)
              : Effect.logDebug(`mcp ${options.service}: stream lost: ${lost.reason} ${lost.detail}`),
            "lost" as const
          ),
        onSuccess: () => Effect.succeed("ended" as const)
      })
    )

  /** The client is gone for good; what is parked may finish. */
  const abandon = Effect.suspend(() => {
    gone.openUnsafe()
    return Effect.andThen(Effect.timeoutOption(upstream.abandon, CANCEL_TIMEOUT), upstream.parked)
  })

  const serve = Effect.gen(function* () {
    while (true) {
      const lingerMs = upstream.inFlight() > 0 ? LINGER_BUSY_MS : LINGER_MS
      const next = yield* Effect.timeoutOption(Queue.take(attachments), lingerMs)
      if (Option.isNone(next)) return yield* abandon
      const outcome = yield* Effect.ensuring(carry(next.value), next.value.released)
      if (outcome === "ended") return yield* abandon
    }
  })

  /** An end from this side: what is written so far goes out first, if the other side reads it soon. */
  const ended = Effect.gen(function* () {
    relay.sayGoodbye(yield* Queue.take(endings))
    yield* Effect.sleep(GOODBYE_TIMEOUT)
  })

  return {
    upstream,
    isIdle: () => !relay.session.isAttached && upstream.inFlight() === 0,
    canResumeFrom: (rx) => !upstream.isAbandoned() && relay.session.canResumeFrom(rx),
    attach: (stream, hello, resumed) =>
      Effect.callback<void>((resume) => {
        const released = Effect.sync(() => resume(Effect.void))
        if (!Queue.offerUnsafe(attachments, { stream, hello, resumed, released })) resume(Effect.void)
      }),
    end: (bye) => Effect.asVoid(Queue.offer(endings, bye)),
    run: Effect.raceAllFirst([serve, ended, Effect.andThen(passOn, Effect.never)]).pipe(
      Effect.asVoid,
      // Whoever waits for a stream that no session will carry must not wait for ever.
      Effect.ensuring(
        Queue.clear(attachments).pipe(
          Effect.flatMap((waiting) => Effect.forEach(waiting, ({ released }) => released, { discard: true })),
          Effect.andThen(Queue.shutdown(attachments))
        )
      )
    )
  }
})

interface Attachment {
  readonly stream: FrameStream
  readonly hello: Hello
  readonly resumed: boolean
  readonly released: Effect.Effect<void>
}

const welcome = (epoch: number, resumed: boolean, rx: number, gate: CallGate) => ({
  ...gate.declared,
  v: VERSION,
  resumed,
  rx,
  epoch,
  lingerMs: LINGER_MS,
  limits: CONFIG_DEFAULT.limits
})

/** How long a session waits for a stream, without and with calls in flight (mcp §6.2). */
const LINGER_MS = 300_000
const LINGER_BUSY_MS = 900_000
const CANCEL_TIMEOUT = "1 second"
const GOODBYE_TIMEOUT = "1 second"
