/**
 * Node ids of several registries in one number (decision 58). Each registry counts its nodes from 1 by itself, so the same id
 * means another node at each. Inside a node that is registered with several, and at its local doors, a peer therefore has a
 * _local_ id: the slot of the membership where it is met in the top four bits, the id that its registry gave below. Slot 0 is
 * the rendezvous of the configuration, so that a node with one rendezvous sees the ids of the wire; on the wire there are no
 * other ones.
 *
 * ```
 * 31  28 27                        0
 * | slot |  id at that registry     |
 * ```
 */
import { type Address, make as makeAddress, NodeId } from "./Address.ts"

/** Of the rendezvous of the configuration. */
export const HOME_SLOT = 0

/** The highest slot: eight memberships, and the ids from 0x80000000 on, with the broadcast's, stay what they are. */
export const SLOT_MAX = 7

/** The largest id of a node at a further registry; they are given out from 1, in order. */
export const REGISTRY_ID_MAX = 0x0fff_ffff

/** The membership that a local id belongs to, if there is one in that slot. */
export const slotOf = (local: NodeId): number => local >>> SLOT_SHIFT

/** The id at its registry, of one in a slot above 0. */
export const registryIdOf = (local: NodeId): NodeId => NodeId(local & REGISTRY_ID_MAX)

/** The id at its registry of any local id, as long as home's ids stay below the slots. */
export const registryIdIn = (local: NodeId): NodeId => (slotOf(local) > SLOT_MAX ? local : registryIdOf(local))

/** The local id of a node at the registry of a slot; nothing for ids that no slot has room for. */
export const make = (slot: number, id: NodeId): NodeId | undefined => {
  if (slot === HOME_SLOT) return id
  return id > REGISTRY_ID_MAX ? undefined : NodeId(slot * 2 ** SLOT_SHIFT + id)
}

/** The same for an address; its network is that of the registry. */
export const address = (slot: number, at: Address): Address | undefined => {
  const node = make(slot, at.node)
  return node === undefined ? undefined : makeAddress(at.network, node)
}

const SLOT_SHIFT = 28
