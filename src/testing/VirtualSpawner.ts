/**
 * Effect's `ChildProcessSpawner` on a simulated machine: a command is a program registered under its name, a child is a
 * fiber with pipes. A signal interrupts it, which its finalizers hear as a process hears SIGTERM; a power cut does the same
 * when nobody listens any more.
 */
import { type Cause, Deferred, Effect, Exit, Fiber, PlatformError, Queue, Redacted, Sink, Stream } from "effect"
import { ChildProcessSpawner, type ChildProcess as Process } from "effect/process"
import * as Bytes from "../core/data/Bytes.ts"
import type { Trace } from "./Trace.ts"
import * as VirtualPipe from "./VirtualPipe.ts"

/** What a program of a simulated machine sees of its process: standard input is read, standard output written. */
export interface Child extends VirtualPipe.PipeEnd {
  readonly pid: number
  readonly args: ReadonlyArray<string>
  readonly env: Readonly<Record<string, string | undefined>>
  /** One line on standard error. */
  readonly complain: (line: string) => Effect.Effect<void>
}

/** A program of a simulated machine. A number is its exit status, a failure is status 1, anything else 0. */
export type Program = (child: Child) => Effect.Effect<unknown, unknown>

/** Mutable; the processes of one machine. */
export class VirtualSpawner {
  readonly service: ChildProcessSpawner.ChildProcessSpawner["Service"]
  readonly #name: string
  readonly #programs: ReadonlyMap<string, Program>
  readonly #trace: Trace
  readonly #running = new Set<Fiber.Fiber<unknown, unknown>>()
  #pids = FIRST_PID

  constructor(name: string, programs: ReadonlyMap<string, Program>, trace: Trace) {
    this.#name = name
    this.#programs = programs
    this.#trace = trace
    this.service = ChildProcessSpawner.make((command) => this.#spawn(command))
  }

  /** Children that run. */
  get size(): number {
    return this.#running.size
  }

  /** Kills every child; whoever started them hears of it. */
  readonly killAll: Effect.Effect<void> = Effect.suspend(() =>
    Effect.forEach([...this.#running], Fiber.interrupt, { discard: true })
  )

  #spawn(command: Process.Command) {
    return Effect.gen({ self: this }, function* () {
      if (command._tag !== "StandardCommand") return yield* failure("Unknown", "a pipeline", "not simulated")
      const program = this.#programs.get(command.command)
      if (program === undefined) return yield* failure("NotFound", command.command, `no such program on ${this.#name}`)
      return yield* this.#start(command, program)
    })
  }

  #start(command: Process.StandardCommand, program: Program) {
    return Effect.gen({ self: this }, function* () {
      const pid = ++this.#pids
      const [outer, inner] = yield* VirtualPipe.make
      const errors = yield* Queue.sliding<Uint8Array, Cause.Done>(STDERR_LINES_MAX)
      const exited = yield* Deferred.make<ChildProcessSpawner.ExitCode, PlatformError.PlatformError>()
      const child: Child = {
        ...inner,
        pid,
        args: command.args.map(plain),
        env: Object.fromEntries(Object.entries(command.options.env ?? {}).map(([name, value]) => [name, plain(value)])),
        complain: (line) => Effect.asVoid(Queue.offer(errors, new TextEncoder().encode(`${line}\n`)))
      }
      const what = `${this.#name} pid ${pid} ${command.command}`
      this.#trace.record(`${what} starts`)
      const fiber = yield* Effect.forkDetach(
        Effect.onExit(program(child), (exit) => {
          this.#running.delete(fiber)
          this.#trace.record(`${what} ends`)
          return Effect.all([inner.hangUp, Queue.end(errors), Deferred.done(exited, status(exit, what))])
        })
      )
      this.#running.add(fiber)
      yield* Effect.addFinalizer(() => Fiber.interrupt(fiber))
      return ChildProcessSpawner.makeHandle({
        pid: ChildProcessSpawner.ProcessId(pid),
        exitCode: Deferred.await(exited),
        isRunning: Effect.map(Deferred.isDone(exited), (isDone) => !isDone),
        kill: () => Fiber.interrupt(fiber),
        stdin: input(outer, exited),
        stdout: output(outer),
        stderr: Stream.fromQueue(errors),
        all: Stream.merge(output(outer), Stream.fromQueue(errors)),
        getInputFd: () => Sink.drain,
        getOutputFd: () => Stream.empty,
        unref: Effect.succeed(Effect.void)
      })
    })
  }
}

/** A write fails once the process has ended (EPIPE), whether or not somebody waits in it. */
const input = <A, E>(pipe: VirtualPipe.PipeEnd, exited: Deferred.Deferred<A, E>) => {
  const broken = Deferred.await(exited).pipe(
    Effect.exit,
    Effect.andThen(failure("BadResource", "stdin", "broken pipe"))
  )
  return Sink.forEachArray((chunks: ReadonlyArray<Uint8Array>) =>
    Effect.raceFirst(pipe.write(Bytes.concat(...chunks)), broken)
  ).pipe(Sink.ensuring(pipe.end))
}

const plain = <A>(word: A | Redacted.Redacted<A>): A => (Redacted.isRedacted(word) ? Redacted.value(word) : word)

const output = ({ read }: VirtualPipe.PipeEnd) =>
  Stream.fromPull(Effect.succeed(Effect.map(read, (bytes) => [bytes] as const)))

const status = (exit: Exit.Exit<unknown, unknown>, what: string) => {
  if (Exit.isSuccess(exit)) return Exit.succeed(ChildProcessSpawner.ExitCode(Number(exit.value) || 0))
  if (Exit.hasInterrupts(exit)) return Exit.fail(failure("Unknown", what, "ended by a signal"))
  return Exit.succeed(ChildProcessSpawner.ExitCode(1))
}

const failure = (tag: PlatformError.SystemErrorTag, what: string, description: string) =>
  PlatformError.systemError({
    _tag: tag,
    module: "ChildProcess",
    method: "spawn",
    pathOrDescriptor: what,
    description
  })

const FIRST_PID = 100
/** What nobody reads of standard error makes room for what follows. */
const STDERR_LINES_MAX = 64
