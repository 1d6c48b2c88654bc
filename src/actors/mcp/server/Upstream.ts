/**
 * A server on behalf of one client (mcp §6.3, §6.4, §6.8): starts the child with the first message that needs it, passes
 * messages as they came, knows which calls wait, and answers them itself when the child cannot.
 *
 * Owns the child and everything counted about it; told by one client's session, which it tells by `toClient`. It waits
 * only for the child or the client. A child that dies is replaced with the next request, or at once if a call waits that
 * may run twice; a legacy one first hears again what the old one knew.
 */
import { Deferred, Effect, Result, type Scope } from "effect"
import * as BridgeError from "../../../protocol/relay/BridgeError.ts"
import * as BridgeReplies from "../../../protocol/relay/BridgeReplies.ts"
import * as BrokenMessage from "../../../protocol/relay/BrokenMessage.ts"
import type { Discovery } from "../../../protocol/relay/DiscoveryMemory.ts"
import * as RawRpc from "../../../protocol/relay/era/RawRpc.ts"
import { type Call, InFlight, REISSUES_MAX } from "../../../protocol/relay/InFlight.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import { Opening } from "../../../protocol/relay/Opening.ts"
import { STDIO_MESSAGE_BYTES_MAX } from "../../../protocol/relay/RelayControl.ts"
import type * as CallLedger from "../CallLedger.ts"
import type * as CallApproval from "../keeper/CallApproval.ts"
import type { CallGate } from "../keeper/CallGate.ts"
import { refusalOf, type ServiceBreaker } from "../keeper/ServiceBreaker.ts"
import { SessionAsking } from "../keeper/SessionAsking.ts"
import * as SessionParking from "../keeper/SessionParking.ts"
import * as CallDeadlines from "./CallDeadlines.ts"
import type { CannotStart, Child, TooManyStarts } from "./Child.ts"
import { isReserved } from "./OwnLists.ts"
import * as ParkedAnswers from "./ParkedAnswers.ts"
import type { RunningChild } from "./RunningChild.ts"
import * as UpstreamChild from "./UpstreamChild.ts"
import * as UpstreamErrors from "./UpstreamErrors.ts"

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
  readonly parking: SessionParking.Options | undefined
  /** Asks a person about a call; absent: nobody can be asked. */
  readonly approve: CallApproval.Approve | undefined
  /** What is known of the way to the client. */
  readonly client: SessionParking.Client
  /** The largest message that the client takes. */
  readonly clientBytesMax: number
  /** Passes a message on, waiting while the client takes none; gives its ordinal if it has one. */
  readonly toClient: (message: Uint8Array) => Effect.Effect<number | undefined>
}

/** One server for one client. The end of its scope stops the child. */
export interface Upstream {
  /**
   * Passes one message of the client on. Done when the child's pipe has it, or when it was answered or dropped, or when it
   * waits for a person. `seq` counts the messages of the session.
   */
  readonly fromClient: (message: Uint8Array, seq: number) => Effect.Effect<void, UpstreamChild.ServerChanged>
  /** Calls that wait for an answer. */
  readonly inFlight: () => number
  /** The client is gone for good: tells the server that nobody waits any more, except for calls that may park. */
  readonly abandon: Effect.Effect<void>
  /** Waits until no parked call of an abandoned client runs any more, an hour at most. */
  readonly parked: Effect.Effect<void>
  /** The client is gone, and only parked calls keep this. */
  readonly isAbandoned: () => boolean
  /** The running child, for status. */
  readonly child: () => Child | undefined
  /** Fails when a call that was to run again met another kind of server. */
  readonly changed: Effect.Effect<never, UpstreamChild.ServerChanged>
}

