/**
 * Durable tasks between agents (`docs/tasks.md`): a task is a kind with a Schema for what goes in, what comes out and what is
 * told meanwhile. Whoever submits one has a handle that outlives connections, restarts and the program itself; whoever serves a
 * kind is given each task again until it has finished one attempt, and at most one worker's word counts at a time.
 */
import { Duration, Effect, Layer, Option, Schema, Stream } from "effect"
import * as WorkflowLayer from "../actors/layers/WorkflowLayer.ts"
import type { DialError } from "../actors/node/Node.ts"
import type { Tally } from "../protocol/task/TaskLedger.ts"
import { isDone, type TaskRecord } from "../protocol/task/TaskRecord.ts"
import type { Outcome } from "../protocol/wire/TaskFrame.ts"
import type * as Peer from "./Peer.ts"
import type { Pilot, PilotError } from "./PilotService.ts"
import * as TaskPeers from "./TaskPeers.ts"
import { type TaskError, Tasks } from "./TasksService.ts"
import type { Task } from "./TaskWorker.ts"
import * as TaskWorker from "./TaskWorker.ts"
import * as TaskWorkflow from "./TaskWorkflow.ts"

export type { Tally } from "../protocol/task/TaskLedger.ts"
export { TaskError, Tasks } from "./TasksService.ts"
export type { Job, ServeOptions, Task } from "./TaskWorker.ts"
export type { Flow, FlowFailed, FlowJob } from "./TaskWorkflow.ts"

/** Defines a kind of task; values cross the network as JSON. */
export const make = <Input, Output, Progress = never>(
  kind: string,
  schemas: {
    readonly input: Schema.Codec<Input, unknown>
    readonly output: Schema.Codec<Output, unknown>
    readonly progress?: Schema.Codec<Progress, unknown>
  }
): Task<Input, Progress, Output> => ({ progress: Schema.Never as never, ...schemas, kind })

/** The executor said no, with its reason. */
export class TaskDeclined extends Schema.TaggedError<TaskDeclined>()("TaskDeclined", {
  id: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `task ${this.id} was declined: ${this.detail}`
  }
}

/** It was tried and did not work, for good; or what came back is not what its kind promises. */
export class TaskFailed extends Schema.TaggedError<TaskFailed>()("TaskFailed", {
  id: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `task ${this.id} failed: ${this.detail}`
  }
}

/** Its time was over before it was done. */
export class TaskExpired extends Schema.TaggedError<TaskExpired>()("TaskExpired", {
  id: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `task ${this.id} expired: ${this.detail}`
  }
}

/** Its submitter took it back. */
export class TaskCancelled extends Schema.TaggedError<TaskCancelled>()("TaskCancelled", {
  id: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `task ${this.id} was cancelled: ${this.detail}`
  }
}

/** Why there is no output. */
export type TaskFailure = TaskCancelled | TaskDeclined | TaskExpired | TaskFailed

/** A task that was submitted, in this program or an earlier one. */
export interface Handle<Progress, Output> {
  readonly id: string
  /** What its handler says of its progress, the latest of it, until the task is done. */
  readonly progress: Stream.Stream<Progress, TaskError>
  /** Waits for the output, however long that takes and whoever restarts meanwhile. */
  readonly result: Effect.Effect<Output, TaskFailure | TaskError>
  /** As it is known here now. */
  readonly status: Effect.Effect<TaskRecord["status"], TaskError>
  readonly cancel: Effect.Effect<void, TaskError>
}

