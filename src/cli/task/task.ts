/** Tasks: given to peers, taken from them, and done (cli §10), in the spelling of the reference and in that of the articles. */
import { Clock, Duration, Effect, FileSystem, Path, Result } from "effect"
import * as DurationText from "../../core/data/DurationText.ts"
import * as Json from "../../core/data/Json.ts"
import * as ResultName from "../../protocol/task/ResultName.ts"
import type { TaskRecord } from "../../protocol/task/TaskRecord.ts"
import * as Address from "../../protocol/wire/Address.ts"
import { PORT, PRIORITY_MAX } from "../../protocol/wire/TaskFrame.ts"
import * as CliError from "../CliError.ts"
import { type Command, type Environment, type Input, type Output, output } from "../Command.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as Terminal from "../Terminal.ts"
import * as TrustFirst from "../trust/TrustFirst.ts"
import * as Values from "../Values.ts"
import * as TaskClient from "./TaskClient.ts"
import { ID, idIn, required, TASK_ID } from "./TaskIdFlag.ts"
import { ledger } from "./TaskLedger.ts"
import * as TaskTargets from "./TaskTargets.ts"
import * as TaskText from "./TaskText.ts"
import * as TaskWatch from "./TaskWatch.ts"

const submit: Command = {
  name: "task submit",
  usage: "[<address|hostname>]",
  summary: "Gives a task to a peer, or to one that can do it",
  returns: "accepted, message, status, target, task, task_id",
  flags: [
    { name: "task", value: "text", placeholder: "text", isRequired: true, summary: "what is to be done" },
    { name: "param", value: "text", placeholder: "key=value", repeats: true, summary: "a parameter, beside the text" },
    ...TaskTargets.FLAGS,
    { name: "kind", value: "text", placeholder: "name", summary: "for the program that serves this kind" },
    { name: "priority", value: "text", placeholder: "n", summary: "larger ones are done first (default 0)" },
    { name: "deadline", value: "duration", summary: "worth nothing after this (default 24h)" },
    { name: "queue", value: "boolean", summary: "keep it for a peer that cannot be reached now" },
    { name: "timeout", value: "duration", summary: "how long to wait for the peer's trust (default 30s)" }
  ],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const text = Values.text(input, "task")
    if (text === undefined || text === "") return yield* CliError.invalidArgument("--task is required")
    const wish = yield* wishOf(input)
    const description = yield* described(text, Values.texts(input, "param"))
    const isQueued = Values.boolean(input, "queue") === true
    const client = yield* DaemonClient.connect
    const { acceptMs, address, others } = yield* TaskTargets.find(submit, client, input)
    // Says what is wrong in time, and earns trust where there is none.
    if (!isQueued && others === undefined) yield* reach(client, input, address, input.positionals[0] ?? "")
    const task = yield* TaskClient.one(client, "task.submit", {
      ...wish,
      to: address.node,
      description,
      now: !isQueued,
      ...(others === undefined ? {} : { others: [...others], accept_ms: acceptMs })
    })
    const isTaken = task.status !== "DECLINED"
    const message = task.status === "OFFERED" ? "Task kept until the peer has it" : undefined
    return output({
      accepted: isTaken,
      message: message ?? (isTaken ? "Task received with status NEW" : task.justification),
      status: isTaken ? 200 : 400,
      target: others === undefined ? Address.format(address) : task.to,
      task: text,
      task_id: task.id
    })
  })
}

const accept: Command = {
  name: "task accept",
  usage: "",
  summary: "Takes a task: the one named, or the next that is there or comes",
  returns: "message, status, task_id; without --id also description, from, id, params beside data",
  flags: [
    ID,
    TASK_ID,
    { name: "kind", value: "text", placeholder: "name", summary: "without --id: only tasks of this kind" },
    { name: "wait", value: "duration", summary: "without --id: how long to wait for one (default 45s)" }
  ],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const wait = yield* Effect.fromResult(Values.duration(input, "wait", ACCEPT_WAIT))
    const id = idIn(input)
    const client = yield* DaemonClient.connect
    const task =
      id === undefined ? yield* next(client, input, wait) : yield* TaskClient.one(client, "task.accept", { id })
    const data = { message: "Task accepted", status: task.status, task_id: task.id }
    return id === undefined ? { ...output(data), envelope: TaskText.seed(task) } : output(data)
  })
}

