/** For registries that know no capability cards, as the reference's. */
import { Effect } from "effect"
import { type RegistryClient, RegistryError } from "../../src/actors/registry/RegistryClient.ts"

const refused = (operation: string) =>
  Effect.fail(new RegistryError({ reason: "Refused", operation, detail: "unknown message type" }))

/** Refuses everything that a registry is asked. */
export const NO_CARDS: RegistryClient["Service"]["cards"] = {
  sign: (card) => ({ card, signature: "" }),
  publish: () => refused("publish_card"),
  withdraw: () => refused("withdraw_card"),
  search: () => refused("search_cards")
}

/** The same for chains of keys. */
export const noKeyChains: RegistryClient["Service"]["publishKeyChain"] = () => refused("publish_key_chain")
