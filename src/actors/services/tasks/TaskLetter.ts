/** What a peer is told about a task: one frame for all that it has not heard of (node §6.1). */
import { Clock, Effect, type FileSystem, Result } from "effect"
import type * as TaskRecord from "../../../protocol/task/TaskRecord.ts"
import * as DataFrame from "../../../protocol/wire/DataFrame.ts"
import * as TaskFrame from "../../../protocol/wire/TaskFrame.ts"
import * as ExchangePlaces from "../ExchangePlaces.ts"
import * as TaskPlaces from "./TaskPlaces.ts"
import { TaskError } from "./Tasks.ts"

/** The peer is yet to be asked whether it takes the task. */
export const isOffer = ({ side, status }: TaskRecord.TaskRecord): boolean =>
  side === "submitted" && status === "OFFERED"

/** The frame. */
export const make = (task: TaskRecord.TaskRecord): Effect.Effect<Uint8Array, TaskError, FileSystem.FileSystem> => {
  if (isOffer(task)) return Effect.map(Clock.currentTimeMillis, (nowMs) => TaskFrame.encode(offer(task, nowMs)))
  const status = TaskFrame.encode({
    _tag: "Status",
    id: task.id,
    status: task.status,
    justification: task.justification,
    ours: letter(task)
  })
  if (task.side === "submitted" || task.result === undefined) return Effect.succeed(status)
  return Effect.map(TaskPlaces.outcome(task), (outcome) => TaskFrame.encode(results(task, outcome)))
}

/** Refuses an outcome that no frame can carry. */
export const check = (task: TaskRecord.TaskRecord, outcome: TaskFrame.Outcome): Result.Result<void, TaskError> => {
  const rawBytes = outcome._tag === "Text" ? outcome.text.length : outcome.content.length
  if (rawBytes > TaskPlaces.RESULT_BYTES_MAX) return Result.fail(TaskPlaces.tooLarge())
  const sizeBytes = TaskFrame.encode(results(task, outcome)).length - DataFrame.HEADER_BYTES
  return sizeBytes > DataFrame.PAYLOAD_BYTES_MAX
    ? Result.fail(
        new TaskError({
          reason: "Invalid",
          detail: `a result of ${sizeBytes} bytes as it is sent is more than ${DataFrame.PAYLOAD_BYTES_MAX}: send a file, and its name as the result`
        })
      )
    : Result.void
}

/** As many from the front as their bytes let be on their way at once, one at least. */
export const fitting = (tasks: ReadonlyArray<TaskRecord.TaskRecord>): ReadonlyArray<TaskRecord.TaskRecord> => {
  let bytes = 0
  const isOver = ({ description, result }: TaskRecord.TaskRecord) => {
    bytes += description.length + (result?.sizeBytes ?? 0)
    return bytes > WINDOW_BYTES
  }
  const end = tasks.findIndex((task, index) => isOver(task) && index > 0)
  return end === -1 ? tasks : tasks.slice(0, end)
}

/** For telling letters of one pass apart. */
export const nameOf = ({ id, revision, side }: TaskRecord.TaskRecord): string => `${side} ${id} ${revision}`

const offer = (task: TaskRecord.TaskRecord, nowMs: number): TaskFrame.Submit => ({
  _tag: "Submit",
  id: task.id,
  description: task.description,
  from: task.from,
  to: task.to,
  ours: { kind: task.kind, priority: task.priority, lifeMs: Math.max(1, Math.floor(task.expiresAtMs - nowMs)) }
})

const results = (task: TaskRecord.TaskRecord, result: TaskFrame.Outcome): TaskFrame.Results => ({
  _tag: "Results",
  id: task.id,
  result,
  completedAt: ExchangePlaces.timeText(task.completedAtMs),
  times: task.times,
  ours: letter(task)
})

const letter = ({ isOurs, progress, revision, side, told }: TaskRecord.TaskRecord): TaskFrame.Letter | undefined =>
  // What was cancelled before it was taken goes to somebody of whom nobody knows what it is.
  isOurs || (side === "submitted" && told === 0) ? { revision, progress } : undefined

/** Letters, and their bytes, that are written before the first one is answered. */
export const WINDOW = 32
const WINDOW_BYTES = 1 << 20
