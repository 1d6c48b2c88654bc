/**
 * Names as this node uses them (security rule 1): a name is an alias of a key. Its first use pins the key the registry
 * gives for it; afterwards another key behind it is refused until a person accepts it.
 */
import { Effect } from "effect"
import type { NodeId } from "../../protocol/wire/Address.ts"
import { type KeyChanged, type NameMoved, PeerKeys } from "../trust/PeerKeys.ts"
import { type LookedUp, RegistryClient, type RegistryError } from "./RegistryClient.ts"

/** Resolves a name, and checks or pins its key. */
export const resolve = Effect.fn("Names.resolve")(function* (
  name: string
): Effect.fn.Return<LookedUp, RegistryError | NameMoved | KeyChanged, RegistryClient | PeerKeys> {
  const registry = yield* RegistryClient
  const keys = yield* PeerKeys
  const { node } = yield* registry.resolveHostname(name)
  const found = yield* lookup(node)
  yield* keys.pinName(name, found.publicKey)
  return found
})

/** Looks a node id up, and checks or pins its key. */
export const lookup = Effect.fn("Names.lookup")(function* (
  node: NodeId
): Effect.fn.Return<LookedUp, RegistryError | KeyChanged, RegistryClient | PeerKeys> {
  const registry = yield* RegistryClient
  const keys = yield* PeerKeys
  const found = yield* registry.lookup(node)
  yield* keys.pinNode(node, found.publicKey)
  return found
})
