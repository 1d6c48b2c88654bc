/** The running daemon's tasks as commands use them: operations of `IpcTasks`, and their refusals in the words of cli §10. */
import { Effect, Schema } from "effect"
import * as Json from "../core/data/Json.ts"
import { TaskRecord } from "../protocol/task/TaskRecord.ts"
import * as CliError from "./CliError.ts"
import * as DaemonClient from "./DaemonClient.ts"

/** The reply of an operation; a refusal is the command's failure. */
export const ask = (
  client: DaemonClient.IpcClient,
  op: string,
  value: Json.JsonObject
): Effect.Effect<Json.JsonObject, CliError.CliError> =>
  Effect.flatMap(DaemonClient.ask("task", client.extension(op, value)), (reply) => {
    const reason = Json.string(reply, "refused")
    return reason === "" ? Effect.succeed(reply) : Effect.fail(refusal(reason, Json.string(reply, "detail")))
  })

/** The one task of a reply. */
export const one = (
  client: DaemonClient.IpcClient,
  op: string,
  value: Json.JsonObject
): Effect.Effect<TaskRecord, CliError.CliError> =>
  Effect.flatMap(ask(client, op, value), (reply) => Effect.mapError(decode(Json.member(reply, "task")), notUnderstood))

/** All tasks of a side, page by page. */
export const list = Effect.fnUntraced(function* (
  client: DaemonClient.IpcClient,
  side: TaskRecord["side"]
): Effect.fn.Return<ReadonlyArray<TaskRecord>, CliError.CliError> {
  const tasks: Array<TaskRecord> = []
  for (let more = true; more; ) {
    const reply = yield* ask(client, "task.list", { side, after: tasks.length })
    const page = yield* Effect.mapError(decodeAll(Json.list(reply, "tasks")), notUnderstood)
    tasks.push(...page)
    more = Json.boolean(reply, "more") && page.length > 0
  }
  return tasks
})

/** Accepted and not begun. */
export const queue = (client: DaemonClient.IpcClient): Effect.Effect<ReadonlyArray<TaskRecord>, CliError.CliError> =>
  Effect.flatMap(ask(client, "task.queue", {}), (reply) =>
    Effect.mapError(decodeAll(Json.list(reply, "tasks")), notUnderstood)
  )

const refusal = (reason: string, detail: string): CliError.CliError => {
  if (reason === "NotFound" && detail.startsWith("task not found:"))
    return CliError.make("not_found", detail, "check pilotctl task list --type received")
  if (reason === "Stopped") return CliError.make("unavailable", detail, "start the daemon again without --no-tasks")
  return CliError.make(CODES[reason] ?? "internal", detail)
}

const CODES: Readonly<Record<string, CliError.Code>> = {
  NotFound: "not_found",
  InvalidState: "invalid_state",
  Stale: "invalid_state",
  Expired: "expired",
  Invalid: "invalid_argument",
  Full: "unavailable",
  Unreachable: "connection_failed",
  NotStored: "internal"
}

const notUnderstood = () =>
  CliError.make("unavailable", "the running daemon answers otherwise than this version expects", "restart the daemon")

const decode = Schema.decodeUnknownEffect(TaskRecord)
const decodeAll = Schema.decodeUnknownEffect(Schema.Array(TaskRecord))
