/**
 * The one child of an upstream (mcp §6.3, §6.4): started when it is needed, one at a time, and told what the one before it
 * knew. What becomes of the calls of one that dies is its `Upstream`'s.
 */
import { Effect, Exit, Schema, Scope, Semaphore } from "effect"
import { CannotStart, type Child, type TooManyStarts } from "./Child.ts"
import * as RunningChild from "./RunningChild.ts"

/** The server that took a dead one's place is of another kind, so the client's session cannot go on (mcp §6.3). */
export class ServerChanged extends Schema.TaggedError<ServerChanged>()("ServerChanged", { service: Schema.String }) {}

/** How it is started. */
export interface Options {
  readonly spawn: Effect.Effect<Child, CannotStart | TooManyStarts, Scope.Scope>
  readonly running: Omit<RunningChild.Options, "ended">
  /** Told when a child is gone, with a word about it. */
  readonly ended: (child: RunningChild.RunningChild, why: string) => Effect.Effect<unknown>
}

/** The child, or its place. */
export interface UpstreamChild {
  /** The one that runs now. */
  readonly current: () => RunningChild.RunningChild | undefined
  /** The one that runs, or one started now. */
  readonly demand: Effect.Effect<RunningChild.RunningChild, CannotStart | TooManyStarts | ServerChanged>
}

/** None yet; the end of the surrounding scope stops it. */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<UpstreamChild, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const starting = yield* Semaphore.make(1)
  let current: RunningChild.RunningChild | undefined

  const start = Effect.fnUntraced(function* () {
    const childScope = yield* Scope.fork(scope, "sequential")
    const child = yield* Scope.provide(options.spawn, childScope).pipe(
      Effect.onError((cause) => Scope.close(childScope, Exit.failCause(cause)))
    )
    const close = Scope.close(childScope, Exit.void)
    let isOver = false
    const started = yield* RunningChild.run(child, {
      ...options.running,
      ended: (self, why) =>
        Effect.suspend(() => {
          isOver = true
          if (current === self) current = undefined
          return Effect.andThen(options.ended(self, why), Effect.forkIn(close, scope))
        })
    }).pipe(Scope.provide(childScope))
    const replayed = options.running.opening.isComplete ? yield* started.replay : "same"
    // It may have ended after it answered, while it was told the rest; nobody would hear of that again.
    if (replayed === "same" && !isOver) {
      current = started
      return started
    }
    yield* close
    if (replayed !== "changed") return yield* new CannotStart({ detail: "it stopped while it was opened again" })
    return yield* new ServerChanged({ service: options.running.service })
  })

  return {
    current: () => current,
    // One at a time: calls that run again ask for a child beside the client's own.
    demand: Effect.suspend(() =>
      current === undefined
        ? starting.withPermit(Effect.suspend(() => (current === undefined ? start() : Effect.succeed(current))))
        : Effect.succeed(current)
    )
  }
})
