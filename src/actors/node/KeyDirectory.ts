/**
 * Which Ed25519 key a node id must show (security rule 1): the pinned one if there is one, whatever the registry says,
 * else the registry's. Registry answers are kept for a while, failures briefly, so that a flood of key exchanges costs
 * one lookup per node and interval (wire §6.4 e).
 */
import { Clock, Effect, Semaphore } from "effect"
import * as MonotonicTime from "../../core/actor/MonotonicTime.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import * as Names from "../registry/Names.ts"
import { type LookedUp, RegistryClient, type RegistryError } from "../registry/RegistryClient.ts"
import { type KeyChanged, PeerKeys } from "../trust/PeerKeys.ts"

/** Lookups of one node. */
export interface KeyDirectory {
  /** Without waiting: the pinned key, or a registry answer that is still fresh. */
  readonly known: (node: NodeId) => Uint8Array | undefined
  /** The key this node id must show, asking the registry if it is not known. For incoming key exchanges. */
  readonly expected: (node: NodeId) => Effect.Effect<Uint8Array, RegistryError>
  /**
   * The same for a peer we want to reach: the registry is asked even if the key is pinned, and another answer than the
   * pin is refused. A registry that cannot answer does not matter when there is a pin. Pins the key.
   */
  /** The pinned key of a peer that shows another one, after the registry was asked how that may follow from it. */
  readonly reconsidered: (node: NodeId) => Effect.Effect<Uint8Array, RegistryError>
  readonly confirmed: (node: NodeId) => Effect.Effect<Uint8Array, RegistryError | KeyChanged>
}

/** Needs the registry, whose chains the pins have heard (`LearningRegistry`), and the pins of this node. */
export const make: Effect.Effect<KeyDirectory, never, RegistryClient | PeerKeys> = Effect.gen(function* () {
  const registry = yield* RegistryClient
  const keys = yield* PeerKeys
  const clock = yield* Clock.Clock
  const lookups = yield* Semaphore.make(LOOKUPS_MAX)
  const cache = new Map<NodeId, Entry>()
  const nowMs = () => MonotonicTime.nowMsUnsafe(clock)

  const fresh = (node: NodeId): Entry | undefined => {
    const entry = cache.get(node)
    return entry !== undefined && entry.expiresAtMs > nowMs() ? entry : undefined
  }
  const store = (node: NodeId, outcome: Outcome, lifeMs: number) => {
    cache.delete(node)
    if (cache.size >= CACHE_MAX) cache.delete(cache.keys().next().value!)
    cache.set(node, { ...outcome, expiresAtMs: nowMs() + lifeMs })
  }
  const ask = (node: NodeId): Effect.Effect<LookedUp, RegistryError> =>
    registry.lookup(node).pipe(
      lookups.withPermits(1),
      Effect.tap((found) => Effect.sync(() => store(node, { _tag: "Found", key: found.publicKey }, FRESH_MS))),
      Effect.tapError((error) => Effect.sync(() => store(node, { _tag: "Failed", error }, FAILED_MS)))
    )
  const fromRegistry = (node: NodeId): Effect.Effect<Uint8Array, RegistryError> =>
    Effect.suspend(() => {
      const entry = fresh(node)
      if (entry?._tag === "Found") return Effect.succeed(entry.key)
      if (entry?._tag === "Failed") return Effect.fail(entry.error)
      return Effect.map(ask(node), (found) => found.publicKey)
    })
  /** Whoever resolved a name to this node has just been told its key. */
  const lately = (node: NodeId): Effect.Effect<Uint8Array, RegistryError> =>
    Effect.flatMap(Effect.provideService(Names.remembered(node), RegistryClient, registry), (found) =>
      found === undefined ? fromRegistry(node) : Effect.succeed(found.publicKey)
    )

  return {
    known: (node) => {
      const pinned = keys.pinned(node)
      if (pinned !== undefined) return pinned
      const entry = fresh(node)
      return entry?._tag === "Found" ? entry.key : undefined
    },
    expected: (node) =>
      Effect.suspend(() => {
        const pinned = keys.pinned(node)
        return pinned === undefined ? fromRegistry(node) : Effect.succeed(pinned)
      }),
    confirmed: Effect.fn("KeyDirectory.confirmed")(function* (node: NodeId) {
      const before = keys.pinned(node)
      const told = yield* before === undefined
        ? lately(node)
        : Names.unlessAway(lately(node), () => before).pipe(
            Effect.provideService(RegistryClient, registry),
            Effect.orElseSucceed(() => before)
          )
      // What was remembered may be older than the pin, which has followed a chain since.
      const pinned = keys.pinned(node)
      const offered = pinned !== undefined && keys.chains.follows(node, told) ? pinned : told
      // Refuses another key than the pinned one.
      yield* keys.pinNode(node, offered)
      return offered
    }),
    reconsidered: Effect.fn("KeyDirectory.reconsidered")(function* (node: NodeId) {
      // Without a pin there is nothing that a chain could lead on from.
      if (keys.pinned(node) === undefined) return yield* fromRegistry(node)
      const { publicKey } = yield* ask(node)
      return keys.pinned(node) ?? publicKey
    })
  }
})

type Outcome =
  | { readonly _tag: "Found"; readonly key: Uint8Array }
  | { readonly _tag: "Failed"; readonly error: RegistryError }
type Entry = Outcome & { readonly expiresAtMs: number }

/** Registry answers kept, oldest dropped first. */
const CACHE_MAX = 4096
/** Lookups under way at once, so that strangers cannot occupy the registry connection. */
const LOOKUPS_MAX = 8
const FRESH_MS = 60_000
/** wire §6.4 (e). */
const FAILED_MS = 3_000
