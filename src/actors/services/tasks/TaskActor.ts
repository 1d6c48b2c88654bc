/**
 * The tasks of a node (node §6): one table, one database.
 *
 * Owns both. Told by the streams of port 1003, by its own deliveries, by commands and by workers what happened to tasks; tells
 * whoever waits for a change, and `TaskDelivery` whom there is something to tell. All decisions of one turn are stored in one
 * transaction, and only then answered; those that come while the disk works are the next turn. Mailbox full: they wait. A disk
 * that does not take a transaction is an answer to all who were in it, and the table is what the disk holds again; a defect
 * restarts the actor the same way, `RESTARTS` times.
 */
import { Clock, Deferred, Effect, Exit, type FileSystem, Queue, Result, type Scope } from "effect"
import * as Actor from "../../../core/actor/Actor.ts"
import * as MonotonicTime from "../../../core/actor/MonotonicTime.ts"
import { Signal } from "../../../core/actor/Signal.ts"
import { TaskLedger } from "../../../protocol/task/TaskLedger.ts"
import type { Side, TaskRecord } from "../../../protocol/task/TaskRecord.ts"
import type { TaskRefusal } from "../../../protocol/task/TaskRefusal.ts"
import { type Change, type Limits, TaskTable } from "../../../protocol/task/TaskTable.ts"
import type { NodeId } from "../../../protocol/wire/Address.ts"
import * as TaskPlaces from "./TaskPlaces.ts"
import type { TaskStore, TaskStoreError } from "./TaskStore.ts"
import { TaskError } from "./Tasks.ts"
import * as TaskWaiters from "./TaskWaiters.ts"

/** A decision about tasks; synchronous, so that a turn of them is one transaction. */
export type Decide<A> = (table: TaskTable, nowMs: number) => Result.Result<A, TaskRefusal>

/** The table as its neighbours in this room use it. */
export interface TaskDesk {
  /** What is decided is on disk when this returns. */
  readonly decide: <A>(decide: Decide<A>) => Effect.Effect<A, TaskError>
  /** As it is now, with what is not stored yet: to see whether there is something to ask for, and for nothing that is told. */
  readonly table: () => TaskTable
  /** Waits until the task has changed, unless `isThere` finds that it has already. */
  readonly changed: (side: Side, id: string, isThere: () => boolean) => Effect.Effect<void>
  /** Waits until there is something new to tell a peer. */
  readonly news: (peer: NodeId) => Effect.Effect<void>
  /** Woken when a task has come or is free again. */
  readonly waiters: TaskWaiters.TaskWaiters
  /** The next peer that there is something new to tell; waits for one. Each is named once until it is taken. */
  readonly untold: Effect.Effect<NodeId>
}

/** What a desk is made from. */
export interface Options {
  readonly home: string
  readonly store: TaskStore
  readonly limits: Limits
  /** These tasks were neglected for an hour at the head of the queue. Must not wait. */
  readonly neglected: (tasks: ReadonlyArray<TaskRecord>) => void
}

/** One decision in its envelope. */
export interface TaskActorMessage {
  readonly run: (table: TaskTable, nowMs: number) => (stored: Result.Result<void, TaskError>) => void
}

