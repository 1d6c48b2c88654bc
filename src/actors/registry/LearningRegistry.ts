/**
 * The registry as the node uses it: whatever it says of a node's keys is heard before anybody acts on the answer (security
 * rule 9), so a key that follows by its chain is no changed key.
 */
import { Effect } from "effect"
import * as KeyChain from "../../protocol/identity/KeyChain.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import type { RegistryClient } from "./RegistryClient.ts"

/** The same client; `learn` is told of every chain that a lookup brings. */
export const make = (
  client: RegistryClient["Service"],
  learn: (node: NodeId, chain: KeyChain.KeyChain) => Effect.Effect<void>
): RegistryClient["Service"] => ({
  ...client,
  lookup: (node) =>
    Effect.tap(client.lookup(node), ({ node: found, raw }) => {
      const text = raw["key_chain"]
      const chain = typeof text === "string" ? KeyChain.parse(text) : undefined
      return chain === undefined || found !== node ? Effect.void : learn(node, chain)
    })
})
