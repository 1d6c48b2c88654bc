/** What time does to a task (node §6.4): when, and what comes of it. */
import { Result } from "effect"
import * as Passing from "./Passing.ts"
import * as TaskRecord from "./TaskRecord.ts"
import * as TaskSteps from "./TaskSteps.ts"

type Task = TaskRecord.TaskRecord

/** How patient a node is with what others do. */
export interface Patience {
  /** How long a task that is done is remembered. */
  readonly doneKeptMs: number
  /** Begun so often, and then given up. */
  readonly attemptsMax: number
}

/** When `aged` has something to say about it; `Infinity` for never. */
export const dueAtMs = (task: Task, { doneKeptMs }: Patience): number => {
  if (TaskRecord.isDone(task)) return endedAtMs(task) + doneKeptMs
  if (task.side === "submitted") return Math.min(lastAnswerAtMs(task), Passing.dueAtMs(task))
  const times = [task.expiresAtMs]
  if (task.status === "NEW" && !task.isOurs) times.push(task.createdAtMs + ACCEPT_MS)
  if (isLeased(task)) times.push(task.leaseUntilMs)
  if (isStaged(task)) times.push(task.stagedAtMs + HEAD_MS)
  return Math.min(...times)
}

/** What it is now: changed, forgotten, or a failure that says that nothing is due. */
export const aged = (
  task: Task,
  patience: Patience,
  nowMs: number
): Result.Result<Task | "forgotten" | "neglected", undefined> => {
  if (nowMs < dueAtMs(task, patience)) return Result.fail(undefined)
  if (TaskRecord.isDone(task)) return Result.succeed("forgotten")
  if (task.side === "submitted" && nowMs < lastAnswerAtMs(task)) return Result.fail(undefined)
  if (task.side === "submitted")
    return Result.succeed(TaskSteps.silent(TaskSteps.ended(task, "EXPIRED", "Task expired: no result in time", nowMs)))
  if (isTooOld(task, nowMs) && task.status === "NEW")
    return Result.succeed(TaskSteps.answered(task, "CANCELLED", "Task cancelled: no response within 1 minute", nowMs))
  if (nowMs >= task.expiresAtMs)
    return Result.succeed(TaskSteps.ended(task, "EXPIRED", "Task expired: not done in time", nowMs))
  return Result.succeed(isLeased(task) ? lost(task, patience, nowMs, pauseMs(task.attempt)) : "neglected")
}

/** Nobody works on it any more: it waits for another worker, or was lost too often. */
export const lost = (task: Task, { attemptsMax }: Patience, nowMs: number, afterMs: number): Task =>
  task.attempt >= attemptsMax
    ? TaskSteps.ended(task, "FAILED", `given up: its worker was lost ${task.attempt} times`, nowMs)
    : TaskSteps.waiting(task, "its worker was lost", nowMs + afterMs)

/**
 * The clock was put back: no lease lasts longer than one may, nor does a pause. Deadlines are of the clock on the wall, whatever
 * it says.
 */
export const putBack = (task: Task, nowMs: number): Task => {
  const leaseUntilMs = Math.min(task.leaseUntilMs, nowMs + LEASE_MAX_MS)
  const notBeforeMs = Math.min(task.notBeforeMs, nowMs + PAUSE_MAX_MS)
  const isSame = leaseUntilMs === task.leaseUntilMs && notBeforeMs === task.notBeforeMs
  return isSame ? task : { ...task, leaseUntilMs, notBeforeMs }
}

/** A submitter of the reference counts on an answer within a minute; ours says how long it has time. */
export const isTooOld = ({ createdAtMs, isOurs }: Task, nowMs: number): boolean =>
  !isOurs && nowMs >= createdAtMs + ACCEPT_MS

/** How long to wait before a task is begun again. */
export const pauseMs = (attempt: number): number => Math.min(PAUSE_MAX_MS, PAUSE_MS * 2 ** (attempt - 1))

const isLeased = ({ status, worker }: Task): boolean => status === "EXECUTING" && worker !== ""

const isStaged = ({ stagedAtMs, status }: Task): boolean => status === "ACCEPTED" && stagedAtMs !== 0

const endedAtMs = ({ completedAtMs, createdAtMs }: Task): number => completedAtMs || createdAtMs

/** The executor's clock may be slower than ours, and its word be on the way. */
const lastAnswerAtMs = ({ expiresAtMs, told }: Task): number => expiresAtMs + (told === 0 ? 0 : GRACE_MS)

/** node §6.4. */
const ACCEPT_MS = 60_000
const HEAD_MS = 3_600_000
/** Of a task whose submitter names no deadline. */
export const LIFE_MS = 86_400_000
/** The longest that one may name. */
export const LIFE_MAX_MS = 30 * 86_400_000
/** How much later than its executor a submitter gives up. */
const GRACE_MS = 60_000
/** The longest that a worker may be believed without a word. */
export const LEASE_MAX_MS = 600_000
/** Shorter ones would be lost to a busy machine, and renewed too often. */
export const LEASE_MIN_MS = 1_000
/** Between two attempts, doubled each time. */
const PAUSE_MS = 1_000
const PAUSE_MAX_MS = 300_000