const decline: Command = {
  name: "task decline",
  usage: "",
  summary: "Refuses a task that was not accepted",
  returns: "justification, message, status, task_id",
  flags: [
    ID,
    TASK_ID,
    { name: "justification", value: "text", placeholder: "text", summary: "why; its submitter reads it" }
  ],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const id = yield* required(input)
    const why = Values.text(input, "justification")
    if (why === undefined || why === "") return yield* CliError.invalidArgument("--justification is required")
    const client = yield* DaemonClient.connect
    const task = yield* TaskClient.one(client, "task.decline", { id, why })
    return output({ justification: why, message: "Task declined", status: task.status, task_id: id })
  })
}

const execute: Command = {
  name: "task execute",
  usage: "",
  summary: "Begins the accepted task that has waited longest",
  returns: "from, status, task_description, task_id",
  flags: [],
  run: Effect.fnUntraced(function* (): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const client = yield* DaemonClient.connect
    const { description, from, id, status } = yield* TaskClient.one(client, "task.execute", {})
    return output({ from, status, task_description: description, task_id: id })
  })
}

const progress: Command = {
  name: "task progress",
  usage: "",
  summary: "Tells the submitter of an accepted task how far it is; the latest counts",
  returns: "progress, status, task_id",
  flags: [
    ID,
    TASK_ID,
    { name: "data", value: "text", placeholder: "json", isRequired: true, summary: "any JSON, or a text" }
  ],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const id = yield* required(input)
    const text = Values.text(input, "data")
    if (text === undefined) return yield* CliError.invalidArgument("--data is required")
    const value = Json.parse(text) ?? text
    const client = yield* DaemonClient.connect
    const { status } = yield* TaskClient.one(client, "task.progress", { id, progress: JSON.stringify(value) })
    return output({ progress: value, status, task_id: id })
  })
}

const sendResults: Command = {
  name: "task send-results",
  usage: "",
  summary: "Delivers what came out of a task, now or as soon as its submitter can be reached",
  returns: "sent_to, sent_type, status, task_id, delivered; of a file also file_size, filename",
  flags: [
    ID,
    TASK_ID,
    { name: "results", value: "text", placeholder: "text", summary: "the result as a text" },
    { name: "data", value: "text", placeholder: "text", summary: "the same as --results" },
    { name: "file", value: "path", summary: "the result is this file: a document, data, a model or a picture" }
  ],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const id = yield* required(input)
    const text = Values.text(input, "results") ?? Values.text(input, "data")
    const file = Values.text(input, "file")
    if ((text === undefined) === (file === undefined))
      return yield* CliError.invalidArgument("either --results or --file is required")
    const client = yield* DaemonClient.connect
    const outcome = text === undefined ? yield* fileOutcome(file ?? "") : { text }
    const task = yield* TaskClient.one(client, "task.finish", { id, ...outcome })
    const isTold = task.told >= task.revision
    if (!isTold) yield* Terminal.note(input, `${task.from} cannot be reached now: the result is kept for it`)
    const size = text === undefined ? { file_size: task.result?.sizeBytes ?? 0, filename: task.result?.name ?? "" } : {}
    const sent = { sent_to: task.from, sent_type: task.result?.type ?? "text", status: task.status, task_id: id }
    return output({ ...size, ...sent, ...(isTold ? {} : { delivered: false }) })
  })
}

const list: Command = {
  name: "task list",
  usage: "",
  summary: "Tasks that this node was given, and those that it gave away",
  returns: "tasks [category, created_at, description, from, status, task_id, to]",
  flags: [{ name: "type", value: "text", placeholder: "received|submitted", summary: "only these" }],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const type = Values.text(input, "type")
    const sides = SIDES.filter((side) => type === undefined || type === "" || type === side)
    if (sides.length === 0)
      return yield* CliError.invalidArgument(`invalid --type ${JSON.stringify(type)}`, "one of received, submitted")
    const client = yield* DaemonClient.connect
    const tasks = yield* Effect.forEach(sides, (side) => TaskClient.list(client, side))
    const all = tasks.flat()
    return output({ tasks: all.map(TaskText.row) }, TaskText.list(all))
  })
}

const queue: Command = {
  name: "task queue",
  usage: "",
  summary: "Accepted tasks that nobody has begun, in their order",
  returns: "queue [created_at, description, from, task_id], count",
  flags: [],
  run: Effect.fnUntraced(function* (): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const client = yield* DaemonClient.connect
    const tasks = yield* TaskClient.queue(client)
    const count = tasks.length === 0 ? {} : { count: tasks.length }
    return output({ ...count, queue: tasks.map(TaskText.queueRow) }, TaskText.queue(tasks))
  })
}

