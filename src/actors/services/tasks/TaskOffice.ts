/** Puts the tasks of a node together: table and disk, port 1003, deliveries, and the face for commands and programs. */
import { Clock, Effect, Exit, type FileSystem, type Path, type PlatformError, Result, type Scope } from "effect"
import * as MonotonicTime from "../../../core/actor/MonotonicTime.ts"
import * as Provided from "../../../core/actor/Provided.ts"
import { Crypto } from "../../../core/crypto/Crypto.ts"
import * as Executing from "../../../protocol/task/Executing.ts"
import * as Passing from "../../../protocol/task/Passing.ts"
import * as Submitting from "../../../protocol/task/Submitting.ts"
import type { Side, TaskRecord } from "../../../protocol/task/TaskRecord.ts"
import * as TaskRefusal from "../../../protocol/task/TaskRefusal.ts"
import { LIMITS, type Limits, type TaskTable } from "../../../protocol/task/TaskTable.ts"
import type { Address } from "../../../protocol/wire/Address.ts"
import * as TaskFrame from "../../../protocol/wire/TaskFrame.ts"
import { Node, type PortInUse } from "../../node/Node.ts"
import { PolicyGuard } from "../../policy/PolicyGuard.ts"
import type { PeerKeys } from "../../trust/PeerKeys.ts"
import * as TaskActor from "./TaskActor.ts"
import * as TaskDelivery from "./TaskDelivery.ts"
import * as TaskLetter from "./TaskLetter.ts"
import * as TaskListener from "./TaskListener.ts"
import * as TaskPeer from "./TaskPeer.ts"
import * as TaskPlaces from "./TaskPlaces.ts"
import type { TaskStore, TaskStoreError } from "./TaskStore.ts"
import { type NewTask, TaskError, type Tasks } from "./Tasks.ts"
import * as TaskWaiters from "./TaskWaiters.ts"

/** What an office is made from. */
export interface Options {
  readonly home: string
  readonly store: TaskStore
  readonly limits?: Partial<Limits>
  /** Why the scores of two nodes forbid a task (node §6.2), if they do. */
  readonly gate: (from: Address) => Effect.Effect<string | undefined>
  /** For the scores of both (node §6.5). Must not wait. */
  readonly completed: (task: TaskRecord) => void
  readonly neglected: (tasks: ReadonlyArray<TaskRecord>) => void
  /** Asks for trust, and waits so long; whether it came. */
  readonly earn: Tasks["Service"]["earn"]
}

type Services = Crypto | FileSystem.FileSystem | Node | Path.Path | PeerKeys

/** Serves in the surrounding scope. */
export const start = Effect.fn("TaskOffice.start")(function* (
  options: Options
): Effect.fn.Return<
  Tasks["Service"],
  PortInUse | PlatformError.PlatformError | TaskStoreError,
  Services | Scope.Scope
> {
  const { home } = options
  yield* TaskPlaces.prepare(home)
  const counters: TaskListener.Counters = { malformed: 0, refused: 0 }
  let isReady = true
  const desk = yield* TaskActor.spawn({ ...options, limits: { ...LIMITS, ...options.limits } })
  const gate = (from: Address) =>
    Effect.suspend(() => (isReady ? options.gate(from) : Effect.succeed("tasks disabled")))
  yield* TaskListener.start({ home, desk, counters, gate, guard: yield* PolicyGuard, completed: options.completed })
  const delivery = yield* TaskDelivery.start(desk)
  const services = yield* Provided.services<Services>()
  const running = Effect.provideContext(services)
  return {
    ...looking(desk, running),
    ...submitting(desk, delivery, running),
    ...executing(desk, delivery, home, running),
    ledger: Effect.sync(() => desk.table().ledger.all),
    earn: options.earn,
    setReady: (on) =>
      Effect.sync(() => {
        isReady = on
      }),
    status: Effect.sync(() => ({
      isReady,
      received: desk.table().size("received"),
      submitted: desk.table().size("submitted"),
      untoldPeers: desk.table().untoldPeers.length,
      ...counters
    }))
  }
})

type Running = <A, E>(effect: Effect.Effect<A, E, Services>) => Effect.Effect<A, E>

