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
  /**
   * Ed25519 keys, in hexadecimal, that have opened the later key scheme, oldest first: they are never heard in the earlier
   * one again (security rule 5). Strangers' too, since the rule holds for whoever has a tunnel.
   */
  readonly laterOnly: ReadonlySet<string>
}

/** Room for pins and for `laterOnly`; protected (trusted) keys are never dropped and do not count. */
export interface Bounds {
  readonly nodesMax: number
  readonly namesMax: number
  readonly laterMax: number
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
    nodes === self.nodes ? self : { ...self, nodes }
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

/** The newest node whose pinned key is the one pinned for this name. A guess at where the name leads, and never more. */
export const nodeBehind = (self: PinTable, name: string): NodeId | undefined => {
  const pinned = self.names.get(name.toLowerCase())
  if (pinned === undefined) return undefined
  let found: NodeId | undefined
  for (const [node, key] of self.nodes) if (Bytes.equals(key, pinned)) found = node
  return found
}

/**
 * A person's decision: the new key of an address, and of every name that led to its old key.
 */
export const acceptKey = (self: PinTable, node: NodeId, publicKey: Uint8Array): PinTable => {
  const old = self.nodes.get(node)
  if (old !== undefined && Bytes.equals(old, publicKey)) return self
  const nodes = new Map(self.nodes).set(node, publicKey)
  const names = new Map(self.names)
  for (const [name, key] of self.names) if (old !== undefined && Bytes.equals(key, old)) names.set(name, publicKey)
  return { ...self, nodes, names }
}

/** A person's decision: the key behind a pinned name that has moved. A name that is not pinned needs no decision. */
export const acceptName = (self: PinTable, name: string, publicKey: Uint8Array): PinTable => {
  const pinned = name.toLowerCase()
  return self.names.has(pinned) ? { ...self, names: new Map(self.names).set(pinned, publicKey) } : self
}

/**
 * Remembers that a key has opened the later key scheme; the same table when there is no news. Beyond the bound the oldest
 * key that is neither protected nor pinned makes room, then the oldest unprotected one.
 */
export const laterOpened = (self: PinTable, publicKey: Uint8Array, bounds: Bounds): PinTable => {
  const name = Bytes.toHex(publicKey)
  if (self.laterOnly.has(name)) return self
  const laterOnly = new Set(self.laterOnly).add(name)
  if (laterOnly.size > bounds.laterMax) {
    const pinned = new Set(Array.from(self.nodes.values(), Bytes.toHex))
    const droppable = [...laterOnly].slice(0, -1).filter((key) => !bounds.isProtected(Bytes.fromHex(key)!))
    const oldest = droppable.find((key) => !pinned.has(key)) ?? droppable[0]
    if (oldest !== undefined) laterOnly.delete(oldest)
  }
  return { ...self, laterOnly }
}

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
