/** Tasks as commands print them (cli §10). */
import * as Json from "../../core/data/Json.ts"
import type { TaskRecord } from "../../protocol/task/TaskRecord.ts"

/** `2026-11-20T17:52:33Z`. */
export const timeText = (atMs: number): string => `${new Date(atMs).toISOString().slice(0, 19)}Z`

/** A row of `task list`. */
export const row = (task: TaskRecord): Json.JsonObject => ({
  category: task.side,
  created_at: timeText(task.createdAtMs),
  description: task.description,
  from: task.from,
  status: task.status,
  task_id: task.id,
  to: task.to
})

/** `task list` for people. */
export const list = (tasks: ReadonlyArray<TaskRecord>): string =>
  tasks.length === 0
    ? "No tasks found"
    : tasks
        .flatMap(({ description, from, id, side, status, to }) => [
          `[${side}] ${id} (${status}) - ${description}`,
          `  From: ${from} → To: ${to}`
        ])
        .join("\n")

/** A row of `task queue`. */
export const queueRow = (task: TaskRecord): Json.JsonObject => ({
  created_at: timeText(task.createdAtMs),
  description: task.description,
  from: task.from,
  task_id: task.id
})

/** `task queue` for people. */
export const queue = (tasks: ReadonlyArray<TaskRecord>): string =>
  tasks.length === 0
    ? "Queue is empty"
    : [
        `Queued tasks (${tasks.length}):`,
        ...tasks.flatMap(({ description, from, id }, index) => [
          `  ${index + 1}. ${id}: ${description}`,
          `     From: ${from}`
        ])
      ].join("\n")

/** Everything of one task, for `task watch`. */
export const whole = (task: TaskRecord, result: string | undefined): Json.JsonObject => ({
  ...row(task),
  justification: task.justification,
  ...(task.kind === "" ? {} : { kind: task.kind }),
  ...(task.priority === 0 ? {} : { priority: task.priority }),
  expires_at: timeText(task.expiresAtMs),
  attempt: task.attempt,
  ...(task.progress === "" ? {} : { progress: Json.parse(task.progress) ?? task.progress }),
  ...(task.result === undefined
    ? {}
    : { result_type: task.result.type, result_path: task.result.path, result_bytes: task.result.sizeBytes }),
  ...(result === undefined ? {} : { result })
})

/** What programs of the seeds read beside the envelope's data (cli §10). */
export const seed = ({ description, from, id }: TaskRecord): Json.JsonObject => {
  const parsed = Json.parseObject(description)
  const nested = parsed === undefined ? undefined : Json.member(parsed, "params")
  const params = Json.isObject(nested) ? nested : (parsed ?? {})
  return { id, description, from, params }
}