/** Starts the actor in the surrounding scope. */
export const spawn = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<TaskDesk, TaskStoreError, FileSystem.FileSystem | Scope.Scope> {
  const state: State = {
    table: yield* loaded(options),
    settling: [],
    waiting: new Map(),
    waiters: new TaskWaiters.TaskWaiters(),
    untold: yield* Queue.unbounded<NodeId>(),
    queuedPeers: new Set(),
    unwritten: new Map(),
    written: new Signal()
  }
  yield* Effect.forkScoped(writeFiles(options.home, state))
  for (const side of ["received", "submitted"] as const)
    for (const record of state.table.all(side)) show(state, { _tag: "Put", record })
  let isFirstLife = true
  const ref = yield* Actor.spawn<TaskActorMessage, TaskStoreError, never>({
    name: "tasks",
    mailbox: { capacity: MAILBOX_CAPACITY, overflow: "backpressure" },
    restart: RESTARTS,
    start: Effect.gen(function* () {
      const clock = yield* Clock.Clock
      if (!isFirstLife) state.table = yield* loaded(options)
      isFirstLife = false
      state.waiters.wakeAll()
      tell(state, state.table.untoldPeers)
      return handlers(options, state, clock)
    }),
    onExit: (exit) =>
      Effect.andThen(
        exit._tag === "Failed" ? Effect.logError("tasks: gave up", exit.cause) : Effect.void,
        Effect.sync(() => settle(state, Result.fail(stopped)))
      )
  })
  return {
    decide: <A>(decide: Decide<A>) => ask(ref, decide),
    table: () => state.table,
    changed: (side, id, isThere) => waitFor(state, `${side} ${id}`, isThere),
    news: (peer) => waitFor(state, newsOf(peer), () => false),
    waiters: state.waiters,
    untold: Effect.map(Queue.take(state.untold), (peer) => {
      state.queuedPeers.delete(peer)
      return peer
    })
  }
})

/** As it is on the disk. */
const loaded = ({ limits, store }: Options): Effect.Effect<TaskTable, TaskStoreError> =>
  Effect.map(
    Effect.all([store.load, store.ledger]),
    ([tasks, ledger]) => new TaskTable(limits, tasks, new TaskLedger(ledger))
  )

interface State {
  table: TaskTable
  /** What this turn has decided, to be answered when it is stored. */
  settling: Array<(stored: Result.Result<void, TaskError>) => void>
  readonly waiting: Map<string, Signal>
  readonly waiters: TaskWaiters.TaskWaiters
  readonly untold: Queue.Queue<NodeId>
  readonly queuedPeers: Set<NodeId>
  /** Files that do not show what the database holds. */
  readonly unwritten: Map<string, Change>
  readonly written: Signal
}

const ask = <A>(ref: Actor.ActorRef<TaskActorMessage>, decide: Decide<A>): Effect.Effect<A, TaskError> =>
  Effect.suspend(() => {
    const reply = Deferred.makeUnsafe<A, TaskError>()
    const message: TaskActorMessage = {
      run: (table, nowMs) => {
        const decided = Result.mapError(decide(table, nowMs), (refusal) => new TaskError(refusal))
        return (stored) =>
          Deferred.doneUnsafe(
            reply,
            Result.match(Result.andThen(stored, decided), { onFailure: Exit.fail, onSuccess: Exit.succeed })
          )
      }
    }
    return Effect.andThen(
      Effect.mapError(ref.tell(message), () => stopped),
      Deferred.await(reply)
    )
  })

const handlers = (
  options: Options,
  state: State,
  clock: Clock.Clock
): Actor.Handlers<TaskActorMessage, TaskStoreError, never> => {
  let lookAtMs = 0
  const nowMs = () => Math.floor(clock.currentTimeMillisUnsafe())
  /** Deadlines are of the wall clock, which may jump: they are looked at once in a while, whatever it said before. */
  const nextLookAtMs = () => {
    const inMs = state.table.dueAtMs - nowMs()
    return MonotonicTime.nowMsUnsafe(clock) + Math.max(DUE_MIN_MS, Math.min(inMs, DUE_MAX_MS))
  }
  return {
    receive: ({ run }) => {
      state.settling.push(run(state.table, nowMs()))
    },
    afterBatch: () => {
      lookAtMs = Math.min(lookAtMs, nextLookAtMs())
      return commit(options, state)
    },
    deadlineMs: () => lookAtMs,
    timerFired: () => {
      const neglected = state.table.due(nowMs())
      lookAtMs = nextLookAtMs()
      if (neglected.length > 0) options.neglected(neglected)
    }
  }
}

