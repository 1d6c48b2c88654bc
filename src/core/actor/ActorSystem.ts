/**
 * The root of a tree of actors: unique names, an overview, and one orderly shutdown, in the reverse order of start, so
 * that whoever was started for the others ends last.
 */
import { Effect, Exit, Scope } from "effect"
import * as Actor from "./Actor.ts"
import { NameTaken } from "./ActorError.ts"
import type { ActorRef } from "./ActorRef.ts"
import type { Behaviour } from "./Behaviour.ts"

/** One live actor of a system. */
export interface ActorStatus {
  readonly name: string
  /** See `ActorRef.dropped`. */
  readonly dropped: number
}

/** A running system. */
export interface ActorSystem {
  /** Starts an actor below the root; its name is free again once it ended. After the shutdown it ends at once. */
  readonly spawn: <M, E, R>(
    behaviour: Behaviour<M, E, R>
  ) => Effect.Effect<ActorRef<M>, NameTaken, Exclude<R, Scope.Scope>>
  /** The live actors in the order of their start. */
  readonly actors: () => ReadonlyArray<ActorStatus>
  /** Stops them one by one, each with its finalizers, in the reverse order of start. Idempotent. */
  readonly shutdown: Effect.Effect<void>
}

/** A system in the surrounding scope, whose end shuts it down. */
export const make: Effect.Effect<ActorSystem, never, Scope.Scope> = Effect.gen(function* () {
  const root = yield* Effect.acquireRelease(Scope.make("sequential"), (scope) => Scope.close(scope, Exit.void))
  const live = new Map<string, ActorRef<never>>()

  const spawn = Effect.fnUntraced(function* <M, E, R>(behaviour: Behaviour<M, E, R>) {
    const { name, onExit } = behaviour
    if (live.has(name)) return yield* new NameTaken({ actor: name })
    let isEnded = false
    const ref = yield* Scope.provide(
      Actor.spawn({
        ...behaviour,
        onExit: (exit) => {
          isEnded = true
          live.delete(name)
          return onExit === undefined ? Effect.void : onExit(exit)
        }
      }),
      root
    )
    if (!isEnded) live.set(name, ref)
    return ref
  })

  return {
    spawn,
    actors: () => Array.from(live.values(), (ref) => ({ name: ref.name, dropped: ref.dropped() })),
    shutdown: Scope.close(root, Exit.void)
  }
})
