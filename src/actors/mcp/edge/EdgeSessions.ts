/**
 * The sessions of an HTTP edge's legacy clients (mcp §6.5): each with a relay session, and so a server, of its own. With a
 * `StateFile`, they outlive the process: another one that serves the same target goes on with them, each where it was.
 *
 * Owns the table; told of clients by the `HttpEdge`. The end of its scope ends the sessions here, not at the keeper.
 */
import { Clock, Effect, Exit, Schedule, Scope } from "effect"
import * as Provided from "../../../core/actor/Provided.ts"
import { Crypto } from "../../../core/crypto/Crypto.ts"
import * as Bytes from "../../../core/data/Bytes.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import * as DuplexPair from "../../../core/net/DuplexPair.ts"
import * as HandoverPair from "../../../core/net/HandoverPair.ts"
import type { Saved, StateFile } from "../../../core/storage/StateFile.ts"
import type { CallMetrics } from "../../../protocol/relay/CallMetrics.ts"
import { Verdict } from "../../../protocol/relay/era/Verdict.ts"
import type { Welcome } from "../../../protocol/relay/RelayControl.ts"
import * as DetachBridge from "../mount/DetachBridge.ts"
import type { Egress } from "../mount/EgressGuard.ts"
import * as EraBridge from "../mount/EraBridge.ts"
import type { Instances } from "../mount/Instances.ts"
import type { ListFile } from "../mount/ListFile.ts"
import type { MountBoard } from "../mount/MountBoard.ts"
import type { PinGuard } from "../mount/PinGuard.ts"
import * as Shim from "../mount/Shim.ts"
import * as ShimState from "../mount/ShimState.ts"
import { SessionRecord } from "../SessionRecord.ts"
import { isSame, type Target } from "../Target.ts"
import * as EdgeSession from "./EdgeSession.ts"
import * as EdgeState from "./EdgeState.ts"

/** What the sessions lead to. */
export interface Options<E> {
  readonly target: Target
  /** The way of one session, which has its own where several peers have the service. */
  readonly follow: Instances<E>["follow"]
  /** The way of one that an earlier process has left. */
  readonly goOn: Instances<E>["goOn"]
  /** The peers that have it; absent: one. */
  readonly seen?: Instances<E>["seen"]
  /** The clients are known to speak nothing but the modern revision. */
  readonly isModernOnly?: boolean
  /** Tools that work longer are answered with a handle; absent: the owner of the service says. */
  readonly detachAfter?: DetachBridge.After
  /**
   * Opens the server for one client, or for all modern ones, in place of a relay session to the target; its messages are
   * lines.
   */
  readonly connect?: (isShared: boolean) => Effect.Effect<Duplex, never, Scope.Scope>
  /** What watches the tools that the server of one session lists. */
  readonly pins?: (target: Target) => Effect.Effect<PinGuard>
  /** What may leave this node. */
  readonly egress?: Egress | undefined
  /** What is remembered of the service, for all clients, by instance. */
  readonly lists?: (target: Target) => ListFile
  /** Counts the calls. */
  readonly metrics?: CallMetrics
  /** Where sessions are told of. */
  readonly board?: MountBoard
  /**
   * Where sessions are kept for the next process. Those that are translated or detach calls are not.
   */
  readonly state?: StateFile
}

/** The table. */
export interface EdgeSessions {
  /** The revisions that the server is known to speak; shared by all sessions. */
  readonly verdict: Verdict
  /** A way to the server for one client, or for all modern ones; messages are lines. */
  readonly connect: (isShared: boolean) => Effect.Effect<Duplex, never, Scope.Scope>
  /** Gives up the oldest session that nobody uses; false if there is none. */
  readonly makeRoom: Effect.Effect<boolean>
  /** A new session; undefined if there are too many. */
  readonly open: Effect.Effect<{ readonly id: string; readonly session: EdgeSession.EdgeSession } | undefined>
  readonly find: (id: string) => EdgeSession.EdgeSession | undefined
  /** Ends a session for good. */
  readonly close: (id: string) => Effect.Effect<void>
  readonly size: () => number
}

