/**
 * What a shim knows of its client's session, whatever stream carries it (mcp §6.3): which calls wait, what opened the
 * session, which epoch it is in. It decides what becomes of every call when the other side has lost its state.
 *
 * Owns the current epoch with its `RelayEnd`; told by the client's side and by the connection, both of one `Shim`.
 */
import { Clock, Deferred, Effect, Latch, Result, type Scope, Semaphore } from "effect"
import * as MonotonicTime from "../../../core/actor/MonotonicTime.ts"
import * as Provided from "../../../core/actor/Provided.ts"
import { Crypto } from "../../../core/crypto/Crypto.ts"
import * as Bytes from "../../../core/data/Bytes.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import * as BridgeError from "../../../protocol/relay/BridgeError.ts"
import * as BrokenMessage from "../../../protocol/relay/BrokenMessage.ts"
import * as RawRpc from "../../../protocol/relay/era/RawRpc.ts"
import { type Call, InFlight } from "../../../protocol/relay/InFlight.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import type { Line } from "../../../protocol/relay/LineSplitter.ts"
import { Opening } from "../../../protocol/relay/Opening.ts"
import { STDIO_MESSAGE_BYTES_MAX, type Welcome } from "../../../protocol/relay/RelayControl.ts"
import type { Message } from "../../../protocol/relay/RelayMessage.ts"
import { type Carried, Repeats } from "../../../protocol/relay/Repeats.ts"
import { refusalOf, ServiceBreaker, type ServiceHealth } from "../keeper/ServiceBreaker.ts"
import type { SessionRecord } from "../SessionRecord.ts"
import type { Target } from "../Target.ts"
import { CallCeiling } from "./CallCeiling.ts"
import type { EgressGuard } from "./EgressGuard.ts"
import type { Recalled, SessionLists } from "./SessionLists.ts"
import * as ShimEpoch from "./ShimEpoch.ts"
import * as ShimEpochs from "./ShimEpochs.ts"
import { errorOf, type Failure, ofForgotten } from "./ShimFailure.ts"
import * as ShimLink from "./ShimLink.ts"
import * as ShimRefusal from "./ShimRefusal.ts"
import { ShimSigns } from "./ShimSigns.ts"
import * as ShimState from "./ShimState.ts"

/** A client's session over all its epochs. */
export interface ShimSession {
  /** The epoch that the next stream carries. It changes with `welcomed` and `fail`. */
  readonly epoch: () => ShimEpoch.Epoch
  /** One line of the client; waits while too much is on the way. */
  readonly fromClient: (line: Line) => Effect.Effect<void>
  /** Tells the client something of our own, between two messages of the server. */
  readonly say: (message: Uint8Array) => Effect.Effect<void>
  /** The keeper has answered: gives the epoch to carry, a new one if it has lost its state. */
  readonly welcomed: (welcome: Welcome) => Effect.Effect<ShimEpoch.Epoch>
  /** Answers every call that waits and starts over: the next WELCOME begins a new session. */
  readonly fail: (failure: Failure) => Effect.Effect<void>
  /** The service cannot be reached yet: what is known of it from before is answered from memory. */
  readonly away: Effect.Effect<void>
  /** Opened by every request: somebody wants the connection. */
  readonly demand: Latch.Latch
  /** Waits until no call waits and everything sent has arrived. */
  readonly settled: Effect.Effect<void>
  /** How its calls ended lately, and how many wait. */
  readonly health: () => ServiceHealth & { readonly inFlight: number }
  /** Completes when the session can never go on: the client is gone, or another server stands in its place. */
  readonly over: Effect.Effect<void>
}

/** What else a session is made with. */
export interface Options {
  /** Told which message carries which calls. */
  readonly carried?: EgressGuard["carried"] | undefined
  readonly lists?: SessionLists | undefined
  /** Keeps the session for another process. */
  readonly record?: SessionRecord | undefined
  /** The session of an earlier process. */
  readonly restored?: ShimEpochs.Restored | undefined
}

