/** For nodes whose peers never change their keys. */
import { Effect } from "effect"
import type { KeyChains } from "../../src/actors/trust/KeyChains.ts"

/** Knows of nothing and keeps nothing. */
export const NO_CHAINS: KeyChains = {
  learn: () => Effect.void,
  settle: Effect.void,
  standings: () => new Map(),
  follows: () => false,
  formerKeys: () => [],
  rival: () => undefined,
  refuse: () => Effect.undefined,
  listen: () => Effect.void
}
