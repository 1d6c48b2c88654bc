/**
 * All relations of this node, bounded: what strangers can add is limited in number, per key and in time (node §2.3);
 * what a person here decides is limited by the person.
 */
import * as Bytes from "../../core/data/Bytes.ts"
import type { NodeId } from "../wire/Address.ts"
import * as Relation from "./Relation.ts"
import * as TrustHandshake from "./TrustHandshake.ts"
import * as TrustOutput from "./TrustOutput.ts"

/** Relations by node id; peers without one are absent. */
export type TrustTable = ReadonlyMap<NodeId, Relation.Relation>

/** Bounds of the table. */
export interface Limits extends Relation.Lifetimes {
  readonly pendingMax: number
  /** Of one key, which may come under many node ids. */
  readonly pendingPerKeyMax: number
  readonly outgoingMax: number
}

/** node §2.3, except `outgoing…` and `relayedAcceptSeconds`, which are ours: a request lives as long as its pending twin. */
export const DEFAULT_LIMITS: Limits = {
  pendingMax: 256,
  pendingPerKeyMax: 16,
  pendingSeconds: 30 * 86_400,
  outgoingMax: 1024,
  outgoingSeconds: 30 * 86_400,
  relayedAcceptSeconds: 86_400
}

/** No relations. */
export const empty: TrustTable = new Map()

/** The relation to a peer. */
export const relation = (self: TrustTable, node: NodeId): Relation.Relation => self.get(node) ?? Relation.none

/**
 * One input about one peer (`TrustHandshake.step`). A stranger's request beyond the limits changes nothing; our own
 * beyond them is answered `TooManyOutgoing`.
 */
export const step = (
  self: TrustTable,
  node: NodeId,
  input: TrustHandshake.Input,
  limits: Limits,
  nowSeconds: number
): { readonly table: TrustTable; readonly outputs: ReadonlyArray<TrustOutput.Output> } => {
  const before = Relation.expire(relation(self, node), limits, nowSeconds)
  const stepped = TrustHandshake.step(before, input, nowSeconds)
  const overflow = overflows(self, node, before, stepped.relation, limits)
  if (overflow !== undefined) return { table: put(self, node, before), outputs: overflow }
  const after = Relation.expire(stepped.relation, limits, nowSeconds)
  return { table: put(self, node, after), outputs: stepped.outputs }
}

/** Without what has outlived its time; the same table when nothing has. */
export const expire = (self: TrustTable, limits: Limits, nowSeconds: number): TrustTable => {
  let table = self
  for (const [node, before] of self) table = put(table, node, Relation.expire(before, limits, nowSeconds))
  return table
}

/** The table with this relation. */
export const put = (self: TrustTable, node: NodeId, value: Relation.Relation): TrustTable => {
  if (self.get(node) === value || (!self.has(node) && Relation.isNone(value))) return self
  const table = new Map(self)
  if (Relation.isNone(value)) table.delete(node)
  else table.set(node, value)
  return table
}

/** The trusted nodes with their keys. */
export const trustedKeys = (self: TrustTable): ReadonlyMap<NodeId, Uint8Array> => {
  const keys = new Map<NodeId, Uint8Array>()
  for (const [node, { trusted }] of self) if (trusted !== undefined) keys.set(node, trusted.publicKey)
  return keys
}

const overflows = (
  self: TrustTable,
  node: NodeId,
  before: Relation.Relation,
  after: Relation.Relation,
  limits: Limits
): ReadonlyArray<TrustOutput.Output> | undefined => {
  if (after.outgoing !== undefined && before.outgoing === undefined && count(self, isOutgoing) >= limits.outgoingMax)
    return [TrustOutput.Output.Answer({ result: "TooManyOutgoing" })]
  const { pending } = after
  if (pending === undefined || pending === before.pending) return undefined
  if (before.pending === undefined && count(self, isPending) >= limits.pendingMax) return []
  const isSameKey = (other: Relation.Relation, otherNode: NodeId) =>
    otherNode !== node && other.pending !== undefined && Bytes.equals(other.pending.publicKey, pending.publicKey)
  return pending.publicKey.length > 0 && count(self, isSameKey) >= limits.pendingPerKeyMax ? [] : undefined
}

const isPending = (self: Relation.Relation): boolean => self.pending !== undefined
const isOutgoing = (self: Relation.Relation): boolean => self.outgoing !== undefined

const count = (self: TrustTable, matches: (relation: Relation.Relation, node: NodeId) => boolean): number => {
  let matching = 0
  for (const [node, value] of self) if (matches(value, node)) matching++
  return matching
}
