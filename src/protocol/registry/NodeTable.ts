/**
 * Every node that ever registered, present or not, with its indexes (rendezvous §3). Ids count up from 1 and are never
 * given to another key, because a record is never deleted.
 */
import * as Bytes from "../../core/data/Bytes.ts"
import { NodeId } from "../wire/Address.ts"
import type { NodeRecord } from "./NodeRecord.ts"

/** Records by id and key. Mutable; owned by `Registry`. */
export interface NodeTable {
  readonly records: Map<NodeId, StoredRecord>
  /** The key's bytes as characters → id, so that two spellings of one key are one node. */
  readonly byKey: Map<string, NodeId>
  /** The same for keys that nodes with a chain had before. */
  readonly byRetiredKey: Map<string, NodeId>
  /** Owner text → the first node that gave it. */
  readonly byOwner: Map<string, NodeId>
  nextId: number
}

/**
 * A record as it is kept: the key is the string that is also its index, since 32 bytes in an array of their own take 250.
 */
export type StoredRecord = Omit<NodeRecord, "publicKey"> & { readonly publicKey: string }

/** No nodes. */
export const make = (): NodeTable => ({
  records: new Map(),
  byKey: new Map(),
  byRetiredKey: new Map(),
  byOwner: new Map(),
  nextId: 1
})

/** The key as replies spell it. */
export const keyText = (publicKey: Uint8Array): string => Bytes.toBase64(publicKey)

/** Any node, present or absent. */
export const find = (self: NodeTable, id: NodeId): NodeRecord | undefined => unpacked(self.records.get(id))

/** A node that is registered now. */
export const present = (self: NodeTable, id: NodeId): NodeRecord | undefined => {
  const record = self.records.get(id)
  return record?.isPresent === true ? unpacked(record) : undefined
}

/** The node, present or absent, that has this key now. */
export const findByKey = (self: NodeTable, publicKey: Uint8Array): NodeRecord | undefined => {
  const id = self.byKey.get(indexKey(publicKey))
  return id === undefined ? undefined : find(self, id)
}

/** The node that had this key, and has another one now. */
export const findByRetiredKey = (self: NodeTable, publicKey: Uint8Array): NodeRecord | undefined => {
  const id = self.byRetiredKey.get(indexKey(publicKey))
  return id === undefined ? undefined : find(self, id)
}

/** The node, present or absent, that first gave this owner text. */
export const findByOwner = (self: NodeTable, owner: string): NodeRecord | undefined => {
  const id = self.byOwner.get(owner)
  return id === undefined ? undefined : find(self, id)
}

/** The next unused id, or `undefined` when there are none. */
export const allocate = (self: NodeTable): NodeId | undefined =>
  self.nextId <= NODE_ID_MAX && self.records.size < NODES_MAX ? NodeId(self.nextId++) : undefined

/** Inserts or replaces a record and keeps the indexes true. */
export const put = (self: NodeTable, record: NodeRecord): void => {
  const before = self.records.get(record.id)
  const key = indexKey(record.publicKey)
  const isOther = before !== undefined && before.publicKey !== key
  if (isOther && self.byKey.get(before.publicKey) === record.id) self.byKey.delete(before.publicKey)
  const publicKey = isOther || before === undefined ? key : before.publicKey
  self.records.set(record.id, { ...record, publicKey })
  self.byKey.set(key, record.id)
  for (const retired of record.keys?.retired ?? []) self.byRetiredKey.set(indexKey(retired), record.id)
  self.byRetiredKey.delete(key)
  if (record.owner !== "" && !self.byOwner.has(record.owner)) self.byOwner.set(record.owner, record.id)
  self.nextId = Math.max(self.nextId, record.id + 1)
}

const unpacked = (stored: StoredRecord | undefined): NodeRecord | undefined =>
  stored === undefined ? undefined : { ...stored, publicKey: bytesOf(stored.publicKey) }

const bytesOf = (key: string): Uint8Array => {
  const bytes = new Uint8Array(key.length)
  for (let index = 0; index < key.length; index++) bytes[index] = key.charCodeAt(index)
  return bytes
}

/** One flat string of 32 characters: base64 pieced together would cost 800 bytes a node for its pieces. */
const indexKey = (publicKey: Uint8Array): string => String.fromCharCode(...publicKey)

/** FFFFFFFF is the broadcast id (wire §1). */
const NODE_ID_MAX = 0xfffffffe
/** About 1.5 KB each in memory: the bound keeps a flood of fresh keys from exhausting the host. */
const NODES_MAX = 2_000_000
