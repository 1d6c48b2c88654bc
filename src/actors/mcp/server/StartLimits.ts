/**
 * How often children may be started (mcp §6.4): a server that dies at once, or a peer that comes and goes, must not keep
 * this host busy with starting. Mutable inside the one `Keeper` that owns it.
 */
import { Effect } from "effect"
import { TokenBucket } from "../../../core/data/TokenBucket.ts"
import type { Service } from "../keeper/ServiceTable.ts"
import { TooManyStarts } from "./Child.ts"

/** Counts starts per service and per peer. */
export class StartLimits {
  readonly #buckets = new Map<string, TokenBucket>()

  /** Counts one start, or refuses it. `sessions` is what the owner gives each peer; more of them may start faster. */
  take(
    { name, rules }: Pick<Service, "name" | "rules">,
    node: number,
    nowMs: number
  ): Effect.Effect<void, TooManyStarts> {
    // A full bucket is the same as none, so the map holds only what was used lately.
    for (const [key, bucket] of this.#buckets) if (bucket.isFull(nowMs)) this.#buckets.delete(key)
    const rate = rateOf(rules?.sessions)
    const isFree =
      this.#bucket(`peer ${node} ${rules?.sessions} ${name}`, rate, nowMs).take(nowMs) &&
      this.#bucket(`peer ${node}`, TOTAL_RATE, nowMs).take(nowMs) &&
      this.#bucket(`service ${name}`, TOTAL_RATE, nowMs).take(nowMs)
    return isFree ? Effect.void : new TooManyStarts({ detail: `too many starts of ${name} or by node ${node}` })
  }

  #bucket(key: string, rate: typeof START_RATE, nowMs: number): TokenBucket {
    const bucket = this.#buckets.get(key) ?? new TokenBucket(rate, nowMs)
    this.#buckets.set(key, bucket)
    return bucket
  }
}

/** Each session may start its server four times at once, and once in four seconds after that. */
const rateOf = (sessions: number | undefined): typeof START_RATE =>
  sessions === undefined
    ? START_RATE
    : { capacity: sessions * STARTS_PER_SESSION, perSecond: sessions / STARTS_PER_SESSION }

const STARTS_PER_SESSION = 4
/** Of one service by one peer. */
const START_RATE = { capacity: 16, perSecond: 1 }
/** Of all services by one peer, and of one service by all of them; at least what an owner gives. */
const TOTAL_RATE = { capacity: 256, perSecond: 16 }
