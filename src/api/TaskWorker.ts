/** Workers for one kind of task: each claims one, keeps its lease while the handler runs, and reports what came of it. */
import { Cause, Duration, Effect, Exit, Random, Schedule, Schema, type Scope } from "effect"
import type { TaskRecord } from "../protocol/task/TaskRecord.ts"
import { LEASE_MAX_MS, LEASE_MIN_MS } from "../protocol/task/TaskTime.ts"
import { TaskError, type Tasks } from "./TasksService.ts"

/** A kind of task. Programs at both ends share it, or have equal ones. */
export interface Task<Input, Progress, Output> {
  readonly kind: string
  readonly input: Schema.Codec<Input, unknown>
  readonly progress: Schema.Codec<Progress, unknown>
  readonly output: Schema.Codec<Output, unknown>
}

/** One attempt at one task, as its handler sees it. */
export interface Job<Progress> {
  readonly id: string
  /** 1 for the first one. */
  readonly attempt: number
  /** Whose task it is: `0:0000.0000.0001`. */
  readonly from: string
  readonly priority: number
  /** When the task is worth nothing any more. */
  readonly expiresAt: Date
  /** Tells the submitter how far it is; the latest counts. */
  readonly progress: (value: Progress) => Effect.Effect<void>
}

/** How a kind is served. */
export interface ServeOptions<E> {
  /** Tasks at once; 1 unless told otherwise. */
  readonly concurrency?: number
  /** An attempt that takes longer fails, and another may follow. */
  readonly timeout?: Duration.Input
  /** Whether a failure of the handler is worth another attempt; never unless told otherwise. */
  readonly isRetryable?: (error: E) => boolean
  /**
   * A name of this program's own that outlives it: when it comes back after a crash, the attempts that died with it are given up
   * at once, not at the end of their leases. Of two programs with the same name the later one takes the tasks of the earlier one.
   */
  readonly worker?: string
  /** How long a task is kept for a program that says nothing; 15 seconds unless told otherwise, from one second to ten minutes. */
  readonly lease?: Duration.Input
}

/** Starts the workers in the surrounding scope; its end gives back what they have. */
export const start = Effect.fnUntraced(function* <Input, Progress, Output, E, R>(
  tasks: Tasks["Service"],
  task: Task<Input, Progress, Output>,
  handler: (input: Input, job: Job<Progress>) => Effect.Effect<Output, E, R>,
  options: ServeOptions<E>
): Effect.fn.Return<void, never, R | Scope.Scope> {
  const count = Math.max(1, options.concurrency ?? 1)
  const name = options.worker ?? `${(yield* Random.nextInt).toString(36)}${(yield* Random.nextInt).toString(36)}`
  const worker = `${task.kind}-${name}`
  yield* Effect.addFinalizer(() => Effect.ignore(Effect.timeout(tasks.release(worker), RELEASE_TIMEOUT)))
  const claim = tasks.claim([task.kind], { worker, leaseMs: leaseMsOf(options), waitMs: WAIT_MS })
  const one = Effect.flatMap(claim, (record) =>
    record === undefined ? Effect.void : perform(tasks, task, handler, options, record)
  )
  // A node that is away, or whose disk is full, comes back.
  const patient = <E>(effect: Effect.Effect<void, E, R>): Effect.Effect<void, never, R> =>
    Effect.catchCause(effect, (cause) =>
      Cause.hasInterruptsOnly(cause)
        ? Effect.interrupt
        : Effect.andThen(Effect.logWarning(`tasks: ${task.kind}: ${text(Cause.squash(cause))}`), Effect.sleep(PAUSE))
    )
  const claiming = Effect.all(
    Array.from({ length: count }, () => Effect.forever(patient(one))),
    { concurrency: "unbounded", discard: true }
  )
  const isBack = options.worker !== undefined
  yield* Effect.forkScoped(Effect.andThen(isBack ? heir(tasks, worker) : Effect.void, claiming))
})

/** An earlier life of this program has died with tasks; before this one has any, those are given up. */
const heir = (tasks: Tasks["Service"], worker: string): Effect.Effect<void> =>
  Effect.ignore(Effect.retry(tasks.release(worker, true), { while: isPassing, schedule: Schedule.spaced(PAUSE) }))

const leaseMsOf = ({ lease }: { readonly lease?: Duration.Input }): number =>
  lease === undefined
    ? LEASE_MS
    : Math.max(LEASE_MIN_MS, Math.min(LEASE_MAX_MS, Duration.toMillis(Duration.fromInputUnsafe(lease))))

