/** The executor's side of tasks (node §6.2, §6.4): what may happen to those that a node was given. */
import { Result } from "effect"
import * as Address from "../wire/Address.ts"
import * as TaskFrame from "../wire/TaskFrame.ts"
import type * as TaskRecord from "./TaskRecord.ts"
import * as TaskRefusal from "./TaskRefusal.ts"
import * as TaskSteps from "./TaskSteps.ts"
import type { TaskTable } from "./TaskTable.ts"
import * as TaskTime from "./TaskTime.ts"

type Answer = TaskRefusal.Answer

/** A peer submits a task. The same task again is the one that is there. */
export const receive = (
  table: TaskTable,
  submit: TaskFrame.Submit,
  from: TaskRefusal.Peer,
  to: Address.Address,
  nowMs: number
): Answer => {
  const { description, id, ours } = submit
  const { address, key } = from
  if (!TaskFrame.isId(id)) return TaskRefusal.fail("InvalidState", "not an id of a task")
  const known = table.get("received", id)
  if (known !== undefined) {
    const isSame = TaskRefusal.isKeyOf(from, known.peerKey) && known.description === description
    return isSame ? Result.succeed(known) : TaskRefusal.taken(id)
  }
  const full = table.fullness("received", address.node, description)
  if (full !== undefined) return TaskRefusal.fail("Full", full)
  const base = TaskSteps.fresh({
    ...{ side: "received", id, description, peer: address.node, peerKey: key },
    ...{ from: Address.format(address), to: Address.format(to), createdAtMs: nowMs },
    expiresAtMs: nowMs + lifeMs(ours)
  })
  const status = { status: "NEW", justification: CREATED } as const
  return Result.succeed(
    table.put({ ...base, ...status, kind: ours?.kind ?? "", priority: ours?.priority ?? 0, isOurs: ours !== undefined })
  )
}

/** Somebody will do it: the one named, or the oldest of that kind that is not too old. */
export const accept = (table: TaskTable, id: string | undefined, nowMs: number, kind = ""): Answer => {
  if (id === undefined) {
    const oldest = acceptable(table, kind, nowMs)
    return oldest === undefined ? TaskRefusal.fail("NotFound", "no new task waits") : accept(table, oldest.id, nowMs)
  }
  return Result.map(undecided(table, id, nowMs), (task) => {
    const accepted = table.put(TaskSteps.answered(task, "ACCEPTED", "Task accepted", nowMs))
    stage(table, nowMs)
    return table.get("received", id) ?? accepted
  })
}

/** The oldest of a kind that may still be accepted. */
export const acceptable = (table: TaskTable, kind: string, nowMs: number): TaskRecord.TaskRecord | undefined => {
  // Those that are too old are cancelled soon, and are few.
  for (const task of table.fresh(kind)) if (!TaskTime.isTooOld(task, nowMs)) return task
  return undefined
}

/** Nobody here will. */
export const decline = (table: TaskTable, id: string, why: string, nowMs: number): Answer =>
  Result.map(undecided(table, id, nowMs), (task) => table.put(TaskSteps.answered(task, "DECLINED", why, nowMs)))

/** Begins the accepted task that has waited longest, for somebody who needs no lease. */
export const execute = (table: TaskTable, nowMs: number): Answer => {
  const first = table.head
  if (first === undefined) {
    const isEmpty = table.size("received") === 0
    return TaskRefusal.fail("NotFound", isEmpty ? "no received tasks found" : "no accepted tasks to execute")
  }
  const task = table.put(TaskSteps.begun(first, nowMs))
  stage(table, nowMs)
  return Result.succeed(task)
}

/** Begins the first task of these kinds for a worker, which must renew its lease or lose the task. */
export const claim = (
  table: TaskTable,
  kinds: ReadonlyArray<string>,
  worker: string,
  leaseMs: number,
  nowMs: number
): TaskRecord.TaskRecord | undefined => {
  const id = table.queue.first(kinds, nowMs)
  const task = id === undefined ? undefined : table.get("received", id)
  if (task === undefined) return undefined
  const accepted = task.status === "NEW" ? TaskSteps.answered(task, "ACCEPTED", "Task accepted", nowMs) : task
  return table.put({ ...TaskSteps.begun(accepted, nowMs), worker, leaseUntilMs: nowMs + leaseMs })
}

/** The worker is alive, and may say how far it is: JSON text. */
export const renew = (
  table: TaskTable,
  id: string,
  attempt: number,
  leaseMs: number,
  nowMs: number,
  progress?: string
): Answer =>
  Result.map(held(table, id, attempt), (task) => {
    // A submitter of the reference has no place for it.
    const isNew = task.isOurs && progress !== undefined && progress !== task.progress
    const said = isNew ? { progress, revision: task.revision + 1 } : {}
    return table.put({ ...task, ...said, leaseUntilMs: nowMs + leaseMs })
  })