/** An upstream without a child yet. */
export const make = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<Upstream, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const calls = new InFlight()
  const { breaker, gate } = options
  const parking = options.parking && new SessionParking.SessionParking(options.parking, options.client)
  const asking = new SessionAsking(scope, gate)
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      gate.close()
      asking.abandon()
      parking?.failed()
    })
  )
  let isAbandoned = false
  const target = { service: options.service, peer: options.self }
  const errors = UpstreamErrors.of(target)
  const opening = new Opening()
  const changed = yield* Deferred.make<never, UpstreamChild.ServerChanged>()
  /** Messages on their way to another server; they are no calls of it yet. */
  let reissued = 0
  /** Calls that wait, but not for the server. */
  const waiting = () => (parking?.size ?? 0) + asking.size

  /** To the client, as long as there is one. A server that asks nobody is told so, since its call goes on. */
  const toClient = (message: Uint8Array): Effect.Effect<void> => {
    if (!isAbandoned) {
      if (parking?.isGiving !== true) return Effect.asVoid(options.toClient(message))
      return Effect.map(options.toClient(message), (ordinal) => parking.sent(message, ordinal))
    }
    const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message))
    return Effect.forEach(
      envelope === undefined ? [] : JsonRpcPeek.requests(envelope),
      ({ id }) => child.current()?.write(BridgeReplies.noClient(id, "gone")) ?? Effect.void,
      { discard: true }
    )
  }

  const deadlines: CallDeadlines.CallDeadlines = yield* CallDeadlines.make({
    gate,
    calls,
    parking,
    error: errors.deadline,
    toServer: (message) => Effect.suspend(() => child.current()?.write(message) ?? Effect.void),
    toClient
  })

  const refuse = (
    message: Uint8Array,
    envelope: JsonRpcPeek.Envelope,
    origin: CallLedger.Origin,
    reason: BridgeError.BridgeError
  ) => {
    gate.failed(message, envelope, origin, BridgeError.CODE[reason.kind])
    const answers = JsonRpcPeek.requests(envelope).map(({ id }) => BridgeError.encode(reason, id))
    return Effect.forEach(answers, toClient, { discard: true })
  }

  /** Gives a message that a lost server had, or never took, to the next one (mcp §6.3). */
  const reissue = (message: Uint8Array, origin: CallLedger.Origin, lost = 0): Effect.Effect<unknown> => {
    reissued++
    const done = Effect.sync(() => reissued--)
    return Effect.forkIn(Effect.ensuring(sendAlone(message, origin, lost), done), scope)
  }

  /** The same by the fiber that runs it, which is none of the session's own: a server of another kind ends that. */
  const sendAlone = (message: Uint8Array, origin: CallLedger.Origin, lost: number): Effect.Effect<void> =>
    Effect.catchTag(fromClient(message, origin, lost), "ServerChanged", (failure) =>
      Effect.gen(function* () {
        const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message))
        if (envelope !== undefined) yield* refuse(message, envelope, origin, errors.cannotStart)
        yield* Deferred.fail(changed, failure)
      })
    )

  /** Answers of a lost server that nobody will give; what it certainly never took is sent again instead. */
  const resend = (message: Uint8Array): Effect.Effect<unknown> => {
    const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message))
    const taken =
      envelope === undefined ? [] : JsonRpcPeek.requests(envelope).flatMap(({ id }) => calls.settle(id) ?? [])
    const [origin] = taken.flatMap(({ at }) => gate.ended(at, "resent") ?? [])
    if (envelope === undefined || origin === undefined) return Effect.void
    const lost = Math.max(...taken.map((call) => call.lost))
    if (lost < REISSUES_MAX) return reissue(message, origin, lost + 1)
    return refuse(message, envelope, origin, errors.cannotStart)
  }

  /** What becomes of a call whose server is gone. */
  const abandon = ({ at, id, lost, message, method }: Call): Effect.Effect<unknown> => {
    if (message !== undefined && lost < REISSUES_MAX) {
      const origin = gate.ended(at, "resent")
      if (origin !== undefined) return reissue(message, origin, lost + 1)
    }
    gate.ended(at, "unknown")
    const harmless = message !== undefined || BridgeError.isHarmlessTwice(method)
    return toClient(BridgeError.encode(errors.stopped(harmless), id))
  }

  const childEnded = (ended: RunningChild, why: string) =>
    Effect.gen(function* () {
      options.discovery.forget()
      gate.definitions?.forget()
      deadlines.serverGone()
      yield* Effect.forEach(ended.child.unsent?.() ?? [], resend, { discard: true })
      if (calls.size > 0) breaker.failed("It stopped during a request.")
      parking?.failed()
      for (const { at } of calls.unpark()) gate.ended(at, "unknown")
      yield* Effect.forEach(calls.drain(), abandon, { discard: true })
      yield* Effect.logWarning(`mcp ${options.service}: the server is gone: ${why}`)
    })

  const child: UpstreamChild.UpstreamChild = yield* UpstreamChild.make({
    spawn: options.spawn,
    running: {
      ...{ service: options.service, clientBytesMax: options.clientBytesMax, opening, calls, gate, breaker, toClient },
      tooLarge: errors.tooLarge(options.clientBytesMax, true),
      unreadable: errors.unreadable,
      overloaded: errors.askedTooMuch,
      isLate: deadlines.isLate,
      answered: ({ id, message, method }, answer) => {
        if (method === "server/discover" && message !== undefined) options.discovery.note(message, answer)
        return parking?.answered(id, answer) ?? true
      }
    },
    ended: childEnded
  })

  /** The running child; only a request starts one, since a fresh server has no use for anything else. */
  const childFor = (message: Uint8Array, envelope: JsonRpcPeek.Envelope, origin: CallLedger.Origin) =>
    Effect.gen(function* () {
      const running = child.current()
      if (running !== undefined || JsonRpcPeek.requests(envelope).length === 0) return running
      const started = yield* Effect.result(child.demand)
      if (Result.isSuccess(started)) return started.success
      if (started.failure._tag === "ServerChanged") return yield* started.failure
      yield* Effect.logWarning(`mcp ${options.service}: cannot start: ${started.failure.detail}`)
      if (started.failure._tag === "CannotStart") breaker.failed("It could not be started.")
      const isTooMany = started.failure._tag === "TooManyStarts"
      yield* refuse(message, envelope, origin, isTooMany ? errors.tooManyStarts : errors.cannotStart)
      return undefined
    })

  /** True if it asks what the server is and that is known: it need not be started for that. */
  const isAnswered = (message: Uint8Array, envelope: JsonRpcPeek.Envelope, origin: CallLedger.Origin) => {
    if (envelope._tag !== "Request" || envelope.method !== "server/discover") return Effect.succeed(false)
    const answer = child.current() === undefined ? options.discovery.recall(message, envelope.id) : undefined
    if (answer === undefined) return Effect.succeed(false)
    gate.ended(gate.started(message, [envelope], origin), "answered", answer)
    return Effect.as(toClient(answer), true)
  }

  /** True if an identical call of before has the answer, or will have it. */
  const isParked = (message: Uint8Array, request: CallLedger.Request, key: string, origin: CallLedger.Origin) => {
    if (parking === undefined) return Effect.succeed(false)
    const way = { gate, parking, deadlines, asking, toClient, send: reissue, scope }
    return ParkedAnswers.answers(way, message, request, key, origin)
  }

  /** Notes what the client gives up; true if that is all of the message, and the server must not hear it. */
  const isGivenUp = (message: Uint8Array, envelope: JsonRpcPeek.Envelope): boolean => {
    for (const item of JsonRpcPeek.messages(envelope)) {
      if (item._tag !== "Notification" || item.cancels === undefined) continue
      if (asking.cancel(item.cancels) && item === envelope) return true
      const parked = item === envelope ? parking?.cancel(item.cancels, message) : undefined
      // A parked call goes on, also in the record and against the quota.
      if (parked?._tag === "Parked") calls.park(item.cancels)
      if (parked?._tag === "Attached") gate.ended(parked.mark, "cancelled")
      if (parked !== undefined) return true
      const cancelled = calls.cancel(item.cancels)
      if (cancelled !== undefined) gate.ended(cancelled.at, "cancelled")
    }
    return false
  }

  /** Has a person asked, while the session goes on; then the call goes on too, or is answered. */
  const ask = (message: Uint8Array, request: CallLedger.Request, origin: CallLedger.Origin): Effect.Effect<void> =>
    asking.begin(
      { message, request, place: origin.place },
      {
        approve: options.approve,
        child: Effect.catchTag(childFor(message, request, origin), "ServerChanged", (failure) =>
          Effect.as(Deferred.fail(changed, failure), undefined)
        ),
        send: (approval) => sendAlone(message, { ...origin, approval }, 0),
        toClient
      }
    )

  /** Answers what cannot be taken; nothing if there is no such reason. */
  const unacceptable = (message: Uint8Array, envelope: JsonRpcPeek.Envelope, origin: CallLedger.Origin) => {
    const requests = JsonRpcPeek.requests(envelope)
    const no = (reason: BridgeError.BridgeError) => refuse(message, envelope, origin, reason)
    if (message.length > STDIO_MESSAGE_BYTES_MAX) return no(errors.tooLarge(STDIO_MESSAGE_BYTES_MAX, false))
    if (calls.size + waiting() + requests.length > IN_FLIGHT_MAX) return no(errors.tooManyCalls(IN_FLIGHT_MAX))
    const isTaken = ({ id }: CallLedger.Request) =>
      isReserved(id) || deadlines.isOwed(id) || (asking.has(id) && origin.approval === undefined)
    return requests.some(isTaken) ? refuseIds(message, envelope, origin) : undefined
  }

  const refuseIds = (message: Uint8Array, envelope: JsonRpcPeek.Envelope, origin: CallLedger.Origin) => {
    gate.failed(message, envelope, origin, UpstreamErrors.INVALID_REQUEST)
    return Effect.forEach(JsonRpcPeek.requests(envelope).map(UpstreamErrors.idTaken), toClient, { discard: true })
  }

  const fromClient: FromClient = Effect.fnUntraced(function* (message, origin, lost = 0) {
    const peeked = JsonRpcPeek.peek(message)
    if (Result.isFailure(peeked)) {
      yield* Effect.logWarning(`mcp ${options.service}: dropped a line of the client: ${peeked.failure.reason}`)
      return yield* Effect.forEach(BrokenMessage.refusals(message), toClient, { discard: true })
    }
    const envelope = peeked.success
    const requests = JsonRpcPeek.requests(envelope)
    const refused = unacceptable(message, envelope, origin)
    if (refused !== undefined) return yield* refused
    if (isGivenUp(message, envelope)) return
    const verdict = gate.judge(message, envelope, origin.place)
    if (verdict._tag === "Refused") return yield* Effect.forEach(verdict.answers, toClient, { discard: true })
    if (verdict._tag === "Ask" && envelope._tag === "Batch")
      return yield* SessionAsking.apart(message, (one) => fromClient(one, origin))
    if (verdict._tag === "Ask" && origin.approval === undefined && envelope._tag === "Request") {
      // Copied, because it may be a view of a large chunk that would stay alive with it.
      return yield* ask(message.slice(), envelope, origin)
    }
    if (yield* isAnswered(message, envelope, origin)) return
    const key = gate.mayPark(message, envelope) ? parking?.keyOf(message) : undefined
    if (key !== undefined && envelope._tag === "Request" && (yield* isParked(message, envelope, key, origin))) return
    if (requests.some(({ id }) => calls.isParked(id))) return yield* refuseIds(message, envelope, origin)
    const admission = requests.length === 0 ? undefined : breaker.ask()
    if (admission?._tag === "Refuse") {
      return yield* refuse(message, envelope, origin, refusalOf(target, admission))
    }
    const taker = yield* childFor(message, envelope, origin)
    if (taker === undefined || !taker.wants(envelope)) return
    if (requests.some(({ id }) => asking.isGivenUp(id))) return
    const mark = gate.started(message, requests, origin)
    const kept = gate.mayRepeat(message, envelope) ? message : undefined
    requests.forEach(({ id, method }, index) => {
      asking.passed(id)
      const replaced = calls.add(id, method, mark + index, lost, kept)
      if (replaced !== undefined) gate.ended(replaced.at, "unknown")
      parking?.began(id, replaced === undefined ? key : undefined, mark)
      deadlines.started(mark + index)
    })
    opening.sent(verdict.message, envelope)
    yield* taker.write(verdict.message)
  })

  return {
    fromClient: (message, seq) => fromClient(message, { place: gate.place(seq) }),
    changed: Deferred.await(changed),
    inFlight: () => calls.size + reissued + waiting(),
    parked: parking?.finished ?? Effect.void,
    isAbandoned: () => isAbandoned,
    abandon: Effect.suspend(() => {
      isAbandoned = true
      asking.abandon()
      const running = child.current()
      const { left, parked } = parking?.abandon() ?? { left: [], parked: new Set() }
      for (const mark of left) gate.ended(mark, "cancelled")
      const isParked = ({ id }: Call) => parked.has(RawRpc.idKey(id))
      const unanswered = calls.drain((call) => call.method !== "initialize" && !isParked(call))
      for (const { id } of calls.waiting.filter(isParked)) calls.park(id)
      for (const { at } of unanswered) gate.ended(at, "cancelled")
      if (running === undefined) return Effect.void
      return Effect.forEach(unanswered, ({ id }) => running.write(BridgeReplies.cancelled(id)), { discard: true })
    }),
    child: () => child.current()?.child
  }
})

type Sent = Effect.Effect<void, UpstreamChild.ServerChanged>
type FromClient = (message: Uint8Array, origin: CallLedger.Origin, lost?: number) => Sent

/** Unanswered requests of one session (mcp §6.8). */
const IN_FLIGHT_MAX = 256
