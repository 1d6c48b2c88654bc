/**
 * Keeps a group of children alive that depend on each other. A child's own restart policy comes first; only a child
 * that failed for good reaches its supervisor, which starts it anew together with those tied to it.
 *
 * The supervisor is an actor to which the death of a child is a message. Children start in order, each in a scope of
 * its own, and stop in reverse order. A child that stopped by itself stays ended. When they fail more often than the
 * restart intensity allows, the supervisor stops them all and fails with `RestartLimitReached`, for its parent to see.
 */
import { Effect, Exit, Scope } from "effect"
import * as Actor from "./Actor.ts"
import { RestartLimitReached } from "./ActorError.ts"
import { ActorExit, type ActorRef } from "./ActorRef.ts"
import type { Handlers } from "./Behaviour.ts"
import * as MonotonicTime from "./MonotonicTime.ts"
import * as Restart from "./Restart.ts"

/** Who is restarted with a failed child: nobody else, everyone, or everyone who started after it. */
export type Strategy = "one-for-one" | "one-for-all" | "rest-for-one"

/** One place in a supervisor, which one actor after the other may fill. Belongs to one supervisor. */
export interface Child<in M, out R = never> {
  readonly name: string
  /** The actor that fills the place now: none before the first start, during a restart, and after the end. */
  readonly current: () => ActorRef<M> | undefined
  /** Fills the place until the scope ends. */
  readonly start: Effect.Effect<Pick<ActorRef<never>, "exit">, never, R | Scope.Scope>
}

/** A group and the rules of its restarts. */
export interface Options<R> {
  readonly name: string
  readonly strategy: Strategy
  /** Counts the failures of all children together. */
  readonly restart: Restart.RestartIntensity
  /** In the order of their start: who is needed stands before who needs it. */
  readonly children: ReadonlyArray<Child<never, R>>
  readonly onExit?: (exit: ActorExit) => Effect.Effect<void>
}

/** A place for the actors that `spawn` makes. */
export const child = <M, R>(name: string, spawn: Effect.Effect<ActorRef<M>, never, R>): Child<M, R> => {
  let present: ActorRef<M> | undefined
  const leave = Effect.sync(() => {
    present = undefined
  })
  const start = Effect.gen(function* () {
    yield* Effect.addFinalizer(() => leave)
    present = yield* spawn
    return present
  })
  return { name, current: () => present, start }
}

/** Starts the group in the surrounding scope, whose end stops it. The reference takes no messages from outside. */
export const spawn = <R>(options: Options<R>): Effect.Effect<ActorRef<never>, never, R | Scope.Scope> =>
  Actor.spawn<ChildEnded, RestartLimitReached, R>({
    name: options.name,
    // Each child has at most one report on its way, and one more from the life before.
    mailbox: { capacity: 2 * Math.max(1, options.children.length), overflow: "backpressure" },
    start: (self) => begin(options, self),
    restart: "never",
    ...(options.onExit === undefined ? {} : { onExit: options.onExit })
  })

/** `scope` tells the life that ended from the one that fills the place now. */
interface ChildEnded {
  readonly index: number
  readonly scope: Scope.Closeable
  readonly exit: ActorExit
}

const begin = Effect.fnUntraced(function* <R>(options: Options<R>, self: ActorRef<ChildEnded>) {
  const { children, name, restart } = options
  const scopes: Array<Scope.Closeable | undefined> = []
  let history: Restart.RestartHistory = []

  const startChild = Effect.fnUntraced(function* (index: number) {
    const scope = Scope.makeUnsafe()
    scopes[index] = scope
    const started = yield* Scope.provide(children[index]!.start, scope)
    const report = Effect.flatMap(started.exit, (exit) => self.tell({ index, scope, exit }))
    yield* Effect.forkIn(report, scope, { startImmediately: true })
  })
  const stopChild = (index: number) =>
    Effect.suspend(() => {
      const scope = scopes[index]
      scopes[index] = undefined
      return scope === undefined ? Effect.void : Scope.close(scope, Exit.void)
    })
  const restartFrom = Effect.fnUntraced(function* (failed: number) {
    const indices = tiedTo(options, failed).filter((index) => scopes[index] !== undefined)
    yield* Effect.forEach(indices.toReversed(), stopChild, { discard: true })
    yield* Effect.forEach(indices, startChild, { discard: true })
  })

  const receive = Effect.fnUntraced(function* ({ exit, index, scope }: ChildEnded) {
    if (scopes[index] !== scope) return
    if (ActorExit.$is("Stopped")(exit)) return yield* stopChild(index)
    const recorded = Restart.record(history, restart, yield* MonotonicTime.nowMs)
    if (recorded === undefined) {
      return yield* new RestartLimitReached({ actor: name, child: children[index]!.name, ...restart })
    }
    history = recorded
    yield* Effect.logWarning(`${name} restarts ${children[index]!.name}`, exit.cause)
    yield* restartFrom(index)
  })

  const indices = children.map((_, index) => index)
  yield* Effect.addFinalizer(() => Effect.forEach(indices.toReversed(), stopChild, { discard: true }))
  yield* Effect.forEach(indices, startChild, { discard: true })
  const handlers: Handlers<ChildEnded, RestartLimitReached, R> = { receive }
  return handlers
})

/** The places to restart when one failed, in the order of their start. */
const tiedTo = <R>(options: Options<R>, failed: number): ReadonlyArray<number> => {
  const indices = options.children.map((_, index) => index)
  if (options.strategy === "one-for-all") return indices
  return options.strategy === "rest-for-one" ? indices.slice(failed) : [failed]
}