/** The sessions that an earlier process has left, if there are any. */
export const make = Effect.fnUntraced(function* <E>(
  options: Options<E>
): Effect.fn.Return<EdgeSessions, never, Scope.Scope | Crypto> {
  const scope = yield* Effect.scope
  const crypto = yield* Crypto
  const context = yield* Provided.services<never>()
  const { state, target } = options
  const sessions = new Map<string, Entry>()
  const verdict = new Verdict()

  const take = (id: string): Entry | undefined => {
    const entry = sessions.get(id)
    sessions.delete(id)
    entry?.record?.end()
    return entry
  }

  const close = (id: string) =>
    Effect.suspend(() => {
      const entry = take(id)
      return entry === undefined ? Effect.void : Effect.forkIn(Scope.close(entry.scope, Exit.void), scope)
    })

  /**
   * Clients that go without a word leave sessions behind; the oldest that nobody uses goes first, and is gone when this
   * succeeds. One whose client has left just now is noticed a moment later.
   */
  const makeRoom: Effect.Effect<boolean> = Effect.suspend(() => {
    const [id] = [...sessions].find(([, { session }]) => session.isIdle()) ?? []
    const entry = id === undefined ? undefined : take(id)
    return entry === undefined ? Effect.succeed(false) : Effect.as(Scope.close(entry.scope, Exit.void), true)
  }).pipe(Effect.repeat({ until: (isMade) => isMade, times: 4, schedule: Schedule.spaced("250 millis") }))

  /** A relay session; the messages of its client's end are lines. */
  const relay = Effect.fnUntraced(function* (isShared: boolean, record?: SessionRecord) {
    const { board, detachAfter = "owner", egress, isModernOnly = false, lists, metrics } = options
    const restored = record?.restored && ShimState.restore(record.restored)
    const before = restored && (yield* options.goOn(restored.at))
    const route = before ?? (yield* options.follow)
    const { target } = route
    const pins = options.pins && (yield* options.pins(target))
    const [near, far] = yield* record === undefined ? DuplexPair.make : HandoverPair.make
    const isGoingOn = restored !== undefined
    const detaching = yield* DetachBridge.make(far, target, isGoingOn ? "never" : detachAfter)
    // What a translator has promised is nowhere but in this process.
    const translates = () => record?.end()
    const welcomed = (welcome: Welcome) => {
      if (!isGoingOn && welcome.detachAfterMs !== undefined) translates()
      detaching.welcomed(welcome)
    }
    const era = { client: detaching.client, target, verdict, isModernOnly, isShared, translates }
    const client = isGoingOn ? far : yield* EraBridge.make(era)
    const told = {
      ...{ ...(pins && { pins }), ...(lists && { lists }), ...(metrics && { metrics }) },
      ...{ ...(board && { board }), ...(record && { record }) }
    }
    const shim = Shim.run({ client, ...route, makeRoom, egress, welcomed, ...told })
    yield* Effect.forkScoped(Effect.ensuring(shim, far.end))
    return near
  })
  const connect = (isShared: boolean, record?: SessionRecord): Effect.Effect<Duplex, never, Scope.Scope> =>
    options.connect?.(isShared) ?? Effect.provideService(relay(isShared, record), Crypto, crypto)

  const isKept = options.connect === undefined && typeof options.detachAfter !== "number"
  const recordOf = (id: string, restored?: Saved): SessionRecord | undefined =>
    state === undefined || !isKept
      ? undefined
      : new SessionRecord(state.writer(id), restored, () =>
          Effect.runForkWith(context)(
            Effect.logWarning("mcp: a session cannot be kept on disk; it ends with this process")
          )
        )

  const start = Effect.fnUntraced(function* (id: string, record: SessionRecord | undefined) {
    const own = yield* Scope.fork(scope, "sequential")
    const session = yield* Scope.provide(
      Effect.flatMap(connect(false, record), (near) => EdgeSession.make(near, target, record)),
      own
    )
    sessions.set(id, { session, record, scope: own })
    yield* Effect.forkIn(Effect.andThen(session.ended, close(id)), scope)
    return session
  })

  const open = Effect.gen(function* () {
    if (sessions.size >= SESSIONS_MAX && !(yield* makeRoom)) return undefined
    const id = Bytes.toHex(crypto.randomBytes(SESSION_BYTES))
    return { id, session: yield* start(id, recordOf(id)) }
  })

  const restoreAll = Effect.fnUntraced(function* (file: StateFile) {
    const sinceMs = (yield* Clock.currentTimeMillis) - KEPT_MS
    const subjects = file.subjects()
    for (const [index, { name, savedAtMs }] of subjects.entries()) {
      const isWanted = isKept && savedAtMs >= sinceMs && index >= subjects.length - SESSIONS_MAX
      const saved = isWanted ? file.load(name) : undefined
      const at = saved && ShimState.restore(saved)?.at
      const isWhole =
        saved !== undefined &&
        EdgeState.restore(saved) !== undefined &&
        at !== undefined &&
        (options.seen?.() ?? [options]).some(({ target: served }) => isSame(served, at))
      if (isWhole) yield* start(name, recordOf(name, saved))
      else file.writer(name).remove()
    }
  })
  if (state !== undefined) yield* restoreAll(state)

  return {
    ...{ verdict, connect, makeRoom, open, close },
    find: (id) => sessions.get(id)?.session,
    size: () => sessions.size
  }
})

interface Entry {
  readonly session: EdgeSession.EdgeSession
  readonly record: SessionRecord | undefined
  readonly scope: Scope.Closeable
}

/** Not guessable, although a token protects the endpoint as well (mcp §6.5). */
const SESSION_BYTES = 16
/** Sessions of clients; an idle one makes room for a new one. */
export const SESSIONS_MAX = 32
/** A session that no process has served for so long is not taken up again; as long as one waits for an idle client. */
const KEPT_MS = 900_000
