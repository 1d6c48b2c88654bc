/**
 * The command that an MCP client starts (mcp §6.1): to the client it is a stdio server, to the keeper the other end of a
 * relay session, whose connection `ShimConnection` keeps, and answers every call that it cannot pass on.
 *
 * Owns the connection and the client's streams. It ends when the client closes its output, or the session cannot go on.
 */
import { Clock, Deferred, Effect, Exit, Random, type Scope } from "effect"
import * as MonotonicTime from "../../../core/actor/MonotonicTime.ts"
import type { Crypto } from "../../../core/crypto/Crypto.ts"
import * as Bytes from "../../../core/data/Bytes.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import * as TurnWriter from "../../../core/net/TurnWriter.ts"
import type { CallMetrics } from "../../../protocol/relay/CallMetrics.ts"
import { type Line, LineSplitter } from "../../../protocol/relay/LineSplitter.ts"
import { MESSAGE_BYTES_MAX } from "../../../protocol/relay/RelayControl.ts"
import type { SessionRecord } from "../SessionRecord.ts"
import type { Target } from "../Target.ts"
import * as CountedStream from "./CountedStream.ts"
import { type Egress, EgressGuard } from "./EgressGuard.ts"
import * as InstanceHealth from "./InstanceHealth.ts"
import type { ListFile } from "./ListFile.ts"
import type { MountBoard } from "./MountBoard.ts"
import type { PinGuard } from "./PinGuard.ts"
import * as SessionLists from "./SessionLists.ts"
import * as ShimConnection from "./ShimConnection.ts"
import * as ShimSession from "./ShimSession.ts"
import * as ShimState from "./ShimState.ts"
import * as SignOfLife from "./SignOfLife.ts"
import * as TracedStream from "./TracedStream.ts"

/** What a shim is made of. */
export interface Options<E, E2> extends ShimConnection.Options<E2> {
  /** The client: its messages are read, ours written. Nothing else is ever written. */
  readonly client: Duplex<E>
  /** Completes if nobody is left to read what is written; waited for when the client has closed its output. */
  readonly orphaned?: Effect.Effect<void> | undefined
  /** Watches the tools that the server lists. */
  readonly pins?: PinGuard
  /** What may leave this node; absent: everything, and it is not recorded. */
  readonly egress?: Egress | undefined
  /** Counts the calls. */
  readonly metrics?: CallMetrics
  /** What is remembered of the service (mcp §6.9), by instance. */
  readonly lists?: (target: Target) => ListFile
  /** What is remembered is told at once, and compared when the server has said how it is. */
  readonly isEager?: boolean
  /** Where the session is told of. */
  readonly board?: MountBoard
  /**
   * Keeps the session for another process, which goes on with it: then an interruption does not say goodbye, unless the
   * record says that the session is over. The client's `write` must succeed when the message is in its place.
   */
  readonly record?: SessionRecord
}

/**
 * Serves the client to its end. When the client closes, calls that are still worked on may finish for a while, if it still
 * lives; an interruption says goodbye at once.
 */
export const run = Effect.fn("Shim.run")(function* <E, E2>(
  given: Options<E, E2>
): Effect.fn.Return<void, never, Crypto> {
  yield* Effect.scoped(
    Effect.gen(function* () {
      const counted = yield* CountedStream.counted(given.client, given.target, given.metrics)
      const traced = yield* TracedStream.traced(counted, spansOf(given.target))
      const guard = yield* guardOf(given)
      const options: Guarded<E, E2> = { ...given, client: traced, guard }
      const { board, isEager, lists: fileOf, moves, pins, record, target } = options
      // What is recorded is written message by message, because each must have its place before the next.
      const output = record === undefined ? yield* TurnWriter.make(traced.write) : undefined
      const plain = output === undefined ? traced : { ...traced, write: output.write }
      const restored = record?.restored && ShimState.restore(record.restored)
      const signs = board && (yield* SignOfLife.make(plain, restored && ShimState.eraOf(restored)))
      const health = moves && (yield* InstanceHealth.make(signs?.client ?? plain, moves, restored?.calls))
      const client = health?.client ?? signs?.client ?? plain
      const isWhole = pins?.isStrict !== true
      const lists = fileOf && (yield* SessionLists.make({ target, fileOf, moves, isWhole, isEager }))
      for (const { id, method } of restored?.calls ?? []) if (method === "tools/list") pins?.awaits(id)
      const known = { carried: guard?.carried, lists, record, restored }
      const bare = yield* ShimSession.make(guarded({ ...options, client }), target, known)
      const watched = health === undefined ? bare : yield* health.watch(bare)
      const session = signs?.watch(watched) ?? watched
      if (board && signs) yield* board.show({ target, session, signs })
      const farewell = yield* Deferred.make<void>()
      const early = isEager === true && lists !== undefined ? tellEarly(session, lists) : Effect.void
      yield* Effect.forkScoped(Effect.andThen(early, ShimConnection.run(options, session, farewell)))
      if (isEager !== true) yield* Effect.forkScoped(Effect.delay(session.away, AWAY_AFTER))
      // Runs before the connection is interrupted, whatever the reason of the end.
      yield* Effect.addFinalizer((exit) =>
        Exit.isFailure(exit) && record?.isOver === false ? Effect.void : ShimConnection.sayGoodbye(session, farewell)
      )
      const reading = readClient({ ...options, client }, session)
      const finished = Effect.raceFirst(session.settled, options.orphaned ?? Effect.never)
      const served = Effect.andThen(reading, Effect.timeoutOption(finished, FINISH_TIMEOUT))
      const broken = output === undefined ? Effect.never : Effect.ignore(output.broken)
      yield* Effect.raceAllFirst([served, session.over, broken])
    })
  )
})

