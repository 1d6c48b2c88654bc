/**
 * Names as this node uses them (security rule 1): a name is an alias of a key. Its first use pins the key the registry
 * gives for it; afterwards another key behind it is refused until a person accepts it.
 *
 * What was found is remembered for a moment, so that dialling one peer over and over costs one question, whichever program
 * of this node dials.
 */
import { Effect } from "effect"
import * as MonotonicTime from "../../core/actor/MonotonicTime.ts"
import { ExpiringMap } from "../../core/data/ExpiringMap.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import { type KeyChanged, type NameMoved, PeerKeys } from "../trust/PeerKeys.ts"
import { type LookedUp, RegistryClient, type RegistryError } from "./RegistryClient.ts"

/** Success is remembered under the target, failure forgets it. */
function remembering<E, R>(
  found: Effect.Effect<LookedUp, E, R>,
  target: string | NodeId
): Effect.Effect<LookedUp, E, R | RegistryClient> {
  return found.pipe(
    Effect.tap((value) =>
      Effect.gen(function* () {
        memoryOf(yield* RegistryClient).set(target, value, yield* MonotonicTime.nowMs)
      })
    ),
    Effect.tapError(() => forget(target))
  )
}

/** Resolves a name, and checks or pins its key. */
export const resolve = Effect.fn("Names.resolve")(function* (
  name: string
): Effect.fn.Return<LookedUp, RegistryError | NameMoved | KeyChanged, RegistryClient | PeerKeys> {
  const registry = yield* RegistryClient
  const keys = yield* PeerKeys
  const { node } = yield* registry.resolveHostname(name)
  const found = yield* checked(node)
  yield* keys.pinName(name, found.publicKey)
  return found
}, remembering)

/** Looks a node id up, and checks or pins its key. */
export const lookup = Effect.fn("Names.lookup")(function* (node: NodeId) {
  return yield* checked(node)
}, remembering)

/**
 * What `resolve` or `lookup` found a moment ago, else what they find now. For reaching a peer: the pin just checked holds
 * whatever the registry would say now, and the peer has to show its key again.
 */
export const recent = (
  target: string | NodeId
): Effect.Effect<LookedUp, RegistryError | NameMoved | KeyChanged, RegistryClient | PeerKeys> =>
  Effect.gen(function* () {
    const known = memoryOf(yield* RegistryClient).get(target, yield* MonotonicTime.nowMs)
    if (known !== undefined) return known
    return yield* typeof target === "string" ? resolve(target) : lookup(target)
  })

/** The peer could not be reached where it was a moment ago: the next one asks again. */
export const forget = (target: string | NodeId): Effect.Effect<void, never, RegistryClient> =>
  Effect.gen(function* () {
    memoryOf(yield* RegistryClient).delete(target, yield* MonotonicTime.nowMs)
  })

const checked = Effect.fnUntraced(function* (
  node: NodeId
): Effect.fn.Return<LookedUp, RegistryError | KeyChanged, RegistryClient | PeerKeys> {
  const registry = yield* RegistryClient
  const keys = yield* PeerKeys
  const found = yield* registry.lookup(node)
  yield* keys.pinNode(node, found.publicKey)
  return found
})

type Memory = ExpiringMap<string | NodeId, LookedUp>

/** What a registry's client has answered; a node has one client. */
const memoryOf = (registry: RegistryClient["Service"]): Memory => {
  const known = MEMORIES.get(registry)
  if (known !== undefined) return known
  const made: Memory = new ExpiringMap({ entriesMax: RECENT_MAX, lifeMs: RECENT_MS })
  MEMORIES.set(registry, made)
  return made
}

const MEMORIES = new WeakMap<RegistryClient["Service"], Memory>()
/** Peers remembered, and for so long. */
const RECENT_MAX = 1024
const RECENT_MS = 10_000