/** How a task is submitted. */
export interface SubmitOptions {
  /**
   * A trusted peer, by hostname, address or node id, or a `Peer` selector. `Peer.capable` means all trusted peers that offer it,
   * `Peer.anyOf` those that are named: the one that has done best with such tasks is asked first (`ledger`), and the next one when
   * it declines, cannot be reached, or does not accept in time.
   */
  readonly to: string | Peer.Selector
  /** With `Peer.capable`: if no trusted peer can do it, ask strangers whose cards are public for trust. */
  readonly anyone?: boolean
  /** With several peers: how long one may take to accept it before the next is asked; a minute unless told otherwise. */
  readonly acceptWithin?: Duration.Input
  /** Counted from now; it is worth nothing after. A day unless told otherwise, thirty at most. */
  readonly deadline?: Duration.Input
  /** From -1000 to 1000: larger ones are done first. */
  readonly priority?: number
  /**
   * The same id with the same input is the same task, however often it is submitted, from here or after a crash: letters,
   * digits, `_` and `-`, at most 64.
   */
  readonly id?: string
}

/** Why a task was not submitted. */
export type SubmitError = DialError | PilotError | Peer.NoSuchPeer | Schema.SchemaError | TaskError

/** Submits a task; it is on this node's disk when this returns, and is brought to its peer as soon as that can be reached. */
export const submit = Effect.fn("Tasks.submit")(function* <Input, Progress, Output>(
  task: Task<Input, Progress, Output>,
  input: Input,
  options: SubmitOptions
): Effect.fn.Return<Handle<Progress, Output>, SubmitError, Pilot | Tasks> {
  const tasks = yield* Tasks
  const [to, ...others] = yield* TaskPeers.find(tasks, options)
  const description = JSON.stringify(yield* Schema.encodeEffect(task.input)(input))
  const deadline = durationMs(options.deadline)
  const record = yield* tasks.submit({
    ...{ to: to!, description, kind: task.kind, lifeMs: deadline, priority: options.priority ?? 0 },
    ...(TaskPeers.isOpen(options.to) ? { others, acceptMs: durationMs(options.acceptWithin) } : {}),
    id: options.id
  })
  return handleOf(tasks, task, record.id)
})

/** The handle of a task that was submitted before, by its id. */
export const handle = Effect.fn("Tasks.handle")(function* <Input, Progress, Output>(
  task: Task<Input, Progress, Output>,
  id: string
): Effect.fn.Return<Handle<Progress, Output>, TaskError, Tasks> {
  const tasks = yield* Tasks
  yield* tasks.get("submitted", id)
  return handleOf(tasks, task, id)
})

/**
 * How the tasks that this node gave away have ended, by peer (its Ed25519 key, base64) and kind: this node's own experience, on its
 * disk, which `Peer.capable` and `Peer.anyOf` are decided by.
 */
export const ledger: Effect.Effect<ReadonlyArray<Tally>, TaskError, Tasks> = Effect.flatMap(
  Tasks,
  (tasks) => tasks.ledger
)

/** Submits a task and waits for its output; interrupting it cancels the task. */
export const call = <Input, Progress, Output>(
  task: Task<Input, Progress, Output>,
  input: Input,
  options: SubmitOptions
): Effect.Effect<Output, SubmitError | TaskFailure, Pilot | Tasks> =>
  Effect.flatMap(submit(task, input, options), ({ cancel, result }) =>
    Effect.onInterrupt(result, () => Effect.ignore(cancel))
  )

/**
 * Serves a kind of task for as long as the layer lives. The handler is given the input and the job: an effect to tell its
 * progress, the attempt, and who asks. A failure of the handler ends the task, unless `isRetryable` says that another attempt may help;
 * a defect, a lost worker or a restart brings another one, five in all. What is already done is the handler's to know: an attempt
 * begins at its beginning.
 */
export const serve = <Input, Progress, Output, E, R>(
  task: Task<Input, Progress, Output>,
  handler: (input: Input, job: TaskWorker.Job<Progress>) => Effect.Effect<Output, E, R>,
  options: TaskWorker.ServeOptions<E> = {}
): Layer.Layer<never, never, Tasks | R> =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const tasks = yield* Tasks
      yield* TaskWorker.start(tasks, task, handler, options)
    })
  )

