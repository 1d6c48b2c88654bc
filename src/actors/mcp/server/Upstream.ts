/**
 * A server on behalf of one client (mcp §6.3, §6.4, §6.8): starts the child with the first message that needs it, passes
 * messages as they came, knows which calls wait, and answers them itself when the child cannot.
 *
 * Owns the child and everything counted about it; told by one client's session, which it tells by `toClient`. It waits
 * only for the child or the client. A child that dies is replaced with the next request, or at once if a call waits that
 * may run twice; a legacy one first hears again what the old one knew.
 */
import { Deferred, Effect, Exit, Result, Schema, Scope, Semaphore } from "effect"
import * as BridgeError from "../../../protocol/relay/BridgeError.ts"
import * as BridgeReplies from "../../../protocol/relay/BridgeReplies.ts"
import * as BrokenMessage from "../../../protocol/relay/BrokenMessage.ts"
import * as RawRpc from "../../../protocol/relay/era/RawRpc.ts"
import { type Call, InFlight, REISSUES_MAX } from "../../../protocol/relay/InFlight.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import * as JsonSplice from "../../../protocol/relay/JsonSplice.ts"
import { Opening } from "../../../protocol/relay/Opening.ts"
import { STDIO_MESSAGE_BYTES_MAX } from "../../../protocol/relay/RelayControl.ts"
import type { CallGate } from "../keeper/CallGate.ts"
import { refusalOf, type ServiceBreaker } from "../keeper/ServiceBreaker.ts"
import { type Attached, type Options as ParkingOptions, SessionParking } from "../keeper/SessionParking.ts"
import { CannotStart, type Child, type TooManyStarts } from "./Child.ts"
import * as RunningChild from "./RunningChild.ts"

/** The server that took a dead one's place is of another kind, so the client's session cannot go on (mcp §6.3). */
export class ServerChanged extends Schema.TaggedError<ServerChanged>()("ServerChanged", { service: Schema.String }) {}

/** What servers of this service answered to this peer's `server/discover` (mcp §6.4). */
export interface Discovery {
  readonly recall: (request: Uint8Array, id: string) => Uint8Array | undefined
  readonly note: (request: Uint8Array, answer: Uint8Array) => void
  /** A server died. */
  readonly forget: () => void
}

/** What an upstream needs. */
export interface Options {
  readonly service: string
  /** How this host is called in errors. */
  readonly self: string
  readonly spawn: Effect.Effect<Child, CannotStart | TooManyStarts, Scope.Scope>
  readonly gate: CallGate
  /** Of the service, over all of its sessions. */
  readonly breaker: ServiceBreaker
  readonly discovery: Discovery
  /** Absent: no call outlives its client. */
  readonly parking: ParkingOptions | undefined
  /** A stream leads to the client now. */
  readonly isAttached: () => boolean
  /** The largest message that the client takes. */
  readonly clientBytesMax: number
  /** Passes a message on, waiting while the client takes none. */
  readonly toClient: (message: Uint8Array) => Effect.Effect<void>
}

/** One server for one client. The end of its scope stops the child. */
export interface Upstream {
  /** Passes one message of the client on. Done when the child's pipe has it, or when it was answered or dropped. */
  readonly fromClient: (message: Uint8Array) => Effect.Effect<void, ServerChanged>
  /** Calls that wait for an answer. */
  readonly inFlight: () => number
  /** The client is gone for good: tells the server that nobody waits any more, except for calls that may park. */
  readonly abandon: Effect.Effect<void>
  /** The client is back on another stream. */
  readonly returned: () => void
  /** Waits until no parked call of an abandoned client runs any more, an hour at most. */
  readonly parked: Effect.Effect<void>
  /** The client is gone, and only parked calls keep this. */
  readonly isAbandoned: () => boolean
  /** The running child, for status. */
  readonly child: () => Child | undefined
  /** Fails when a call that was to run again met another kind of server. */
  readonly changed: Effect.Effect<never, ServerChanged>
}