/** Somebody who needs no lease says how far it is: JSON text. */
export const tell = (table: TaskTable, id: string, progress: string): Answer =>
  Result.map(working(table, id, undefined), (task) =>
    task.isOurs && progress !== task.progress ? table.put({ ...task, progress, revision: task.revision + 1 }) : task
  )

/** The result is there, and on disk. Without an attempt it comes from somebody who needs no lease. */
export const finish = (
  table: TaskTable,
  id: string,
  result: TaskRecord.StoredResult,
  nowMs: number,
  attempt?: number
): Answer =>
  Result.map(working(table, id, attempt), (task) => {
    const cpuMs = task.startedAtMs === 0 ? 0 : Math.max(0, nowMs - task.startedAtMs)
    const done = TaskSteps.ended(task, "SUCCEEDED", "Results sent successfully", nowMs)
    const finished = table.put({ ...done, times: { ...task.times, cpuMs }, result })
    if (task.status === "ACCEPTED") stage(table, nowMs)
    return finished
  })

/** It went wrong: again later, or never. */
export const fail = (
  table: TaskTable,
  id: string,
  failure: { readonly why: string; readonly isFinal: boolean; readonly attempt?: number },
  nowMs: number
): Answer =>
  Result.map(working(table, id, failure.attempt), (task) =>
    table.put(
      failure.isFinal || task.attempt >= table.limits.attemptsMax
        ? TaskSteps.ended(task, "FAILED", failure.why, nowMs)
        : TaskSteps.waiting(task, failure.why, nowMs + TaskTime.pauseMs(task.attempt))
    )
  )

/**
 * A worker has left: another one may go on at once with what it had. One that was lost without a word, and is back, is its own
 * heir; it need not wait for the end of its lease, but a task that kills whoever works on it is given up as ever.
 */
export const release = (table: TaskTable, worker: string, nowMs: number, isLost = false): void => {
  for (const task of table.all("received"))
    if (task.worker === worker)
      table.put(isLost ? TaskTime.lost(task, table.limits, nowMs, 0) : TaskSteps.waiting(task, LEFT, nowMs))
}

/** Its submitter wants nothing any more. */
export const cancelledBySubmitter = (
  table: TaskTable,
  task: TaskRecord.TaskRecord,
  revision: number,
  nowMs: number
): TaskRecord.TaskRecord => {
  const heard = { ...task, heard: revision }
  const isOver = task.completedAtMs !== 0
  return table.put(
    isOver ? heard : TaskSteps.silent(TaskSteps.ended(heard, "CANCELLED", "cancelled by its submitter", nowMs))
  )
}

/** From now on the first of those that a person has accepted has nobody before it (node §6.4, 1). */
const stage = (table: TaskTable, nowMs: number): void => {
  const { head } = table
  if (head !== undefined && head.stagedAtMs === 0) table.put({ ...head, stagedAtMs: nowMs })
}

const undecided = (table: TaskTable, id: string, nowMs: number): Answer => {
  const task = table.get("received", id)
  if (task === undefined) return TaskRefusal.notFound(id)
  if (task.status !== "NEW") return TaskRefusal.fail("InvalidState", `task ${id} is already ${task.status}`)
  return TaskTime.isTooOld(task, nowMs)
    ? TaskRefusal.fail("Expired", `task ${id} has expired (accept deadline was 1 minute after creation)`)
    : Result.succeed(task)
}

const held = (table: TaskTable, id: string, attempt: number): Answer => {
  const task = table.get("received", id)
  if (task === undefined) return TaskRefusal.notFound(id)
  return task.status === "EXECUTING" && task.attempt === attempt
    ? Result.succeed(task)
    : TaskRefusal.fail("Stale", `task ${id} is ${task.status}, attempt ${task.attempt}`)
}

const working = (table: TaskTable, id: string, attempt: number | undefined): Answer => {
  if (attempt !== undefined) return held(table, id, attempt)
  const task = table.get("received", id)
  if (task === undefined) return TaskRefusal.notFound(id)
  if (task.status !== "ACCEPTED" && task.status !== "EXECUTING")
    return TaskRefusal.fail("InvalidState", `task ${id} cannot receive results (status: ${task.status})`)
  return task.worker === ""
    ? Result.succeed(task)
    : TaskRefusal.fail("InvalidState", `a program is working on task ${id}`)
}

const lifeMs = (ours: TaskFrame.Wish | undefined): number =>
  ours === undefined || ours.lifeMs === 0 ? TaskTime.LIFE_MS : Math.min(ours.lifeMs, TaskTime.LIFE_MAX_MS)

const LEFT = "its worker has left"
/** node §6.3. */
const CREATED = "A new task was created"
/** Characters of what is said of progress by hand. */
export const PROGRESS_MAX = 65_536
