/**
 * Budgets per source address (rendezvous §3.2): registering new keys, relaying handshakes, which makes work for others,
 * cards, whose check and search cost more than other requests, and chains of keys, whose signatures do.
 */
import { ExpiringMap } from "../../core/data/ExpiringMap.ts"
import * as SourceGroup from "../../core/data/SourceGroup.ts"
import * as TokenBucket from "../../core/data/TokenBucket.ts"

/** What is limited. */
export type Budget = "register" | "handshake" | "card" | "search" | "keyChain"

/** One bucket per source and budget. Mutable; owned by `Registry`. */
export interface SourceLimits {
  readonly buckets: ExpiringMap<string, TokenBucket.TokenBucket>
}

/** Full budgets for everybody. */
export const make = (): SourceLimits => ({
  buckets: new ExpiringMap({ entriesMax: SOURCES_MAX, lifeMs: BUCKET_IDLE_MS })
})

/** Takes one token; false when the source has none left. */
export const take = (self: SourceLimits, budget: Budget, host: string, nowMs: number): boolean => {
  const key = `${budget} ${SourceGroup.of(host)}`
  const bucket = self.buckets.get(key, nowMs) ?? new TokenBucket.TokenBucket(BUDGETS[budget], nowMs)
  // Setting again renews: a bucket expires only when its source was idle long enough to have it full again.
  self.buckets.set(key, bucket, nowMs)
  return bucket.take(nowMs)
}

/** Forgets sources that were idle for long. */
export const sweep = (self: SourceLimits, nowMs: number): void => {
  self.buckets.prune(nowMs)
}

/** What one source may do at once, and how fast that comes back. */
export const BUDGETS: { readonly [B in Budget]: TokenBucket.Config } = {
  register: { capacity: 10, perSecond: 10 / 60 },
  handshake: { capacity: 60, perSecond: 1 },
  card: { capacity: 64, perSecond: 0.5 },
  search: { capacity: 30, perSecond: 1 },
  keyChain: { capacity: 30, perSecond: 0.5 }
}
const BUCKET_IDLE_MS = 120_000
const SOURCES_MAX = 50_000