/** An upstream without a child yet. */
export const make = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<Upstream, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const calls = new InFlight()
  const { breaker, gate } = options
  const parking = options.parking === undefined ? undefined : new SessionParking(options.parking, options.isAttached)
  yield* Effect.addFinalizer(() => Effect.sync(() => parking?.failed()))
  let isAbandoned = false
  yield* Effect.addFinalizer(() => Effect.sync(() => gate.close()))
  const opening = new Opening()
  const starting = yield* Semaphore.make(1)
  const changed = yield* Deferred.make<never, ServerChanged>()
  let running: RunningChild.RunningChild | undefined
  /** Messages on their way to another server; they are no calls of it yet. */
  let reissued = 0

  const error = (kind: BridgeError.Kind, message: string, delivered: boolean, retryable: boolean) =>
    ({ kind, message, delivered, retryable, service: options.service, peer: options.self }) as const

  /** To the client, as long as there is one. A server that asks nobody is told so, since its call goes on. */
  const toClient = (message: Uint8Array): Effect.Effect<void> => {
    if (!isAbandoned) return options.toClient(message)
    const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message))
    return Effect.forEach(
      envelope === undefined ? [] : JsonRpcPeek.requests(envelope),
      ({ id }) => running?.write(BridgeReplies.noClient(id, "gone")) ?? Effect.void,
      { discard: true }
    )
  }

  const refuse = (message: Uint8Array, envelope: JsonRpcPeek.Envelope, reason: BridgeError.BridgeError) => {
    gate.refused(message, envelope, BridgeError.CODE[reason.kind])
    return Effect.forEach(JsonRpcPeek.requests(envelope), ({ id }) => toClient(BridgeError.encode(reason, id)), {
      discard: true
    })
  }

  /** Gives a message that a lost server had, or never took, to the next one (mcp §6.3). */
  const reissue = (message: Uint8Array, lost: number): Effect.Effect<unknown> => {
    reissued++
    return Effect.catchTag(fromClient(message, lost), "ServerChanged", (failure) =>
      Effect.gen(function* () {
        const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message))
        const gone = error("unreachable", cannotStartText(options.service, options.self), false, true)
        if (envelope !== undefined) yield* refuse(message, envelope, gone)
        yield* Deferred.fail(changed, failure)
      })
    ).pipe(Effect.ensuring(Effect.sync(() => reissued--)), (running) => Effect.forkIn(running, scope))
  }

  /** Answers of a lost server that nobody will give; what it certainly never took is sent again instead. */
  const resend = (message: Uint8Array): Effect.Effect<unknown> => {
    const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message))
    const taken =
      envelope === undefined ? [] : JsonRpcPeek.requests(envelope).flatMap(({ id }) => calls.settle(id) ?? [])
    for (const { at } of taken) gate.ended(at, "resent")
    if (envelope === undefined || taken.length === 0) return Effect.void
    const lost = Math.max(...taken.map((call) => call.lost))
    if (lost < REISSUES_MAX) return reissue(message, lost + 1)
    return refuse(message, envelope, error("unreachable", cannotStartText(options.service, options.self), false, true))
  }

  /** What becomes of a call whose server is gone. */
  const abandon = ({ at, id, lost, message, method }: Call): Effect.Effect<unknown> => {
    if (message !== undefined && lost < REISSUES_MAX) {
      gate.ended(at, "resent")
      return reissue(message, lost + 1)
    }
    gate.ended(at, "unknown")
    const harmless = message !== undefined || BridgeError.isHarmlessTwice(method)
    const advice = harmless ? "Trying again is safe." : "Find out whether it was carried out before trying again."
    const text = `The server ${options.service} on ${options.self} stopped during this request. ${advice}`
    return toClient(BridgeError.encode(error("outcomeUnknown", text, true, harmless), id))
  }

  const childEnded = (child: RunningChild.RunningChild, why: string) =>
    Effect.gen(function* () {
      if (running === child) running = undefined
      options.discovery.forget()
      yield* Effect.forEach(child.child.unsent?.() ?? [], resend, { discard: true })
      if (calls.size > 0) breaker.failed("It stopped during a request.")
      for (const mark of parking?.failed() ?? []) gate.ended(mark, "unknown")
      yield* Effect.forEach(calls.drain(), abandon, { discard: true })
      yield* Effect.logWarning(`mcp ${options.service}: the server is gone: ${why}`)
    })

  const start = Effect.fnUntraced(function* () {
    const childScope = yield* Scope.fork(scope, "sequential")
    const child = yield* Scope.provide(options.spawn, childScope).pipe(
      Effect.onError((cause) => Scope.close(childScope, Exit.failCause(cause)))
    )
    const started = yield* RunningChild.run(child, {
      service: options.service,
      clientBytesMax: options.clientBytesMax,
      tooLarge: error("tooLarge", tooLargeText(options.clientBytesMax), true, false),
      unreadable: error("outcomeUnknown", unreadableText(options.service, options.self), true, false),
      overloaded: error("overloaded", "Too many requests of this server wait for the client.", false, true),
      opening,
      calls,
      gate,
      breaker,
      toClient,
      answered: ({ id, message, method }, answer) => {
        if (method === "server/discover" && message !== undefined) options.discovery.note(message, answer)
        return parking?.answered(id, answer) ?? true
      },
      ended: (self, why) =>
        Effect.andThen(childEnded(self, why), Effect.forkIn(Scope.close(childScope, Exit.void), scope))
    }).pipe(Scope.provide(childScope))
    const replayed = opening.isComplete ? yield* started.replay : "same"
    if (replayed === "same") {
      running = started
      return started
    }
    yield* Scope.close(childScope, Exit.void)
    if (replayed === "gone") return yield* new CannotStart({ detail: "it stopped while it was opened again" })
    return yield* new ServerChanged({ service: options.service })
  })

  /** The running child; only a request starts one, since a fresh server has no use for anything else. */
  const childFor = (message: Uint8Array, envelope: JsonRpcPeek.Envelope) =>
    Effect.gen(function* () {
      if (running !== undefined) return running
      if (JsonRpcPeek.requests(envelope).length === 0) return undefined
      // One at a time: calls that run again ask for a child beside the client's own.
      const started = yield* Effect.result(
        starting.withPermit(Effect.suspend(() => (running === undefined ? start() : Effect.succeed(running))))
      )
      if (Result.isSuccess(started)) return started.success
      if (started.failure._tag === "ServerChanged") return yield* started.failure
      yield* Effect.logWarning(`mcp ${options.service}: cannot start: ${started.failure.detail}`)
      if (started.failure._tag === "CannotStart") breaker.failed("It could not be started.")
      yield* refuse(
        message,
        envelope,
        started.failure._tag === "TooManyStarts"
          ? error(
              "overloaded",
              `${options.self} has too many servers running or starting. Try again later.`,
              false,
              true
            )
          : error("unreachable", cannotStartText(options.service, options.self), false, true)
      )
      return undefined
    })

  /** True if it asks what the server is and that is known: it need not be started for that. */
  const isAnswered = (message: Uint8Array, envelope: JsonRpcPeek.Envelope): Effect.Effect<boolean> => {
    if (envelope._tag !== "Request" || envelope.method !== "server/discover") return Effect.succeed(false)
    const answer = running === undefined ? options.discovery.recall(message, envelope.id) : undefined
    if (answer === undefined) return Effect.succeed(false)
    gate.ended(gate.started(message, [envelope]), "answered", answer)
    return Effect.as(toClient(answer), true)
  }

  const answerParked = (result: Uint8Array, id: string, mark: number): Effect.Effect<void> => {
    const answer = JsonSplice.replace(result, ["id"], id)
    gate.ended(mark, "answered", answer)
    return toClient(answer)
  }

  /** Waits for a call of an earlier session; if nothing comes of that, this one is made after all. */
  const awaitParked = (message: Uint8Array, id: string, attached: Attached): Effect.Effect<void> =>
    Effect.flatMap(Deferred.await(attached.parked.done), (result) => {
      if (parking?.detach(id, attached) !== true) return Effect.void
      if (result !== undefined) return answerParked(result, id, attached.mark)
      gate.ended(attached.mark, "resent")
      return Effect.asVoid(reissue(message, 0))
    })

  /** True if an identical call of before has the answer, or will have it. */
  const isParked = (message: Uint8Array, request: Request, key: string | undefined): Effect.Effect<boolean> => {
    const found = key === undefined ? undefined : parking?.find(key)
    if (found === undefined || parking === undefined) return Effect.succeed(false)
    const mark = gate.started(message, [request])
    if ("result" in found) return Effect.as(answerParked(found.result, request.id, mark), true)
    const attached = { parked: found.parked, mark }
    parking.attach(request.id, attached)
    const waiting = awaitParked(message.slice(), request.id, attached)
    return Effect.as(Effect.forkIn(waiting, scope), true)
  }

  /** Notes what the client gives up; true if that is all of the message, and the server must not hear it. */
  const isGivenUp = (message: Uint8Array, envelope: JsonRpcPeek.Envelope): boolean => {
    for (const item of JsonRpcPeek.messages(envelope)) {
      if (item._tag !== "Notification" || item.cancels === undefined) continue
      const parked = item === envelope ? parking?.cancel(item.cancels, message) : undefined
      const cancelled = calls.cancel(item.cancels)
      // A parked call goes on, also in the record and against the quota.
      if (parked?._tag === "Attached") gate.ended(parked.mark, "cancelled")
      if (parked !== undefined) return true
      if (cancelled !== undefined) gate.ended(cancelled.at, "cancelled")
    }
    return false
  }

  const fromClient = Effect.fnUntraced(function* (
    message: Uint8Array,
    lost = 0
  ): Effect.fn.Return<void, ServerChanged> {
    const peeked = JsonRpcPeek.peek(message)
    if (Result.isFailure(peeked)) {
      yield* Effect.logWarning(`mcp ${options.service}: dropped a line of the client: ${peeked.failure.reason}`)
      return yield* Effect.forEach(BrokenMessage.refusals(message), toClient, { discard: true })
    }
    const envelope = peeked.success
    const requests = JsonRpcPeek.requests(envelope)
    if (message.length > STDIO_MESSAGE_BYTES_MAX) {
      return yield* refuse(message, envelope, error("tooLarge", tooLargeText(STDIO_MESSAGE_BYTES_MAX), false, false))
    }
    if (calls.size + (parking?.size ?? 0) + requests.length > IN_FLIGHT_MAX) {
      const text = `${IN_FLIGHT_MAX} requests of this session are unanswered. Wait for some of them.`
      return yield* refuse(message, envelope, error("overloaded", text, false, true))
    }
    if (isGivenUp(message, envelope)) return
    const verdict = gate.judge(message, envelope)
    if (verdict._tag === "Refused") return yield* Effect.forEach(verdict.answers, toClient, { discard: true })
    if (yield* isAnswered(message, envelope)) return
    const key = gate.mayPark(message, envelope) ? parking?.keyOf(message) : undefined
    if (envelope._tag === "Request" && (yield* isParked(message, envelope, key))) return
    const admission = requests.length === 0 ? undefined : breaker.ask()
    if (admission?._tag === "Refuse") {
      return yield* refuse(message, envelope, refusalOf({ service: options.service, peer: options.self }, admission))
    }
    const child = yield* childFor(message, envelope)
    if (child === undefined || !child.wants(envelope)) return
    const mark = gate.started(message, requests)
    const kept = gate.mayRepeat(message, envelope) ? message : undefined
    requests.forEach(({ id, method }, index) => {
      const replaced = calls.add(id, method, mark + index, lost, kept)
      if (replaced !== undefined) gate.ended(replaced.at, "unknown")
      if (key !== undefined) parking?.began(id, key, mark)
    })
    opening.sent(verdict.message, envelope)
    yield* child.write(verdict.message)
  })

  return {
    fromClient: (message) => fromClient(message),
    changed: Deferred.await(changed),
    inFlight: () => calls.size + reissued + (parking?.size ?? 0),
    returned: () => parking?.returned(),
    parked: parking?.finished ?? Effect.void,
    isAbandoned: () => isAbandoned,
    abandon: Effect.suspend(() => {
      isAbandoned = true
      const child = running
      const { left, parked } = parking?.abandon() ?? { left: [], parked: new Set() }
      for (const mark of left) gate.ended(mark, "cancelled")
      const isParked = ({ id }: Call) => parked.has(RawRpc.idKey(id))
      const waiting = calls.drain((call) => call.method !== "initialize" && !isParked(call))
      for (const { id } of calls.waiting.filter(isParked)) calls.cancel(id)
      for (const { at } of waiting) gate.ended(at, "cancelled")
      if (child === undefined) return Effect.void
      return Effect.forEach(waiting, ({ id }) => child.write(BridgeReplies.cancelled(id)), { discard: true })
    }),
    child: () => running?.child
  }
})

type Request = Extract<JsonRpcPeek.Envelope, { _tag: "Request" }>

const tooLargeText = (bytesMax: number): string =>
  `The message is larger than ${bytesMax} bytes, the most that MCP programs accept on stdio. Ask for less at a time.`

const unreadableText = (service: string, self: string): string =>
  `The server ${service} on ${self} answered with something that is no JSON. Find out whether the request was carried out before trying again.`

const cannotStartText = (service: string, self: string): string =>
  `The server ${service} could not be started on ${self}. Its owner finds the reason with: pilotctl mcp status`

/** Unanswered requests of one session (mcp §6.8). */
const IN_FLIGHT_MAX = 256
