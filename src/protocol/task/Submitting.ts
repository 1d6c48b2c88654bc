/** The submitter's side of tasks (node §6.4): what may happen to those that a node gave away. */
import { Result } from "effect"
import * as Address from "../wire/Address.ts"
import type * as TaskFrame from "../wire/TaskFrame.ts"
import * as Executing from "./Executing.ts"
import * as Passing from "./Passing.ts"
import * as TaskRecord from "./TaskRecord.ts"
import * as TaskRefusal from "./TaskRefusal.ts"
import * as TaskSteps from "./TaskSteps.ts"
import type { TaskTable } from "./TaskTable.ts"
import * as TaskTime from "./TaskTime.ts"

type Answer = TaskRefusal.Answer

/** A task for a peer, which is yet to hear of it. */
export interface Offer extends TaskFrame.Wish {
  readonly id: string
  readonly to: TaskRefusal.Peer
  readonly from: Address.Address
  readonly description: string
  /** Who could do it as well, and how long one may take to accept it. */
  readonly others?: ReadonlyArray<TaskRefusal.Peer>
  readonly acceptMs?: number
}

/** Keeps it until the peer has it. The same offer again is the task that is there. */
export const submit = (table: TaskTable, offer: Offer, nowMs: number): Answer => {
  const { acceptMs = 0, description, from, id, kind, others, priority, to } = offer
  const known = table.get("submitted", id)
  if (known !== undefined) {
    const isTheirs = others !== undefined || TaskRefusal.isKeyOf(to, known.peerKey)
    const isSame = isTheirs && known.description === description && known.kind === kind
    return isSame ? Result.succeed(known) : TaskRefusal.taken(id)
  }
  const full = table.fullness("submitted", to.address.node, description)
  if (full !== undefined) return TaskRefusal.fail("Full", full)
  const lifeMs = offer.lifeMs === 0 ? TaskTime.LIFE_MS : Math.min(offer.lifeMs, TaskTime.LIFE_MAX_MS)
  const base = TaskSteps.fresh({
    ...{ side: "submitted", id, description, peer: to.address.node, peerKey: to.key },
    ...{ from: Address.format(from), to: Address.format(to.address), createdAtMs: nowMs },
    expiresAtMs: nowMs + lifeMs
  })
  const next = (others ?? []).slice(0, Passing.PEERS_MAX - 1)
  const passing =
    next.length === 0
      ? {}
      : {
          others: next.map(({ address, key }) => ({ peer: address.node, peerKey: key })),
          passAtMs: nowMs + Math.max(Passing.ACCEPT_MIN_MS, acceptMs || Passing.ACCEPT_MS)
        }
  return Result.succeed(table.put({ ...base, kind, priority, revision: 1, ...passing }))
}

/** The peer has answered an offer. */
export const answered = (
  table: TaskTable,
  { id, isOurs, isTaken, message }: TaskFrame.Answer,
  nowMs: number
): Answer => {
  const task = table.get("submitted", id)
  if (task === undefined) return TaskRefusal.notFound(id)
  // Whatever it has become meanwhile, the peer has it.
  if (task.status !== "OFFERED") return Result.succeed(table.put({ ...task, isOurs, told: Math.max(1, task.told) }))
  const known = { ...task, isOurs, told: 1 }
  if (isTaken) return Result.succeed(table.put({ ...known, status: "NEW", justification: "A new task was created" }))
  const declined = table.put(TaskSteps.silent(TaskSteps.ended(known, "DECLINED", message, nowMs)))
  Passing.passOn(table, declined, message, nowMs)
  return Result.succeed(declined)
}

