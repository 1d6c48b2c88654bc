/**
 * Servers that were asked what they are and nothing else (mcp §6.4): an official client in its `auto` mode starts one to
 * ask, ends it, and starts another at once. The first is kept for a moment and given to the next session of the same peer.
 *
 * Owns the scope of every child; a child that did anything but answer `server/discover` is stopped when its session ends.
 */
import { Effect, Exit, Fiber, Result, Scope } from "effect"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import type { Child } from "./Child.ts"

/** The children of one keeper. */
export interface WarmChildren {
  /** A child for the surrounding scope: the one kept for that peer and very service, or a new one. */
  readonly take: <E>(
    service: object,
    node: number,
    start: Effect.Effect<Child, E, Scope.Scope>
  ) => Effect.Effect<Child, E, Scope.Scope>
}

/** None is kept yet. */
export const make: Effect.Effect<WarmChildren, never, Scope.Scope> = Effect.gen(function* () {
  const scope = yield* Effect.scope
  const kept = new Map<string, Kept>()
  /** A service that was changed is another object. */
  const numbers = new WeakMap<object, number>()
  let count = 0

  const keyOf = (service: object, node: number): string => {
    const number = numbers.get(service) ?? ++count
    numbers.set(service, number)
    return `${number} ${node}`
  }

  const stop = (own: Scope.Closeable) => Scope.close(own, Exit.void)

  const keep = (key: string, child: Child, own: Scope.Closeable) =>
    Effect.gen(function* () {
      const before = kept.get(key)
      const entry: Kept = {
        child,
        own,
        // Whichever comes first; `take` ends the wait.
        ends: yield* Effect.raceFirst(Effect.sleep(WARM), child.exited).pipe(
          Effect.andThen(
            Effect.suspend(() => {
              if (kept.get(key) === entry) kept.delete(key)
              return Effect.forkIn(stop(own), scope)
            })
          ),
          Effect.forkIn(scope)
        )
      }
      kept.set(key, entry)
      if (before !== undefined) yield* Effect.andThen(Fiber.interrupt(before.ends), stop(before.own))
    })

  const reuse = (key: string) =>
    Effect.gen(function* () {
      const entry = kept.get(key)
      if (entry === undefined) return undefined
      kept.delete(key)
      yield* Fiber.interrupt(entry.ends)
      return entry
    })

  return {
    take: (service, node, start) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.gen(function* () {
          const key = keyOf(service, node)
          const found = yield* reuse(key)
          const own = found?.own ?? (yield* Scope.fork(scope, "sequential"))
          const child =
            found?.child ??
            (yield* restore(Scope.provide(start, own)).pipe(
              Effect.onExit((exit) => (Exit.isFailure(exit) ? Scope.close(own, exit) : Effect.void))
            ))
          const watched = watch(child)
          yield* Effect.addFinalizer(() =>
            watched.isUnused() && kept.size < WARM_MAX ? keep(key, child, own) : stop(own)
          )
          return watched.child
        })
      )
  }
})

interface Kept {
  readonly child: Child
  readonly own: Scope.Closeable
  readonly ends: Fiber.Fiber<unknown>
}

/** The child, with a look at what it is told until that is anything but discovery. */
const watch = (child: Child): { readonly child: Child; readonly isUnused: () => boolean } => {
  let asked = 0
  let answered = 0
  let isUsed = false
  const { stdio } = child
  return {
    isUnused: () => !isUsed && asked > 0 && asked === answered,
    child: {
      ...child,
      stdio: {
        ...stdio,
        read: Effect.map(stdio.read, (bytes) => {
          if (!isUsed) answered += bytes.reduce((count, byte) => count + (byte === NEWLINE ? 1 : 0), 0)
          return bytes
        }),
        write: (bytes) => {
          if (!isUsed) {
            // A write is one message (`RunningChild`).
            const message = Result.getOrUndefined(JsonRpcPeek.peek(bytes))
            isUsed = message?._tag !== "Request" || message.method !== "server/discover"
            asked++
          }
          return stdio.write(bytes)
        }
      }
    }
  }
}

/** Between the end of a client's first server and the start of its second. */
const WARM = "10 seconds"
/** Children that wait at once; more are stopped as they come. */
const WARM_MAX = 16
const NEWLINE = 0x0a
