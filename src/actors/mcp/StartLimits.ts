/**
 * How often children may be started (mcp §6.4): a server that dies at once, or a peer that comes and goes, must not keep
 * this host busy with starting. Mutable inside the one `Keeper` that owns it.
 */
import { Effect } from "effect"
import { TokenBucket } from "../../core/data/TokenBucket.ts"
import { TooManyStarts } from "./Child.ts"

/** Counts starts per service and per peer. */
export class StartLimits {
  readonly #buckets = new Map<string, TokenBucket>()

  /** Counts one start, or refuses it. */
  take(service: string, node: number, nowMs: number): Effect.Effect<void, TooManyStarts> {
    // A full bucket is the same as none, so the map holds only what was used lately.
    for (const [key, bucket] of this.#buckets) if (bucket.isFull(nowMs)) this.#buckets.delete(key)
    const isFree =
      this.#bucket(`service ${service}`, nowMs).take(nowMs) && this.#bucket(`peer ${node}`, nowMs).take(nowMs)
    return isFree ? Effect.void : new TooManyStarts({ detail: `too many starts of ${service} or by node ${node}` })
  }

  #bucket(key: string, nowMs: number): TokenBucket {
    const bucket = this.#buckets.get(key) ?? new TokenBucket(START_RATE, nowMs)
    this.#buckets.set(key, bucket)
    return bucket
  }
}

const START_RATE = { capacity: 16, perSecond: 1 }
