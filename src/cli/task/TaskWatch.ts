/** `task watch`: a task that was given to a peer, followed until it is done. */
import { Duration, Effect, FileSystem } from "effect"
import { isDone, type TaskRecord } from "../../protocol/task/TaskRecord.ts"
import * as CliError from "../CliError.ts"
import { type Command, type Environment, type Input, type Output, output } from "../Command.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as Terminal from "../Terminal.ts"
import * as Values from "../Values.ts"
import * as TaskClient from "./TaskClient.ts"
import { ID, required, TASK_ID } from "./TaskIdFlag.ts"
import * as TaskText from "./TaskText.ts"

/** The command. */
export const watch: Command = {
  name: "task watch",
  usage: "",
  summary: "Follows a task that was given to a peer until it is done, and prints the result",
  returns: "the task as in list, justification, progress, result, result_type, result_path, result_bytes",
  flags: [
    ID,
    TASK_ID,
    { name: "timeout", value: "duration", summary: "how long to wait (default 0: until it is done)" }
  ],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const id = yield* required(input)
    const timeout = yield* Effect.fromResult(Values.duration(input, "timeout", 0))
    const client = yield* DaemonClient.connect
    const first = yield* TaskClient.one(client, "task.get", { side: "submitted", id })
    const following = follow(client, input, first)
    const isEndless = Duration.toMillis(timeout) === 0
    const task = isEndless
      ? yield* following
      : yield* Effect.timeoutOrElse(following, {
          duration: timeout,
          orElse: () => CliError.make("timeout", `task ${id} is not done`, `go on with: pilotctl task watch --id ${id}`)
        })
    const result = yield* readText(task)
    const data = TaskText.whole(task, result)
    const said = result ?? task.result?.path ?? `${task.status}: ${task.justification}`
    return { ...output(data, said), exitCode: task.result === undefined ? 1 : 0 }
  })
}

const follow = Effect.fnUntraced(function* (
  client: DaemonClient.IpcClient,
  input: Input,
  first: TaskRecord
): Effect.fn.Return<TaskRecord, CliError.CliError, Environment> {
  let task = first
  let said = ""
  for (;;) {
    const line = `${task.status}${task.progress === "" ? "" : ` ${task.progress}`}`
    if (line !== said) yield* Terminal.note(input, line)
    said = line
    if (task.successor !== undefined) {
      yield* Terminal.note(input, `passed on from ${task.to}: ${task.justification}`)
      task = yield* TaskClient.one(client, "task.get", { side: "submitted", id: task.successor })
      continue
    }
    if (isDone(task)) return task
    const { heard, id, revision, side } = task
    task = yield* TaskClient.one(client, "task.changed", { task: { id, side, revision, heard }, timeout_ms: LOOK_MS })
  }
})

/** A result that is a text of a size for a terminal. */
const readText = ({ result }: TaskRecord) =>
  result === undefined || result.type === "file" || result.sizeBytes > TEXT_BYTES_MAX
    ? Effect.succeed(undefined)
    : Effect.flatMap(FileSystem.FileSystem, (files) =>
        Effect.orElseSucceed(files.readFileString(result.path), () => undefined)
      )

/** Less than a client waits for any answer. */
const LOOK_MS = 20_000
const TEXT_BYTES_MAX = 1 << 20
