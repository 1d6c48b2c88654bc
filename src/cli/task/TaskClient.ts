/** The running daemon's tasks as commands use them: operations of `IpcTasks`, and their refusals in the words of cli §10. */
import { Effect, Schema } from "effect"
import * as IpcPages from "../../actors/ipc/IpcPages.ts"
import * as Json from "../../core/data/Json.ts"
import { Tally } from "../../protocol/task/TaskLedger.ts"
import { TaskRecord } from "../../protocol/task/TaskRecord.ts"
import * as CliError from "../CliError.ts"
import * as DaemonClient from "../DaemonClient.ts"

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

/** All tasks of a side. */
export const list = (
  client: DaemonClient.IpcClient,
  side: TaskRecord["side"]
): Effect.Effect<ReadonlyArray<TaskRecord>, CliError.CliError> =>
  IpcPages.all({
    ...{ schema: TaskRecord, field: "tasks", notUnderstood },
    ask: (after) => ask(client, "task.list", { side, after })
  })

/** How all tasks that were given away have ended. */
export const tallies = (client: DaemonClient.IpcClient): Effect.Effect<ReadonlyArray<Tally>, CliError.CliError> =>
  IpcPages.all({
    ...{ schema: Tally, field: "tallies", notUnderstood },
    ask: (after) => ask(client, "task.ledger", { after })
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