/** A session that has not been carried yet, or that of an earlier process. */
export const make = Effect.fnUntraced(function* <E>(
  client: Duplex<E>,
  target: Target,
  { carried, lists, record, restored }: Options = {}
): Effect.fn.Return<ShimSession, never, Crypto | Scope.Scope> {
  const scope = yield* Effect.scope
  const context = yield* Provided.services<never>()
  const crypto = yield* Crypto
  const calls = new InFlight()
  const ceiling = new CallCeiling(calls)
  const opening = new Opening(restored?.opening)
  const repeats = new Repeats()
  const [answered, demand] = [Latch.makeUnsafe(false), Latch.makeUnsafe(true)]
  const clock = yield* Clock.Clock
  const nowMs = () => MonotonicTime.nowMsUnsafe(clock)
  const over = yield* Deferred.make<void>()
  const writing = yield* Semaphore.make(1)

  const write = (message: Uint8Array) => pass(message, undefined)
  /** `taken` runs when the message has its place, where the client's side is part of the record. */
  const pass = (message: Uint8Array, taken: (() => void) | undefined) =>
    Effect.suspend(() => {
      record?.arrives(taken)
      return client.write(Bytes.concat(message, NEWLINE))
    }).pipe(
      Effect.ensuring(Effect.sync(() => record?.arrives(undefined))),
      writing.withPermits(1),
      Effect.catchCause(() => Deferred.succeed(over, undefined)),
      Effect.asVoid
    )

  const alive = new ShimSigns({
    nowMs,
    write,
    text: () =>
      `${epochs.current().relay.session.isAttached ? `waiting for ${target.service}` : "reconnecting"} on ${target.peer}`
  })
  const breaker = new ServiceBreaker({
    nowMs,
    wallMs: () => clock.currentTimeMillisUnsafe(),
    report: (text) => Effect.runForkWith(context)(Effect.logWarning(`mcp: ${target.peer}/${target.service} ${text}`))
  })
  const replayAnswered = (state: ShimEpoch.State, bytes: Uint8Array, isError: boolean): Effect.Effect<void> => {
    if (state.held === undefined) return Effect.void
    if (isError) {
      const message = `The server ${target.service} on ${target.peer} could not be opened again.`
      return fail({ kind: "unreachable", message, retryable: true })
    }
    if (opening.isSame(bytes)) return Effect.sync(() => epochs.release(state))
    return Effect.andThen(
      Effect.logWarning(`mcp: the server ${target.service} is not the one it was; the client must start anew`),
      Deferred.succeed(over, undefined)
    )
  }

  const replaceTooLarge = (state: ShimEpoch.State, envelope: JsonRpcPeek.Envelope): Effect.Effect<void> => {
    const error = ShimRefusal.tooLarge(target, true)
    for (const refusal of ShimRefusal.refusals(envelope, error)) state.relay.sendNow(refusal)
    return Effect.forEach(ShimRefusal.inPlaceOf(envelope, error), write, { discard: true })
  }

  /** One message of the server. */
  const deliver = Effect.fnUntraced(function* (state: ShimEpoch.State, message: Message, afterProgress: boolean) {
    const peeked = JsonRpcPeek.peek(message.bytes)
    if (Result.isFailure(peeked)) {
      yield* Effect.logWarning(`mcp: dropped a message of ${target.peer}: ${peeked.failure.reason}`)
      return false
    }
    const envelope = peeked.success
    const isResponse = envelope._tag === "Response"
    if (isResponse && state.replayed.settle(envelope.id) !== undefined) {
      lists?.reopened(message.bytes)
      yield* replayAnswered(state, message.bytes, envelope.isError)
      return false
    }
    if (isResponse) breaker.answered(envelope.isError, message.bytes)
    if (isResponse && ceiling.isLate(envelope.id)) return false
    const settled = JsonRpcPeek.responses(envelope).flatMap(({ id }) => calls.settle(id) ?? [])
    for (const { id } of settled) alive.ended(id)
    state.relay.session.isWaiting = calls.size > 0
    answered.openUnsafe()
    opening.received(message.bytes, envelope)
    if (lists !== undefined && (yield* noted(state, lists, message.bytes, envelope))) return false
    if (isResponse) repeats.safe.listed(message.bytes)
    // Clients that read progress and result at once settle the result first and complain (mcp §3.2).
    if (isResponse && afterProgress) yield* Effect.yieldNow
    const isProgress = envelope._tag === "Notification" && envelope.method === "notifications/progress"
    const taken = () => {
      state.takenSeq = message.lastSeq
    }
    if (message.bytes.length > STDIO_MESSAGE_BYTES_MAX) yield* replaceTooLarge(state, envelope)
    else if (!isProgress || alive.isNews(envelope, message.bytes)) yield* pass(message.bytes, taken)
    return isProgress
  })

  /** What lists and their changes are remembered by; true if the message is not for the client. */
  const noted = Effect.fnUntraced(function* (
    state: ShimEpoch.State,
    known: SessionLists,
    bytes: Uint8Array,
    item: JsonRpcPeek.Envelope
  ) {
    const { isOurs, toClient, toServer } = known.received(bytes, item)
    for (const question of toServer) epochs.submit(state, question)
    yield* Effect.forEach(toClient, write, { discard: true })
    return isOurs
  })

  const pump = (state: ShimEpoch.State): Effect.Effect<never> =>
    Effect.gen(function* () {
      let afterProgress = false
      while (true) {
        const message = yield* state.relay.take
        afterProgress = yield* deliver(state, message, afterProgress)
        // What was handed over is never sent again, so the record must know it first.
        if (state.takenSeq < message.lastSeq) {
          state.takenSeq = message.lastSeq
          record?.save()
        }
        state.relay.handedOver(message)
      }
    })

  const answer = (call: Call, failure: Failure, wasSent: boolean, by: Target = target) =>
    refuseOne(call, errorOf(by, failure, wasSent, repeats.isHarmless(call)))

  /** The error, or what is known from before, to a call that waits no longer. */
  const refuseOne = (call: Call, error: BridgeError.BridgeError) => {
    alive.ended(call.id)
    const known = lists?.inPlaceOf(call)
    return known === "Nothing" ? Effect.void : write(known ?? BridgeError.encode(error, call.id))
  }

  /** It has waited for too long, and does so no longer. */
  const expire = (call: Call) =>
    Effect.suspend(() => {
      const error = ShimRefusal.tooLong(target, repeats.isHarmless(call))
      epochs.submit(epochs.current(), RawRpc.cancelled(call.id, error.message))
      record?.save()
      answered.openUnsafe()
      return refuseOne(call, error)
    })

  const fail = (failure: Failure): Effect.Effect<void> =>
    Effect.gen(function* () {
      if (failure.kind === "unreachable" && lists !== undefined) yield* lists.leave
      const { session } = epochs.current().relay
      const waiting = calls.drain()
      yield* epochs.replace(ShimLink.credentials(crypto, target.service), [])
      record?.save()
      if (waiting.length > 0 && failure.kind === "unreachable") breaker.failed(failure.message)
      yield* Effect.forEach(waiting, (call) => answer(call, failure, session.wasSent(call.at)), { discard: true })
      answered.openUnsafe()
    })

  /** The client gets answers from memory, `rest` goes to the server when there is one. */
  const tell = Effect.fnUntraced(function* (answers: ReadonlyArray<Recalled>, rest: ReadonlyArray<Carried>) {
    const wasComplete = opening.isComplete
    for (const { bytes, id } of answers) {
      calls.settle(id)
      alive.ended(id)
      opening.received(bytes, { _tag: "Response", id, isError: JsonRpcPeek.member(bytes, ["error"]) !== undefined })
    }
    const current = epochs.current()
    const isOther = opening.isComplete !== wasComplete || rest.length < ShimEpoch.unsent(current).length
    // Under the same credentials: a HELLO with them may be on its way.
    if (isOther) yield* epochs.replace(current.credentials, rest)
    record?.save()
    yield* Effect.forEach(answers, ({ bytes }) => write(bytes), { discard: true })
    answered.openUnsafe()
  })

  const away = Effect.gen(function* () {
    // Of a connection that was there, the calls wait for its return.
    if (lists === undefined || epochs.current().carriedBy !== undefined) return
    yield* lists.leave
    const { answers, rest } = lists.split(ShimEpoch.unsent(epochs.current()))
    if (answers.length > 0) yield* tell(answers, rest)
  })

  const welcomed = (welcome: Welcome) =>
    Effect.map(resume(welcome), (state) => {
      for (const question of lists?.returned(!welcome.resumed) ?? []) epochs.submit(state, question)
      return state
    })

  const resume = Effect.fnUntraced(function* (welcome: Welcome) {
    const state = epochs.current()
    breaker.pathRestored()
    repeats.welcomed(welcome)
    const before = state.carriedBy
    if (welcome.resumed || before === undefined) {
      state.carriedBy = { ...target }
      state.movedBecause = undefined
      state.credentials = { ...state.credentials, epoch: welcome.epoch }
      record?.save()
      return state
    }
    // The keeper has forgotten the session: what it may have seen is in doubt, and sent again only if that is harmless.
    const { again, lost } = repeats.sort(calls.drain(({ at }) => state.relay.session.wasSent(at)))
    const credentials = { ...state.credentials, epoch: welcome.epoch }
    const next = yield* epochs.replace(credentials, [...again, ...ShimEpoch.unsent(state)])
    next.carriedBy = { ...target }
    record?.save()
    const forgotten = ofForgotten(before, state.movedBecause)
    yield* Effect.forEach(lost, (call) => answer(call, forgotten, true, before), { discard: true })
    return next
  })

  const refuse = (envelope: JsonRpcPeek.Envelope | undefined, error: BridgeError.BridgeError) =>
    Effect.forEach(ShimRefusal.refusals(envelope, error), write, { discard: true })

  const fromClient = Effect.fnUntraced(function* (line: Line) {
    if (line._tag === "Oversized") return yield* refuse(line.envelope, ShimRefusal.tooLarge(target, false))
    const peeked = JsonRpcPeek.peek(line.bytes)
    if (Result.isFailure(peeked)) {
      yield* Effect.logWarning(`mcp: dropped a line of the client: ${peeked.failure.reason}`)
      return yield* Effect.forEach(BrokenMessage.refusals(line.bytes), write, { discard: true })
    }
    const envelope = peeked.success
    const known = lists?.asked(line.bytes, envelope)
    if (known !== undefined) {
      opening.sent(line.bytes, envelope)
      yield* tell([known], ShimEpoch.unsent(epochs.current()))
      for (const question of known.toServer) epochs.submit(epochs.current(), question)
      return
    }
    const requests = JsonRpcPeek.requests(envelope)
    if (calls.size + requests.length > IN_FLIGHT_MAX) {
      return yield* refuse(envelope, ShimRefusal.tooMany(target, IN_FLIGHT_MAX))
    }
    const admission = requests.length === 0 ? undefined : breaker.ask()
    if (admission?._tag === "Refuse") {
      demand.openUnsafe()
      return yield* refuse(envelope, refusalOf(target, admission))
    }
    yield* epochs.room
    opening.sent(line.bytes, envelope)
    epochs.submit(epochs.current(), line.bytes, 0, envelope)
    record?.save()
    if (requests.length > 0) demand.openUnsafe()
  })

  const books: ShimEpochs.Books = { calls, opening, repeats, signs: alive, carried }
  const fresh = ShimLink.credentials(crypto, target.service)
  const epochs: ShimEpochs.ShimEpochs = yield* ShimEpochs.make(books, restored, fresh, pump)
  record?.share("shim", () => ShimState.snapshot(books, epochs.current(), target))
  yield* Effect.forkIn(alive.run, scope)
  yield* Effect.forkIn(ceiling.run(expire), scope)

  const settled = Effect.gen(function* () {
    while (calls.size > 0) {
      answered.closeUnsafe()
      yield* answered.await
    }
    yield* epochs.current().relay.drained
  })

  const health = () => ({ ...breaker.health(), inFlight: calls.size })
  const { current: epoch } = epochs
  const ended = Deferred.await(over)
  return { epoch, fromClient, say: write, welcomed, fail, away, demand, settled, health, over: ended }
})

/** Unanswered requests of one session (mcp §6.8). */
const IN_FLIGHT_MAX = 256
const NEWLINE = Uint8Array.of(0x0a)
