/**
 * Handshake messages seen lately (node §2.2): each counts once. Bounded in time, in total and per sender, so that no
 * single node can fill it and shut out the others.
 */
import type { NodeId } from "../wire/Address.ts"

/** Digests with their time, oldest first. Mutable inside its one owner. */
export interface ReplaySet {
  readonly limits: Limits
  readonly entries: Map<string, { readonly node: NodeId; readonly seenAtMs: number }>
  readonly perNode: Map<NodeId, number>
}

/** `entriesMax` in total, `perNodeMax` of one sender, each for `lifeMs`. */
export interface Limits {
  readonly entriesMax: number
  readonly perNodeMax: number
  readonly lifeMs: number
}

/** Empty. */
export const make = (limits: Limits = DEFAULT_LIMITS): ReplaySet => ({ limits, entries: new Map(), perNode: new Map() })

/** Records one verified message: `Fresh` the first time, else why it must be dropped. Mutates the set. */
export const record = (
  self: ReplaySet,
  digest: string,
  node: NodeId,
  nowMs: number
): "Fresh" | "Replayed" | "TooMany" => {
  purge(self, nowMs)
  if (self.entries.has(digest)) return "Replayed"
  const count = self.perNode.get(node) ?? 0
  if (self.entries.size >= self.limits.entriesMax || count >= self.limits.perNodeMax) return "TooMany"
  self.entries.set(digest, { node, seenAtMs: nowMs })
  self.perNode.set(node, count + 1)
  return "Fresh"
}

/** Insertion is in order of time, so the walk ends at the first entry that stays. */
const purge = (self: ReplaySet, nowMs: number): void => {
  for (const [digest, { node, seenAtMs }] of self.entries) {
    if (nowMs - seenAtMs < self.limits.lifeMs) return
    self.entries.delete(digest)
    const count = self.perNode.get(node)! - 1
    if (count === 0) self.perNode.delete(node)
    else self.perNode.set(node, count)
  }
}

/** node §2.2, and our own share per sender. */
const DEFAULT_LIMITS: Limits = { entriesMax: 8192, perNodeMax: 64, lifeMs: 600_000 }