const perform = Effect.fnUntraced(function* <Input, Progress, Output, E, R>(
  tasks: Tasks["Service"],
  task: Task<Input, Progress, Output>,
  handler: (input: Input, job: Job<Progress>) => Effect.Effect<Output, E, R>,
  options: ServeOptions<E>,
  record: TaskRecord
): Effect.fn.Return<void, TaskError, R> {
  const { attempt, id } = record
  const leaseMs = leaseMsOf(options)
  const fail = (why: string, isFinal: boolean) =>
    Effect.asVoid(tasks.fail(id, { why: why.slice(0, WHY_MAX), isFinal, attempt }))
  const decoded = yield* Effect.result(
    Schema.decodeUnknownEffect(Schema.fromJsonString(task.input))(record.description)
  )
  if (decoded._tag === "Failure")
    return yield* fail(`what was submitted is not what ${task.kind} takes: ${decoded.failure.message}`, true)
  let latest: string | undefined
  const renew = Effect.suspend(() => tasks.renew(id, attempt, leaseMs, latest))
  const job: Job<Progress> = {
    ...{ id, attempt, from: record.from, priority: record.priority, expiresAt: new Date(record.expiresAtMs) },
    progress: (value) =>
      Effect.gen(function* () {
        latest = JSON.stringify(yield* Schema.encodeEffect(task.progress)(value))
        // A lease that is lost ends the handler, from below.
        yield* Effect.ignore(renew)
      }).pipe(Effect.orDie)
  }
  const timed =
    options.timeout === undefined
      ? handler(decoded.success, job)
      : Effect.timeoutOrElse(handler(decoded.success, job), {
          duration: options.timeout,
          orElse: () =>
            Effect.die(`it took longer than ${Duration.format(Duration.fromInputUnsafe(options.timeout ?? 0))}`)
        })
  // A node that is away for a moment may still keep the lease.
  const kept = Effect.catchIf(renew, isPassing, () => Effect.void).pipe(
    Effect.delay(leaseMs / 3),
    Effect.forever,
    Effect.mapError((error) => new Lost({ error }))
  )
  const ended = yield* Effect.exit(Effect.raceFirst(timed, kept))
  if (Exit.isSuccess(ended)) {
    const encoded = yield* Effect.exit(encode(task.output, ended.value))
    if (Exit.isFailure(encoded)) return yield* fail(`the result is not what ${task.kind} promises`, true)
    if (encoded.value === undefined) return yield* fail("the result is too long, or no JSON", true)
    const finished = Effect.retry(tasks.finish(id, { _tag: "Text", text: encoded.value }, attempt), {
      while: isPassing,
      schedule: PATIENCE
    })
    return yield* Effect.catch(Effect.asVoid(finished), (error) =>
      error.reason === "Invalid" ? fail(error.detail, true) : Effect.fail(error)
    )
  }
  // Not this worker, which would not get here: the handler has given itself up.
  if (Cause.hasInterruptsOnly(ended.cause)) return yield* fail("its handler was interrupted", false)
  const error = Cause.findErrorOption(ended.cause)
  // Somebody else has it, or nobody wants it any more.
  if (error._tag === "Some" && error.value instanceof Lost) return
  return error._tag === "Some"
    ? yield* fail(text(error.value), !(options.isRetryable?.(error.value as E) ?? false))
    : yield* fail(text(Cause.squash(ended.cause)), false)
})

/** As JSON text; `undefined` for what has none, such as a circle, or one that is longer than a text can be. */
const encode = <A>(schema: Schema.Codec<A, unknown>, value: A): Effect.Effect<string | undefined, Schema.SchemaError> =>
  Effect.map(Schema.encodeEffect(schema)(value), (encoded) => {
    try {
      return JSON.stringify(encoded)
    } catch {
      return undefined
    }
  })

const isPassing = ({ reason }: TaskError): boolean => reason === "Unreachable" || reason === "NotStored"

/** The words of a failure. */
export const text = (error: unknown): string =>
  error instanceof Error && error.message !== "" ? error.message : typeof error === "string" ? error : shown(error)

const shown = (error: unknown): string => {
  try {
    return JSON.stringify(error) ?? String(error)
  } catch {
    return "a failure that cannot be shown"
  }
}

/** The lease is somebody else's. */
class Lost extends Schema.TaggedError<Lost>()("Lost", { error: Schema.instanceOf(TaskError) }) {}

const LEASE_MS = 15_000
const WAIT_MS = 20_000
const PAUSE = "1 second"
/** For a node that restarts: as long as nobody else has the task, its result is still welcome. */
const PATIENCE = Schedule.max([Schedule.spaced("1 second"), Schedule.recurs(LEASE_MS / 1_000)])
const RELEASE_TIMEOUT = "1 second"
const WHY_MAX = 1_000
