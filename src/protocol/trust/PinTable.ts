/**
 * Which key stands behind an address or a name (security rule 1): the first use pins it, the same key confirms it,
 * another is refused until a person accepts it.
 *
 * Pin only what a person here used. A stranger's own visit is no use; were it one, strangers could fill the table.
 */
import { Result } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import type { NodeId } from "../wire/Address.ts"

/** Ed25519 keys by node id and by lower-case name, oldest pin first. */
export interface PinTable {
  readonly nodes: ReadonlyMap<NodeId, Uint8Array>
  readonly names: ReadonlyMap<string, Uint8Array>
  /** Pinned nodes whose key has opened the later key scheme; they are never heard in the earlier again (rule 5). */
  readonly laterOnly: ReadonlySet<NodeId>
}

/** Room for pins; those under protected (trusted) keys are never dropped and do not count. */
export interface Bounds {
  readonly nodesMax: number
  readonly namesMax: number
  readonly isProtected: (publicKey: Uint8Array) => boolean
}

/** Another key is pinned. */
export interface OtherKeyPinned {
  readonly pinned: Uint8Array
}

/** Nothing pinned. */
export const empty: PinTable = { nodes: new Map(), names: new Map(), laterOnly: new Set() }

/** The same table when the key is confirmed. Beyond the bound the oldest unprotected pin makes room. */
export const pinNode = (
  self: PinTable,
  node: NodeId,
  publicKey: Uint8Array,
  bounds: Bounds
): Result.Result<PinTable, OtherKeyPinned> =>
  Result.map(pin(self.nodes, node, publicKey, bounds.nodesMax, bounds.isProtected), (nodes) =>
    nodes === self.nodes ? self : { ...self, nodes, laterOnly: only(self.laterOnly, (known) => nodes.has(known)) }
  )

/** The same for a name; names differ by more than case. */
export const pinName = (
  self: PinTable,
  name: string,
  publicKey: Uint8Array,
  bounds: Bounds
): Result.Result<PinTable, OtherKeyPinned> =>
  Result.map(pin(self.names, name.toLowerCase(), publicKey, bounds.namesMax, bounds.isProtected), (names) =>
    names === self.names ? self : { ...self, names }
  )

/**
 * A person's decision: the new key of an address, and of every name that led to its old key. The new key has shown
 * nothing yet, so it may begin with either key scheme.
 */
export const acceptKey = (self: PinTable, node: NodeId, publicKey: Uint8Array): PinTable => {
  const old = self.nodes.get(node)
  if (old !== undefined && Bytes.equals(old, publicKey)) return self
  const nodes = new Map(self.nodes).set(node, publicKey)
  const names = new Map(self.names)
  for (const [name, key] of self.names) if (old !== undefined && Bytes.equals(key, old)) names.set(name, publicKey)
  return { nodes, names, laterOnly: only(self.laterOnly, (known) => known !== node) }
}

/** A person's decision: the key behind a pinned name that has moved. A name that is not pinned needs no decision. */
export const acceptName = (self: PinTable, name: string, publicKey: Uint8Array): PinTable => {
  const pinned = name.toLowerCase()
  return self.names.has(pinned) ? { ...self, names: new Map(self.names).set(pinned, publicKey) } : self
}

/** Remembers that the pinned key of a node has opened the later key scheme; the same table when there is no news. */
export const laterOpened = (self: PinTable, node: NodeId): PinTable =>
  !self.nodes.has(node) || self.laterOnly.has(node) ? self : { ...self, laterOnly: new Set(self.laterOnly).add(node) }

const only = (nodes: ReadonlySet<NodeId>, keep: (node: NodeId) => boolean): ReadonlySet<NodeId> =>
  new Set([...nodes].filter(keep))

const pin = <K>(
  pins: ReadonlyMap<K, Uint8Array>,
  subject: K,
  publicKey: Uint8Array,
  max: number,
  isProtected: (publicKey: Uint8Array) => boolean
): Result.Result<ReadonlyMap<K, Uint8Array>, OtherKeyPinned> => {
  const pinned = pins.get(subject)
  if (pinned !== undefined) return Bytes.equals(pinned, publicKey) ? Result.succeed(pins) : Result.fail({ pinned })
  const grown = new Map(pins).set(subject, publicKey)
  if (grown.size > max) dropOldest(grown, max, isProtected)
  return Result.succeed(grown)
}

/** Never drops the newest, which is the last in order. */
const dropOldest = <K>(
  pins: Map<K, Uint8Array>,
  max: number,
  isProtected: (publicKey: Uint8Array) => boolean
): void => {
  const droppable = [...pins].slice(0, -1).filter(([, key]) => !isProtected(key))
  for (const [subject] of droppable.slice(0, droppable.length + 1 - max)) pins.delete(subject)
}