const commit = (options: Options, state: State): Effect.Effect<void, TaskStoreError> | undefined => {
  const changes = state.table.drain()
  if (changes.length === 0) {
    settle(state, Result.void)
    return
  }
  return Effect.matchEffect(options.store.commit(changes, state.table.ledger.drain()), {
    onSuccess: () =>
      Effect.sync(() => {
        for (const change of changes) show(state, change)
        tell(
          state,
          changes.filter(({ record }) => isNews(record)).map(({ record }) => record.peer)
        )
        settle(state, Result.void)
        for (const { record } of changes) wake(state, record)
      }),
    onFailure: ({ detail }) =>
      Effect.gen(function* () {
        yield* Effect.logError(`tasks: ${changes.length} changes were not stored: ${detail}`)
        state.table = yield* loaded(options)
        settle(
          state,
          Result.fail(new TaskError({ reason: "NotStored", detail: `the task cannot be stored: ${detail}` }))
        )
        // Whoever was woken for a task and could not take it is answered; the task is still there.
        state.waiters.wakeAll()
      })
  })
}

const settle = (state: State, stored: Result.Result<void, TaskError>): void => {
  const settling = state.settling
  state.settling = []
  for (const done of settling) done(stored)
}

const show = ({ unwritten, written }: State, change: Change): void => {
  unwritten.set(`${change.record.side} ${change.record.id}`, change)
  written.raise()
}

const tell = ({ queuedPeers, untold }: State, peers: ReadonlyArray<NodeId>): void => {
  for (const peer of peers) {
    if (queuedPeers.has(peer)) continue
    queuedPeers.add(peer)
    Queue.offerUnsafe(untold, peer)
  }
}

const isNews = ({ revision, told }: TaskRecord): boolean => told < revision

const wake = ({ waiters, waiting }: State, record: TaskRecord): void => {
  const { id, kind, notBeforeMs, peer, side, status } = record
  for (const key of [`${side} ${id}`, ...(isNews(record) ? [newsOf(peer)] : [])]) {
    const signal = waiting.get(key)
    waiting.delete(key)
    signal?.raise()
  }
  if (side !== "received" || (status !== "NEW" && status !== "ACCEPTED")) return
  if (status === "NEW") waiters.wake(TaskWaiters.toAccept(kind))
  // One that pauses is for whoever is free then: all must know when.
  if (notBeforeMs > 0) waiters.wakeAll(TaskWaiters.toClaim(kind))
  else waiters.wake(TaskWaiters.toClaim(kind))
}

/** A signal is there while somebody waits for it. */
const waitFor = ({ waiting }: State, key: string, isThere: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => {
    const signal = waiting.get(key) ?? new Signal()
    waiting.set(key, signal)
    const left = Effect.sync(() => {
      if (!signal.isAwaited && waiting.get(key) === signal) waiting.delete(key)
    })
    return Effect.ensuring(signal.waitUnless(isThere), left)
  })

const newsOf = (peer: NodeId): string => `news ${peer}`

/** Behind the database, each file once however often its task has changed meanwhile. */
const writeFiles = (home: string, { unwritten, written }: State) =>
  Effect.forever(
    Effect.gen(function* () {
      yield* written.waitUnless(() => unwritten.size > 0)
      for (const [key, { _tag, record }] of [...unwritten]) {
        unwritten.delete(key)
        yield* Effect.catch(TaskPlaces.mirror(home, record, _tag === "Removed"), (error) =>
          Effect.logWarning(`tasks: the file of ${record.id} is not up to date: ${error.message}`)
        )
      }
    })
  )

const stopped = new TaskError({ reason: "Stopped", detail: "the node is stopping" })

const RESTARTS = { intensity: 5, periodMs: 60_000 }
const MAILBOX_CAPACITY = 1_024
/** Timers of tasks are coarse: a look goes over all of them. */
const DUE_MIN_MS = 250
const DUE_MAX_MS = 30_000
