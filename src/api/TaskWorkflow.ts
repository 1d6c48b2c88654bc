/**
 * Tasks whose handler is a workflow of Effect's `workflow` module: whatever its activities have finished is not done again, after a
 * crash of this program, and with an engine over a shared database after the loss of a machine.
 *
 * Two parts, which may be in one program or on several machines: `worker` does the work, wherever the engine puts it; `handler`
 * stands between a node's task and its execution, and may begin anew at any time, since both are found by the task's id.
 */
import { Effect, Layer, Option, Schema } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { Workflow, type WorkflowEngine } from "effect/workflow"
import { isDone } from "../protocol/task/TaskRecord.ts"
import { Tasks } from "./TasksService.ts"
import type { Job, ServeOptions, Task } from "./TaskWorker.ts"
import * as TaskWorker from "./TaskWorker.ts"

/** One execution, as its body sees it. There is one for all attempts at a task. */
export type FlowJob<Progress> = Omit<Job<Progress>, "attempt">

/** A kind of task with the workflow that does it. */
export interface Flow<Input, Progress, Output, R> {
  readonly task: Task<Input, Progress, Output>
  /** Does the work that the engine gives to this process. Fails if the database is away when it starts. */
  readonly worker: Layer.Layer<
    never,
    SqlError.SqlError,
    Exclude<R, InBody> | SqlClient.SqlClient | WorkflowEngine.WorkflowEngine
  >
  /** Starts the execution that belongs to a task, or finds it, and waits for its end. */
  readonly handler: (
    input: Input,
    job: Job<Progress>
  ) => Effect.Effect<Output, FlowFailed, SqlClient.SqlClient | Tasks | WorkflowEngine.WorkflowEngine>
}

/** What the engine gives to a body by itself. */
type InBody = WorkflowEngine.WorkflowEngine | WorkflowEngine.WorkflowInstance | Workflow.Execution<string>

/** The body failed; it is not tried again, because what it did is on record. Its activities may retry. */
export class FlowFailed extends Schema.TaggedError<FlowFailed>()("FlowFailed", { detail: Schema.String }) {
  override get message(): string {
    return this.detail
  }
}

/**
 * Makes a workflow of a body. It is played again from its beginning after each interruption, so all that it does to the world stands
 * in an `Activity`; the one that ran when the process died runs again.
 */