const cancel: Command = {
  name: "task cancel",
  usage: "",
  summary: "Takes back a task that was given to a peer; whoever works on it is told",
  returns: "message, status, task_id",
  flags: [ID, TASK_ID, { name: "reason", value: "text", placeholder: "text", summary: "why" }],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const id = yield* required(input)
    const why = Values.text(input, "reason") ?? "cancelled by its submitter"
    const client = yield* DaemonClient.connect
    const { status } = yield* TaskClient.one(client, "task.cancel", { id, why })
    return output({ message: "Task cancelled", status, task_id: id })
  })
}

const ready = (isReady: boolean): Command => ({
  name: isReady ? "task ready" : "task pause",
  usage: "",
  summary: isReady ? "New tasks are taken again" : "New tasks are refused until `task ready`, or the next start",
  returns: "ready",
  flags: [],
  run: Effect.fnUntraced(function* (): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const client = yield* DaemonClient.connect
    yield* TaskClient.ask(client, "task.ready", { on: isReady })
    return output({ ready: isReady }, isReady ? "tasks are taken" : "new tasks are refused")
  })
})

/** The rows of this group. */
export const commands: ReadonlyArray<Command> = [
  submit,
  accept,
  decline,
  execute,
  progress,
  sendResults,
  list,
  queue,
  cancel,
  TaskWatch.watch,
  ledger,
  ready(true),
  ready(false)
]

const wishOf = Effect.fnUntraced(function* (input: Input) {
  const deadline = yield* Effect.fromResult(Values.duration(input, "deadline", 0))
  const text = Values.text(input, "priority") ?? "0"
  const priority = /^-?\d{1,4}$/.test(text) ? Number(text) : Number.NaN
  if (!(Math.abs(priority) <= PRIORITY_MAX))
    return yield* CliError.invalidArgument(
      `invalid --priority ${JSON.stringify(text)}`,
      `a whole number from -${PRIORITY_MAX} to ${PRIORITY_MAX}`
    )
  return { kind: Values.text(input, "kind") ?? "", life_ms: Duration.toMillis(deadline), priority }
})

/** With parameters, the task is a JSON object that says both (cli §10). */
const described = Effect.fnUntraced(function* (text: string, given: ReadonlyArray<string>) {
  if (given.length === 0) return text
  const params: Record<string, string> = {}
  for (const one of given) {
    const at = one.indexOf("=")
    if (at < 1) return yield* CliError.invalidArgument(`invalid --param ${JSON.stringify(one)}`, "--param key=value")
    params[one.slice(0, at)] = one.slice(at + 1)
  }
  return JSON.stringify({ description: text, params })
})

const reach = Effect.fnUntraced(function* (
  client: DaemonClient.IpcClient,
  input: Input,
  address: Address.Address,
  text: string
) {
  const timeout = yield* Effect.fromResult(Values.duration(input, "timeout", TRUST_WAIT))
  const failure = `cannot connect to ${Address.format(address)} (task submit port ${PORT})`
  yield* Effect.scoped(
    TrustFirst.dial(client, input, { address, text, port: PORT, timeout, failure, justification: "a task" })
  )
})

/** The next task for anybody, waited for in pieces that a daemon waits at once. */
const next = Effect.fnUntraced(function* (
  client: DaemonClient.IpcClient,
  input: Input,
  wait: Duration.Duration
): Effect.fn.Return<TaskRecord, CliError.CliError, Environment> {
  const endsAtMs = (yield* Clock.currentTimeMillis) + Duration.toMillis(wait)
  const kind = Values.text(input, "kind") ?? ""
  for (let waitMs = 0; ; ) {
    const taken = yield* Effect.result(TaskClient.one(client, "task.accept", { wait_ms: waitMs, kind }))
    if (Result.isSuccess(taken)) return taken.success
    const leftMs = endsAtMs - (yield* Clock.currentTimeMillis)
    if (taken.failure.code !== "not_found" || leftMs <= 0) return yield* taken.failure
    if (waitMs === 0) yield* Terminal.note(input, `waiting for a task, up to ${DurationText.format(wait)} ...`)
    waitMs = Math.min(LOOK_MS, leftMs)
  }
})

const fileOutcome = Effect.fnUntraced(function* (given: string) {
  const files = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  const path = paths.resolve(given)
  const name = paths.basename(path)
  if (!ResultName.isAllowed(name))
    return yield* CliError.invalidArgument(
      `file type ${JSON.stringify(ResultName.extensionOf(name))} not allowed for results`
    )
  yield* Effect.mapError(files.access(path, { readable: true }), () =>
    CliError.make("not_found", `file not found: ${given}`)
  )
  return { path, name }
})

const SIDES = ["received", "submitted"] as const
const ACCEPT_WAIT = "45 seconds"
const TRUST_WAIT = "30 seconds"
/** Less than a client waits for any answer. */
const LOOK_MS = 20_000