/** The executor says where it stands, or the submitter of a task here that it wants nothing any more. */
export const heard = (table: TaskTable, update: TaskFrame.Status, from: TaskRefusal.Peer, nowMs: number): Answer => {
  const { id, justification, ours, status } = update
  const given = table.get("received", id)
  if (ours !== undefined && status === "CANCELLED" && given !== undefined && TaskRefusal.isOf(given, from))
    return Result.succeed(
      isOld(given, ours) ? given : Executing.cancelledBySubmitter(table, given, ours.revision, nowMs)
    )
  return Result.map(theirs(table, id, from), (task) => {
    if (isOld(task, ours)) return task
    const listened = { ...task, ...spokenOf(task, ours) }
    const known = TaskRecord.STATUSES.find((one) => one === status && one !== "OFFERED")
    // A result says more than that there is one (node §6.1), and what was cancelled here stays so.
    if (TaskRecord.isDone(task) || known === undefined) return table.put(listened)
    const changed = table.put({
      ...listened,
      ...{ status: known, justification },
      acceptedAtMs: task.acceptedAtMs || (known === "ACCEPTED" ? nowMs : 0),
      startedAtMs: task.startedAtMs || (known === "EXECUTING" ? nowMs : 0),
      completedAtMs: TaskRecord.isDone({ status: known }) ? nowMs : 0
    })
    // One of the reference that nobody has accepted within a minute is cancelled by its executor.
    const isIgnored = known === "CANCELLED" && task.acceptedAtMs === 0
    if (isIgnored) table.ledger.record(task.peerKey, task.kind, "declined", nowMs)
    if (isIgnored || known === "DECLINED") Passing.passOn(table, changed, justification, nowMs)
    return table.get("submitted", id) ?? changed
  })
}

/** Whether results are wanted from this peer; asked before they are written to the disk. */
export const wants = (
  table: TaskTable,
  { id, ours }: Pick<TaskFrame.Results, "id" | "ours">,
  from: TaskRefusal.Peer
): Answer =>
  Result.flatMap(theirs(table, id, from), (task) =>
    isOld(task, ours) || task.result !== undefined || task.status === "CANCELLED"
      ? TaskRefusal.fail("Stale", `the results of task ${id} are not wanted any more`)
      : Result.succeed(task)
  )

/** They are on the disk. A result that comes after the deadline is still one. */
export const completed = (
  table: TaskTable,
  { id, ours, times }: Pick<TaskFrame.Results, "id" | "ours" | "times">,
  result: TaskRecord.StoredResult,
  from: TaskRefusal.Peer,
  nowMs: number
): Answer =>
  Result.map(wants(table, { id, ours }, from), (task) =>
    table.put({
      ...task,
      ...{ status: "COMPLETED", justification: "Task completed with results", completedAtMs: nowMs, times, result },
      ...spokenOf(task, ours)
    })
  )

/** It is not wanted any more, and the peer is told. */
export const cancel = (table: TaskTable, id: string, why: string, nowMs: number): Answer => {
  const task = table.get("submitted", id)
  if (task === undefined) return TaskRefusal.notFound(id)
  if (TaskRecord.isDone(task)) return TaskRefusal.fail("InvalidState", `task ${id} is already ${task.status}`)
  const cancelled = TaskSteps.ended(task, "CANCELLED", why, nowMs)
  // What the peer may have heard of in the meantime is cancelled there too; a peer of the reference has no ears for it.
  const isDeaf = task.status !== "OFFERED" && !task.isOurs
  return Result.succeed(table.put(isDeaf ? TaskSteps.silent(cancelled) : cancelled))
}

const theirs = (table: TaskTable, id: string, peer: TaskRefusal.Peer): Answer => {
  const task = table.get("submitted", id)
  if (task === undefined) return TaskRefusal.notFound(id)
  return TaskRefusal.isOf(task, peer)
    ? Result.succeed(task)
    : TaskRefusal.fail("NotTheirs", `task ${id} was given to somebody else`)
}

/** Whoever speaks of a task has it, even if a crash has cut its answer to the offer; and shows what it is. */
const spokenOf = (task: TaskRecord.TaskRecord, ours: TaskFrame.Letter | undefined) => ({
  told: Math.max(1, task.told),
  isOurs: task.isOurs || ours !== undefined,
  heard: ours?.revision ?? task.heard,
  progress: ours?.progress || task.progress
})

const isOld = (task: TaskRecord.TaskRecord, ours: TaskFrame.Letter | undefined): boolean =>
  ours !== undefined && ours.revision <= task.heard
