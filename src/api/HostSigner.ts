/** The node of this process as the signer of the capability cards of what a program exposes. */
import { Effect } from "effect"
import type { Signer } from "../actors/mcp/keeper/CardShelf.ts"
import { Node } from "../actors/node/Node.ts"
import { RegistryClient } from "../actors/registry/RegistryClient.ts"
import * as Bytes from "../core/data/Bytes.ts"

/** Signs at any time. */
export const make: Effect.Effect<Signer, never, Node | RegistryClient> = Effect.gen(function* () {
  const node = yield* Node
  const { cards } = yield* RegistryClient
  const isDone = (effect: Effect.Effect<void, unknown>) =>
    Effect.match(effect, { onFailure: () => false, onSuccess: () => true })
  return {
    identity: Effect.map(node.status, ({ address, publicKey }) => ({
      node: address.node,
      publicKey: Bytes.toBase64(publicKey)
    })),
    sign: (card) => Effect.sync(() => cards.sign(card)),
    publish: (signed) => isDone(cards.publish(signed)),
    withdraw: (service) => isDone(cards.withdraw(service))
  }
})
