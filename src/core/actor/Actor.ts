/**
 * Actors: a bounded mailbox, one fiber that empties it, one timer, and a restart policy.
 *
 * An actor is woken through its scheduler, once per turn however many messages arrived, so that `tellUnsafe` never
 * runs the receiver inside the sender. An idle actor is one suspended fiber: no timer, no child fiber.
 */
import { Context, Effect, Scope } from "effect"
import { ActorCell, STOP_SELF } from "./ActorCell.ts"
import type { ActorExit, ActorRef } from "./ActorRef.ts"
import type { Behaviour } from "./Behaviour.ts"

export type { ActorExit, ActorRef } from "./ActorRef.ts"
export type { Behaviour, Handlers } from "./Behaviour.ts"

/**
 * Starts an actor in the surrounding scope, whose end stops it and waits for its finalizers. It returns when `start`
 * first suspends or is done; messages sent earlier wait. A failing `start` counts as a failed life.
 */
export const spawn = <M, E, R>(behaviour: Behaviour<M, E, R>): Effect.Effect<ActorRef<M>, never, R | Scope.Scope> =>
  Effect.uninterruptible(spawnCell(behaviour))

/** Runs `onExit` in the surrounding scope when the actor ends, at once if it has. Costs a fiber; parents use `onExit`. */
export const watch = <E, R>(
  actor: Pick<ActorRef<never>, "exit">,
  onExit: (exit: ActorExit) => Effect.Effect<void, E, R>
): Effect.Effect<void, never, R | Scope.Scope> =>
  Effect.asVoid(Effect.forkScoped(Effect.flatMap(actor.exit, onExit), { startImmediately: true }))

/** For a handler: ends the actor as `Stopped`, without a restart. */
export const stopSelf: Effect.Effect<never> = Effect.die(STOP_SELF)

const spawnCell = Effect.fnUntraced(function* <M, E, R>(behaviour: Behaviour<M, E, R>) {
  const context = yield* Effect.context<R | Scope.Scope>()
  const clock = yield* Effect.clockWith(Effect.succeed)
  // A scope of its own, so that an actor that ended leaves nothing behind in a long-lived parent.
  const scope = Scope.forkUnsafe(Context.get(context, Scope.Scope))
  const cell = new ActorCell(behaviour, context, clock, scope)
  cell.run()
  yield* Scope.addFinalizerExit(scope, () => cell.stop)
  return cell
})