/** Calls as spans, where anybody wants them. */
const spansOf = ({ peer, service }: Target): TracedStream.Options => ({
  requests: "read",
  kind: "internal",
  attributes: { "mcp.service": `${peer}/${service}` }
})

interface Guarded<E, E2> extends Options<E, E2> {
  readonly guard: EgressGuard | undefined
}

/** The guard of this session, until the scope ends. */
const guardOf = <E, E2>({
  egress,
  target
}: Options<E, E2>): Effect.Effect<EgressGuard | undefined, never, Scope.Scope> =>
  egress === undefined
    ? Effect.succeed(undefined)
    : Effect.acquireRelease(
        Effect.map(Clock.Clock, (clock) => new EgressGuard(target, egress, () => MonotonicTime.nowMsUnsafe(clock))),
        (guard) => Effect.sync(() => guard.close())
      )

/** The client as the session writes to it: one message and a newline at a time. */
const guarded = <E, E2>({ client, guard, pins }: Guarded<E, E2>): Duplex<E> => {
  if (pins === undefined && guard === undefined) return client
  // Pins know every tool as it is listed, shown to the client or not.
  const pinned = (message: Uint8Array) => pins?.toClient(message) ?? Effect.succeed(message)
  return {
    ...client,
    write: (line) =>
      Effect.flatMap(pinned(line.subarray(0, -1)), (message) =>
        client.write(Bytes.concat(guard?.toClient(message) ?? message, NEWLINE))
      )
  }
}

const readClient = <E, E2>(
  { client, guard, pins }: Guarded<E, E2>,
  shim: ShimSession.ShimSession
): Effect.Effect<void> => {
  const lines = new LineSplitter(MESSAGE_BYTES_MAX)
  const isFree = pins === undefined && guard === undefined
  const answersTo = (message: Uint8Array) =>
    Effect.map(
      pins?.fromClient(message) ?? Effect.succeed(undefined),
      (answers) => answers ?? guard?.fromClient(message)
    )
  const session = {
    fromClient: (line: Line): Effect.Effect<void> =>
      isFree || line._tag === "Oversized"
        ? shim.fromClient(line)
        : Effect.flatMap(answersTo(line.bytes), (answers) =>
            answers === undefined
              ? shim.fromClient(line)
              : Effect.forEach(answers, (answer) => shim.say(answer), { discard: true })
          )
  }
  return Effect.gen(function* () {
    while (true) for (const line of lines.push(yield* client.read)) yield* session.fromClient(line)
  }).pipe(
    Effect.ignore,
    Effect.andThen(
      Effect.suspend(() => {
        const last = lines.finish()
        return last === undefined ? Effect.void : Effect.ignore(session.fromClient(last))
      })
    )
  )
}

/**
 * Done when a connection is wanted: what the client asks first is answered from memory, and a connection in the middle of
 * that would need another session. Nor shall servers start while many services are still being shown.
 */
const tellEarly = (session: ShimSession.ShimSession, lists: SessionLists.SessionLists): Effect.Effect<unknown> =>
  Effect.gen(function* () {
    yield* session.away
    // Whoever waits now has asked for what is not known.
    if (session.health().inFlight === 0) session.demand.closeUnsafe()
    yield* Effect.raceFirst(session.demand.await, lists.begun)
    const spread = yield* Random.next
    yield* Effect.raceFirst(session.demand.await, Effect.sleep(REFRESH_MS * (1 + spread)))
  }).pipe(Effect.timeoutOption(BEGIN_TIMEOUT))

const NEWLINE = Uint8Array.of(0x0a)
/** A client at its start gets what is known from before when there is no connection after that. */
const AWAY_AFTER = "3 seconds"
/** The server of a client that has been told at once is asked after once to twice this time. */
const REFRESH_MS = 2000
/** How long a connection waits for such a client at most. */
const BEGIN_TIMEOUT = "8 seconds"
const FINISH_TIMEOUT = "10 seconds"
