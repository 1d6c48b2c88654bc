/** The `Tasks` service: a node's tasks, whoever runs the node. `Tasks.ts` is its face for users. */
import { Context, Effect, FileSystem, Schema, type Scope } from "effect"
import type { IpcClient } from "../actors/ipc/IpcClient.ts"
import type { IpcError } from "../actors/ipc/IpcError.ts"
import * as IpcPages from "../actors/ipc/IpcPages.ts"
import * as TaskPlaces from "../actors/services/tasks/TaskPlaces.ts"
import { type Tasks as NodeTasks, TaskError } from "../actors/services/tasks/Tasks.ts"
import * as Json from "../core/data/Json.ts"
import { Tally } from "../protocol/task/TaskLedger.ts"
import { TaskRecord } from "../protocol/task/TaskRecord.ts"
import type { PilotError } from "./PilotService.ts"

export { TaskError } from "../actors/services/tasks/Tasks.ts"

/** What programs use of a node's tasks. */
export class Tasks extends Context.Service<
  Tasks,
  Pick<
    NodeTasks["Service"],
    | "submit"
    | "get"
    | "ledger"
    | "earn"
    | "changed"
    | "outcome"
    | "cancel"
    | "claim"
    | "renew"
    | "finish"
    | "fail"
    | "release"
  >
>()("effect-pilot/api/Tasks") {}

/** Over the socket of a running daemon: each call opens one of its own, so that waiting holds up nothing. */
export const overDaemon = (
  open: Effect.Effect<IpcClient, PilotError, Scope.Scope>,
  files: FileSystem.FileSystem
): Tasks["Service"] => {
  const ask = (op: string, value: Json.JsonObject): Effect.Effect<Json.JsonObject, TaskError> =>
    Effect.scoped(Effect.flatMap(open, (client) => client.extension(op, value))).pipe(
      Effect.mapError(unreachable),
      Effect.flatMap((reply) => {
        const reason = REASONS.find((one) => one === Json.string(reply, "refused"))
        return reason === undefined
          ? Effect.succeed(reply)
          : Effect.fail(new TaskError({ reason, detail: Json.string(reply, "detail") }))
      })
    )
  const one = (op: string, value: Json.JsonObject) => Effect.flatMap(ask(op, value), taskOf)
  return {
    submit: ({ acceptMs, description, id, kind, lifeMs, others, priority, to }) =>
      one("task.submit", {
        ...{ to, description, kind, priority, life_ms: lifeMs, id },
        ...(others === undefined ? {} : { others: [...others], accept_ms: acceptMs ?? 0 })
      }),
    ledger: IpcPages.all({
      ...{ schema: Tally, field: "tallies", notUnderstood: otherwise },
      ask: (after) => ask("task.ledger", { after })
    }),
    earn: (node, timeoutMs) =>
      Effect.map(ask("task.earn", { node, timeout_ms: Math.min(timeoutMs, WAIT_MS) }), (reply) =>
        Json.boolean(reply, "trusted")
      ),
    get: (side, id) => one("task.get", { side, id }),
    changed: ({ heard, id, revision, side }, timeoutMs) =>
      one("task.changed", { task: { side, id, revision, heard }, timeout_ms: Math.min(timeoutMs, WAIT_MS) }),
    outcome: (task) => Effect.provideService(TaskPlaces.outcome(task), FileSystem.FileSystem, files),
    cancel: (id, why) => one("task.cancel", { id, why }),
    claim: (kinds, { leaseMs, waitMs, worker }) =>
      Effect.flatMap(
        ask("task.claim", { kinds, worker, lease_ms: leaseMs, wait_ms: Math.min(waitMs, WAIT_MS) }),
        (reply) => (Json.isObject(Json.member(reply, "task")) ? taskOf(reply) : Effect.undefined)
      ),
    renew: (id, attempt, leaseMs, progress) => one("task.renew", { id, attempt, lease_ms: leaseMs, progress }),
    finish: (id, outcome, attempt) =>
      Effect.scoped(Effect.flatMap(source(files, outcome), (given) => one("task.finish", { id, attempt, ...given }))),
    fail: (id, { attempt, isFinal, why }) => one("task.fail", { id, why, final: isFinal, attempt }),
    release: (worker, isLost = false) => Effect.asVoid(ask("task.release", { worker, lost: isLost }))
  }
}

const otherwise = () =>
  new TaskError({ reason: "Unreachable", detail: "the daemon answers otherwise than this version expects" })

const taskOf = (reply: Json.JsonObject): Effect.Effect<TaskRecord, TaskError> =>
  Effect.mapError(decode(Json.member(reply, "task")), otherwise)

/** What is too long for one frame of the socket is left in a file, which the daemon reads. */
const source = Effect.fnUntraced(function* (
  files: FileSystem.FileSystem,
  outcome: Parameters<Tasks["Service"]["finish"]>[1]
): Effect.fn.Return<Json.JsonObject, TaskError, Scope.Scope> {
  if (outcome._tag === "Local") return { path: outcome.path, name: outcome.name }
  if (outcome._tag === "Text" && outcome.text.length <= INLINE_MAX) return { text: outcome.text }
  // A character is a byte at least: what cannot fit is not written first.
  const size = outcome._tag === "Text" ? outcome.text.length : outcome.content.length
  if (size > TaskPlaces.RESULT_BYTES_MAX) return yield* TaskPlaces.tooLarge()
  const failed = (error: { readonly message: string }) => new TaskError({ reason: "NotStored", detail: error.message })
  const path = yield* Effect.mapError(files.makeTempFileScoped({ prefix: "pilot-result-" }), failed)
  const content = outcome._tag === "Text" ? new TextEncoder().encode(outcome.text) : outcome.content
  yield* Effect.mapError(files.writeFile(path, content), failed)
  return { path, name: outcome._tag === "Text" ? "" : outcome.name }
})

const unreachable = ({ message }: IpcError | PilotError): TaskError =>
  new TaskError({ reason: "Unreachable", detail: message })

const REASONS = TaskError.fields.reason.literals
const decode = Schema.decodeUnknownEffect(TaskRecord)
/** Less than a client waits for any answer. */
const WAIT_MS = 20_000
/** Six bytes each at worst. */
const INLINE_MAX = 100_000
