/**
 * The instances of a service that was found by what it can do (mcp §6.11): who offers the same service later, or becomes trusted
 * later, joins those that were there when it was found, while clients go on.
 *
 * *The same* is what it was at the start: its name and the hash of all its definitions, so that the tools that a client has seen
 * do not become others. Owns the fiber that searches again and again; nobody is taken away, since who is gone cannot be reached.
 */
import { Effect, type Scope } from "effect"
import type { Crypto } from "../../../core/crypto/Crypto.ts"
import type { FoundService } from "../../../protocol/directory/FoundService.ts"
import * as Target from "../Target.ts"
import * as Instances from "./Instances.ts"

/** Grows in the surrounding scope. `search` is the search that found the targets; one that fails is made again. */
export const make = Effect.fnUntraced(function* <E>(
  targets: Target.Targets,
  dial: (target: Target.Target) => Instances.Route<E>["dial"],
  search: Effect.Effect<ReadonlyArray<FoundService>, unknown>
): Effect.fn.Return<Instances.Instances<E>, never, Crypto | Scope.Scope> {
  const instances = yield* Instances.growing(targets, dial)
  const names = new Set(targets.map((target) => Target.format([target])))
  let definitions: string | undefined

  const look = Effect.gen(function* () {
    const found = (yield* search).filter(({ isUsable }) => isUsable)
    definitions ??= found.find(({ target }) => names.has(target))?.definitions
    for (const one of found) {
      const target = Target.parse(one.target)
      if (target?.service !== targets[0].service || one.definitions !== definitions) continue
      if (yield* instances.add(target))
        yield* Effect.logInfo(`mcp: ${one.target} offers the same service, and is used too`)
    }
  })
  yield* look.pipe(
    Effect.catchCause((cause) => Effect.logDebug("mcp: who else offers the service is not known", cause)),
    Effect.andThen(Effect.sleep(SEARCH_EVERY)),
    Effect.forever,
    Effect.forkScoped
  )
  return instances
})

/** Every trusted peer is asked for its cards. */
const SEARCH_EVERY = "30 seconds"
