/** The daemon as the signer of a keeper's capability cards: it has the key, and speaks with the registry. */
import { Effect } from "effect"
import type { Signer } from "../../actors/mcp/keeper/CardShelf.ts"
import type { KeeperNode } from "./KeeperNode.ts"

/** Signs while the daemon can be asked. */
export const make = ({ ask, identity }: Pick<KeeperNode, "ask" | "identity">): Signer => ({
  identity,
  sign: (card) => ask("card.sign", { card }),
  publish: (signed) => Effect.map(ask("card.publish", { signed }), (reply) => reply !== undefined),
  withdraw: (service) => Effect.map(ask("card.withdraw", { service }), (reply) => reply !== undefined)
})