const looking = (
  desk: TaskActor.TaskDesk,
  running: Running
): Pick<Tasks["Service"], "get" | "list" | "queued" | "changed" | "outcome"> => {
  const get = (side: Side, id: string) =>
    desk.decide((table) => Result.fromNullishOr(table.get(side, id), () => TaskRefusal.none(id)))
  return {
    get,
    list: (side) => desk.decide((table) => Result.succeed(table.all(side))),
    queued: desk.decide((table) => Result.succeed(table.queued)),
    changed: ({ heard, id, revision, side }, timeoutMs) => {
      const isLater = () => {
        const task = desk.table().get(side, id)
        return task === undefined || task.revision > revision || task.heard > heard
      }
      const change = desk.changed(side, id, isLater)
      return Effect.andThen(Effect.timeoutOption(change, timeoutMs), get(side, id))
    },
    outcome: (task) => running(TaskPlaces.outcome(task))
  }
}

const submitting = (
  desk: TaskActor.TaskDesk,
  delivery: TaskDelivery.TaskDelivery,
  running: Running
): Pick<Tasks["Service"], "submit" | "offer" | "cancel"> => {
  const submit = (task: NewTask) => running(submitTo(desk, task))
  const cancel = (id: string, why: string) =>
    desk.decide((table, nowMs) => Submitting.cancel(table, lastTry(table, id), why, nowMs))
  return {
    submit,
    cancel,
    offer: Effect.fnUntraced(function* (task) {
      const { get } = looking(desk, running)
      for (let offered = yield* submit(task); ; ) {
        const passed = yield* Effect.exit(delivery.pass(offered.peer))
        const answered = yield* get("submitted", offered.id)
        if (answered.successor !== undefined) {
          offered = yield* get("submitted", answered.successor)
          continue
        }
        if (Exit.isSuccess(passed) && answered.status !== "OFFERED") return answered
        yield* Effect.ignore(cancel(offered.id, "its peer was not reached"))
        yield* passed
        return yield* new TaskError({ reason: "Unreachable", detail: "the peer has not answered" })
      }
    })
  }
}

/** The task as it stands now, after all peers that it was passed on from. */
const lastTry = (table: TaskTable, id: string): string => {
  let last = id
  for (let next: string | undefined = id; next !== undefined; next = table.get("submitted", last)?.successor)
    last = next
  return last
}

const submitTo = Effect.fnUntraced(function* (desk: TaskActor.TaskDesk, task: NewTask) {
  const { randomBytes } = yield* Crypto
  const from = yield* Effect.flatMap(Node, ({ address }) => address)
  const { others, ...wish } = task
  const found = yield* Effect.forEach(new Set([task.to, ...(others ?? [])]), TaskPeer.find)
  const peers = found.filter((peer) => peer !== undefined)
  if (peers.length === 0)
    return yield* new TaskError({ reason: "Unreachable", detail: `node ${task.to} is not trusted` })
  const id = task.id ?? TaskFrame.idOf(randomBytes(16))
  if (!TaskFrame.isId(id))
    return yield* new TaskError({ reason: "Invalid", detail: "an id has 1 to 64 of A-Z a-z 0-9 _ -" })
  return yield* desk.decide((table, nowMs) => {
    const [to, ...next] = Passing.ranked(table, peers, task.kind)
    const offer = { ...wish, id, to: to!, from, acceptMs: task.acceptMs ?? 0 }
    return Submitting.submit(table, others === undefined ? offer : { ...offer, others: next }, nowMs)
  })
})

const executing = (
  desk: TaskActor.TaskDesk,
  delivery: TaskDelivery.TaskDelivery,
  home: string,
  running: Running
): Pick<
  Tasks["Service"],
  "accept" | "decline" | "execute" | "finish" | "fail" | "claim" | "renew" | "tell" | "release"
