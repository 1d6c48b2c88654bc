/** Where hosts of a simulation are: on the public network, or behind translators. */
import * as NatBox from "./NatBox.ts"
import type { Segment, VirtualNetwork } from "./VirtualNetwork.ts"

/** A translator that several hosts can be behind, see `SimNet.nat`. */
export interface Nat {
  readonly inside: Segment
}

/** One kind of translator, in a word or in detail. */
export type NatKind = NatBox.Kind | NatBox.Config

/** Nothing for a public address; one translator of its own, a chain of them (its own first), or a shared one. */
export type Location = NatKind | ReadonlyArray<NatKind> | Nat | undefined

/** A translator on the public network, or inside another one. */
export const make = (network: VirtualNetwork, kind: NatKind, outside?: Segment): Nat => ({
  inside: network.addNat(typeof kind === "string" ? NatBox.kinds[kind] : kind, outside)
})

/** The network of a host that is there; its own translators are made. */
export const segmentOf = (network: VirtualNetwork, location: Location): Segment => {
  if (location === undefined) return network.public
  if (typeof location === "object" && "inside" in location) return location.inside
  const chain: ReadonlyArray<NatKind> = Array.isArray(location) ? location : [location]
  return chain
    .toReversed()
    .reduce((outside: Segment, kind: NatKind) => make(network, kind, outside).inside, network.public)
}