/**
 * A kind of task with a workflow that does it (Effect's `workflow` module): what its activities have finished is not repeated when
 * the program is killed or, with an engine over a shared database, its machine is lost. See `TaskWorkflow.make`.
 */
export const workflow = TaskWorkflow.make

/** Serves such a kind: claims tasks of this node, and does its share of the work. `flow.worker` alone only works. */
export const serveWorkflow = TaskWorkflow.serve

/** Effect's workflow engine over SQLite in a directory of this program's own. */
export const layerWorkflows = WorkflowLayer.layer

const handleOf = <Input, Progress, Output>(
  tasks: Tasks["Service"],
  task: Task<Input, Progress, Output>,
  id: string
): Handle<Progress, Output> => {
  const get = lastTry(tasks, id)
  const changed = (record: TaskRecord) => Effect.flatMap(tasks.changed(record, LOOK_MS), latest(tasks))
  const followed = Effect.flatMap(get, (first) => until(first, changed))
  return {
    id,
    progress: Stream.paginate(undefined as TaskRecord | undefined, (last) =>
      Effect.map(last === undefined ? get : changed(last), (record) => {
        const isNew = record.progress !== "" && record.progress !== last?.progress
        return [isNew ? [record.progress] : [], isDone(record) ? Option.none() : Option.some(record)] as const
      })
    ).pipe(
      Stream.mapEffect((text) => Effect.option(Schema.decodeUnknownEffect(Schema.fromJsonString(task.progress))(text))),
      Stream.filter(Option.isSome),
      Stream.map(({ value }) => value)
    ),
    result: Effect.flatMap(followed, (record) => outputOf(tasks, task, record)),
    status: Effect.map(get, ({ status }) => status),
    cancel: Effect.asVoid(tasks.cancel(id, "cancelled by its submitter"))
  }
}

/** The task as it stands now, after all peers that it was passed on from. */
const lastTry = (tasks: Tasks["Service"], id: string): Effect.Effect<TaskRecord, TaskError> =>
  Effect.flatMap(tasks.get("submitted", id), latest(tasks))

const latest =
  (tasks: Tasks["Service"]) =>
  (record: TaskRecord): Effect.Effect<TaskRecord, TaskError> =>
    record.successor === undefined ? Effect.succeed(record) : lastTry(tasks, record.successor)

const durationMs = (input: Duration.Input | undefined): number =>
  input === undefined ? 0 : Duration.toMillis(Duration.fromInputUnsafe(input))

const until = Effect.fnUntraced(function* (
  first: TaskRecord,
  changed: (record: TaskRecord) => Effect.Effect<TaskRecord, TaskError>
): Effect.fn.Return<TaskRecord, TaskError> {
  let record = first
  while (!isDone(record)) record = yield* changed(record)
  return record
})

const outputOf = Effect.fnUntraced(function* <Input, Progress, Output>(
  tasks: Tasks["Service"],
  task: Task<Input, Progress, Output>,
  record: TaskRecord
): Effect.fn.Return<Output, TaskFailure | TaskError> {
  const { id, justification: detail, result, status } = record
  if (result === undefined) {
    if (status === "DECLINED") return yield* new TaskDeclined({ id, detail })
    if (status === "EXPIRED") return yield* new TaskExpired({ id, detail })
    return yield* status === "CANCELLED" ? new TaskCancelled({ id, detail }) : new TaskFailed({ id, detail })
  }
  const outcome: Outcome = yield* tasks.outcome(record)
  if (outcome._tag === "File") return yield* new TaskFailed({ id, detail: "the result is a file, not a value" })
  return yield* Effect.mapError(
    Schema.decodeUnknownEffect(Schema.fromJsonString(task.output))(outcome.text),
    (error) => new TaskFailed({ id, detail: `the result is not what the kind promises: ${error.message}` })
  )
})

/** How long to wait at once for a change. */
const LOOK_MS = 20_000