> => ({
  accept: (id, waitMs, wanted = "") => {
    const once = desk.decide((table, nowMs) => Executing.accept(table, id, nowMs, wanted))
    if (id !== undefined || waitMs <= 0) return once
    const names = [TaskWaiters.toAccept(wanted)]
    const woken = Effect.flatMap(Clock.currentTimeMillis, (nowMs) =>
      desk.waiters.wait(names, () => Executing.acceptable(desk.table(), wanted, nowMs) !== undefined)
    )
    const waited = until(once, waitMs, (error) => (error.reason === "NotFound" ? woken : undefined))
    return desk.waiters.looking(names, waited)
  },
  decline: (id, why) => desk.decide((table, nowMs) => Executing.decline(table, id, why, nowMs)),
  execute: desk.decide((table, nowMs) => Executing.execute(table, nowMs)),
  finish: Effect.fnUntraced(function* (id, given, attempt) {
    const task = yield* looking(desk, running).get("received", id)
    const outcome = given._tag === "Local" ? yield* running(TaskPlaces.local(given)) : given
    yield* Effect.fromResult(TaskLetter.check(task, outcome))
    const result = yield* running(TaskPlaces.keep(home, "received", id, outcome))
    const finished = yield* desk.decide((table, nowMs) => Executing.finish(table, id, result, nowMs, attempt))
    // A program goes on with its next task, and what it has done is told behind it, with whatever else there is to tell.
    if (attempt !== undefined) return finished
    // A first try now, so that a person hears whether the submitter knows.
    yield* Effect.ignore(Effect.timeout(delivery.pass(finished.peer), TELL_TIMEOUT))
    return yield* Effect.orElseSucceed(looking(desk, running).get("received", id), () => finished)
  }),
  fail: (id, failure) => desk.decide((table, nowMs) => Executing.fail(table, id, failure, nowMs)),
  claim: (kinds, { leaseMs, waitMs, worker }) => claim(desk, kinds, { leaseMs, waitMs, worker }),
  renew: (id, attempt, leaseMs, progress) =>
    desk.decide((table, nowMs) => Executing.renew(table, id, attempt, leaseMs, nowMs, progress)),
  tell: (id, progress) =>
    progress.length > Executing.PROGRESS_MAX
      ? Effect.fail(
          new TaskError({ reason: "Invalid", detail: `progress has at most ${Executing.PROGRESS_MAX} characters` })
        )
      : desk.decide((table) => Executing.tell(table, id, progress)),
  release: (worker, isLost) =>
    desk.decide((table, nowMs) => Result.succeed(Executing.release(table, worker, nowMs, isLost)))
})

const claim = (
  desk: TaskActor.TaskDesk,
  kinds: ReadonlyArray<string>,
  options: { readonly worker: string; readonly leaseMs: number; readonly waitMs: number }
): Effect.Effect<TaskRecord | undefined, TaskError> => {
  const { leaseMs, waitMs, worker } = options
  const once = desk.decide<TaskRecord>((table, nowMs) => {
    const task = Executing.claim(table, kinds, worker, leaseMs, nowMs)
    return task === undefined ? TaskRefusal.fail("NotFound", "nothing waits") : Result.succeed(task)
  })
  const names = kinds.map(TaskWaiters.toClaim)
  const waited = until(once, waitMs, (error) =>
    error.reason === "NotFound"
      ? Effect.flatMap(Clock.currentTimeMillis, (nowMs) => claimable(desk, kinds, names, nowMs))
      : undefined
  )
  return Effect.catch(desk.waiters.looking(names, waited), (error) =>
    error.reason === "NotFound" ? Effect.undefined : Effect.fail(error)
  )
}

/** Until something of these kinds may be claimed, as far as anybody knows. */
const claimable = (
  desk: TaskActor.TaskDesk,
  kinds: ReadonlyArray<string>,
  names: ReadonlyArray<string>,
  nowMs: number
) => {
  const next = () => desk.table().queue.nextAtMs(kinds)
  const nextAtMs = next()
  const woken = desk.waiters.wait(names, () => (next() ?? Number.POSITIVE_INFINITY) <= nowMs)
  return nextAtMs === undefined ? woken : Effect.raceFirst(woken, Effect.sleep(Math.max(1, nextAtMs - nowMs)))
}

/** Tries again whenever `again` says so, for so long. What was decided is never given up halfway. */
const until = Effect.fnUntraced(function* (
  once: Effect.Effect<TaskRecord, TaskError>,
  waitMs: number,
  again: (error: TaskError) => Effect.Effect<void> | undefined
): Effect.fn.Return<TaskRecord, TaskError> {
  const endsAtMs = (yield* MonotonicTime.nowMs) + waitMs
  for (;;) {
    const tried = yield* Effect.result(once)
    if (Result.isSuccess(tried)) return tried.success
    const waiting = again(tried.failure)
    const leftMs = endsAtMs - (yield* MonotonicTime.nowMs)
    if (waiting === undefined || leftMs <= 0) return yield* tried.failure
    yield* Effect.timeoutOption(waiting, leftMs)
  }
})

const TELL_TIMEOUT = "5 seconds"
