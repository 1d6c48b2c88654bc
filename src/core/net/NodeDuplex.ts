/** A `Duplex` of ours as a stream of Node's, for libraries that want a socket. */
import * as Stream from "node:stream"
import { Cause, type Context, Effect, Exit, Fiber, Scope } from "effect"
import type { Duplex } from "./Duplex.ts"

/** Starts an effect, tells its outcome, and gives the way to interrupt it. */
export type Run = <A, E>(effect: Effect.Effect<A, E>, done: (exit: Exit.Exit<A, E>) => void) => () => void

/** Reading, writing and half-closing with back-pressure; `destroy` interrupts what waits. */
export class NodeDuplex extends Stream.Duplex {
  readonly #duplex: Duplex<unknown>
  readonly #run: Run
  readonly #stops = new Set<() => void>()

  constructor(duplex: Duplex<unknown>, run: Run) {
    super({ allowHalfOpen: true })
    this.#duplex = duplex
    this.#run = run
  }

  override _read(): void {
    this.#start(this.#duplex.read, (exit) => {
      if (Exit.isSuccess(exit)) this.push(exit.value)
      else if (Cause.isDone(Cause.squash(exit.cause))) this.push(null)
      else this.destroy(errorOf(exit.cause))
    })
  }

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error | null) => void): void {
    this.#start(this.#duplex.write(chunk), (exit) => done(Exit.isSuccess(exit) ? null : errorOf(exit.cause)))
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#start(this.#duplex.end, () => done(null))
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    for (const stop of this.#stops) stop()
    this.#stops.clear()
    done(error)
  }

  // What HTTP of Node calls on every socket; a virtual stream has no such settings.
  setTimeout(): this {
    return this
  }
  setNoDelay(): this {
    return this
  }
  setKeepAlive(): this {
    return this
  }
  ref(): this {
    return this
  }
  unref(): this {
    return this
  }
  destroySoon(): void {
    this.end(() => this.destroy())
  }

  #start<A, E>(effect: Effect.Effect<A, E>, done: (exit: Exit.Exit<A, E>) => void): void {
    if (this.destroyed) return
    let stop: (() => void) | undefined
    let isDone = false
    stop = this.#run(effect, (exit) => {
      isDone = true
      if (stop !== undefined) this.#stops.delete(stop)
      if (!this.destroyed) done(exit)
    })
    if (!isDone) this.#stops.add(stop)
  }
}

/** Runs effects in that context. */
export const runner = (context: Context.Context<never>): Run => {
  const fork = Effect.runForkWith(context)
  return (effect, done) => {
    const fiber = fork(effect)
    fiber.addObserver(done)
    return () => fork(Fiber.interrupt(fiber))
  }
}

/** The stream before it is there: what is written waits for the dial, whose scope ends with the stream. */
export const open = (
  { dial }: { readonly dial: Effect.Effect<Duplex<unknown>, unknown, Scope.Scope> },
  run: Run
): NodeDuplex => {
  const scope = Scope.makeUnsafe()
  const dialled = Effect.runSync(Effect.cached(Effect.provideService(dial, Scope.Scope, scope)))
  const stream = new NodeDuplex(
    {
      read: Effect.flatMap(dialled, ({ read }) => read),
      write: (bytes) => Effect.flatMap(dialled, ({ write }) => (bytes.length === 0 ? Effect.void : write(bytes))),
      end: Effect.ignore(Effect.flatMap(dialled, ({ end }) => end))
    },
    run
  )
  stream.on("close", () => run(Scope.close(scope, Exit.void), () => {}))
  return stream
}

const errorOf = (cause: Cause.Cause<unknown>): Error => {
  const error = Cause.squash(cause)
  return error instanceof Error ? error : new Error(String(error))
}