export const make = <Input, Progress, Output, E, R>(
  task: Task<Input, Progress, Output>,
  body: (input: Input, job: FlowJob<Progress>) => Effect.Effect<Output, E, R>
): Flow<Input, Progress, Output, R> => {
  const workflow = Workflow.make(`effect-pilot/task/${task.kind}`, {
    payload: {
      id: Schema.String,
      from: Schema.String,
      priority: Schema.Int,
      expiresAtMs: Schema.Finite,
      input: Schema.String
    },
    success: Schema.String,
    error: FlowFailed,
    // The same id from the same peer is the same task, unless it was forgotten and means something else now.
    idempotencyKey: ({ from, id, input }) => `${from} ${id} ${input}`
  })
  const inputText = Schema.fromJsonString(task.input)
  const outputText = Schema.fromJsonString(task.output)
  const progressText = Schema.fromJsonString(task.progress)
  const failed = (error: unknown) => new FlowFailed({ detail: TaskWorker.text(error).slice(0, DETAIL_MAX) })

  const worker = Layer.effectContext(
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* createTable(sql)
      const played = workflow.toLayer(({ expiresAtMs, from, id, input, priority }, execution) =>
        Effect.gen(function* () {
          const given = yield* Schema.decodeUnknownEffect(inputText)(input)
          const progress = (value: Progress) =>
            // A body that reports what its kind does not know is wrong; only that is a defect.
            Effect.flatMap(Effect.orDie(Schema.encodeEffect(progressText)(value)), (text) =>
              writeProgress(sql, execution, text)
            )
          const output = yield* body(given, { id, from, priority, expiresAt: new Date(expiresAtMs), progress })
          return yield* Schema.encodeEffect(outputText)(output)
        }).pipe(Effect.mapError(failed))
      )
      return yield* Layer.build(played)
    })
  )

  const handler = Effect.fnUntraced(function* (input: Input, job: Job<Progress>) {
    const sql = yield* SqlClient.SqlClient
    const tasks = yield* Tasks
    const { from, id, priority } = job
    const encoded = yield* Effect.mapError(Schema.encodeEffect(inputText)(input), failed)
    const payload = { id, from, priority, expiresAtMs: job.expiresAt.getTime(), input: encoded }
    const execution = yield* workflow.executionId(payload)
    const waiting = Effect.gen(function* () {
      yield* workflow.execute(payload, { discard: true, detached: true })
      let told = ""
      while (true) {
        const result = Option.getOrUndefined(yield* workflow.poll(execution))
        if (result?._tag === "Complete") return yield* result.exit
        const latest = yield* readProgress(sql, execution, told)
        if (latest !== told) {
          told = latest
          const value = yield* Effect.option(Schema.decodeUnknownEffect(progressText)(latest))
          if (value._tag === "Some") yield* job.progress(value.value)
        }
        yield* Effect.sleep(LOOK_INTERVAL)
      }
    })
    // Whoever only stops, as for a deploy, comes back; what nobody wants any more is stopped with its task.
    const giveUp = Effect.flatMap(tasks.get("received", id), (record) =>
      isDone(record) ? workflow.interrupt(execution) : Effect.void
    ).pipe(Effect.timeout(GIVE_UP_TIMEOUT), Effect.ignore)
    const text = yield* Effect.onInterrupt(waiting, () => giveUp)
    yield* forgetProgress(sql, execution)
    return yield* Effect.mapError(Schema.decodeUnknownEffect(outputText)(text), failed)
  })
  return { task, worker: worker as Flow<Input, Progress, Output, R>["worker"], handler }
}

/** Serves the kind in this program: claims tasks of the node, and does its share of the work. */
export const serve = <Input, Progress, Output, R>(
  flow: Flow<Input, Progress, Output, R>,
  options: Omit<ServeOptions<never>, "isRetryable" | "timeout"> = {}
): Layer.Layer<
  never,
  SqlError.SqlError,
  Exclude<R, InBody> | SqlClient.SqlClient | Tasks | WorkflowEngine.WorkflowEngine
> =>
  Layer.effectDiscard(Effect.flatMap(Tasks, (tasks) => TaskWorker.start(tasks, flow.task, flow.handler, options))).pipe(
    Layer.provideMerge(flow.worker)
  )

const createTable = (sql: SqlClient.SqlClient) =>
  sql`CREATE TABLE IF NOT EXISTS effect_pilot_progress (execution VARCHAR(255) PRIMARY KEY, body TEXT NOT NULL)`

/** Progress is news, not the work: a database that is away for a moment loses some of it, and no attempt. */
const writeProgress = (sql: SqlClient.SqlClient, execution: string, body: string) =>
  sql`INSERT INTO effect_pilot_progress ${sql.insert({ execution, body })}
    ON CONFLICT (execution) DO UPDATE SET body = excluded.body`.pipe(
    Effect.tapError((error) => Effect.logDebug("progress was not written", error)),
    Effect.ignore
  )

const readProgress = (sql: SqlClient.SqlClient, execution: string, otherwise: string) =>
  sql<{ body: string }>`SELECT body FROM effect_pilot_progress WHERE execution = ${execution}`.pipe(
    Effect.map((rows) => rows[0]?.body ?? otherwise),
    Effect.orElseSucceed(() => otherwise)
  )

const forgetProgress = (sql: SqlClient.SqlClient, execution: string) =>
  Effect.ignore(sql`DELETE FROM effect_pilot_progress WHERE execution = ${execution}`)

const LOOK_INTERVAL = "200 millis"
const GIVE_UP_TIMEOUT = "5 seconds"
const DETAIL_MAX = 1_000
