/**
 * The beacon's half of finding out what a translator does (after RFC 5780): it says where a question came from, and
 * answers from another port or host of its own where asked to.
 *
 * It is no weapon (architecture, security rule 7): a reply is never larger than its question, there are few per source,
 * and an endpoint that did not ask itself, or is to be answered from elsewhere, is answered only for a cookie that was
 * sent there. A cookie says when and for whom it was made, and the key it is made with dies with the process.
 */
import * as Bytes from "../core/data/Bytes.ts"
import * as Endpoint from "../core/data/Endpoint.ts"
import { ExpiringMap } from "../core/data/ExpiringMap.ts"
import * as SourceGroup from "../core/data/SourceGroup.ts"
import { type Config as BucketConfig, TokenBucket } from "../core/data/TokenBucket.ts"
import * as NatProbe from "../protocol/wire/NatProbe.ts"

/** Bounds. */
export interface Config {
  /** Questions per source. */
  readonly probe: BucketConfig
  readonly sourcesMax: number
}

/** One classification takes some twenty questions, one lifetime some thirty in half an hour. */
export const defaults: Config = { probe: { capacity: 60, perSecond: 5 }, sourcesMax: 20_000 }

/** Where else this beacon can be asked; from there it can answer, too. */
export interface Others {
  /** 0 for nowhere. */
  readonly port: number
  readonly host: Endpoint.Endpoint | undefined
}

/** One datagram to send, by the socket that `reply.from` names. */
export interface Answer {
  readonly to: Endpoint.Endpoint
  readonly reply: Extract<NatProbe.NatProbe, { _tag: "ProbeReply" }>
}

/** Plain counts since the start. */
export interface ProbeCounters {
  answered: number
  /** No cookie, a wrong one, or one that is too old. */
  unproven: number
  rateLimited: number
}

/** Mutable, with one owner: the beacon actor. */
export class ProbeResponder {
  readonly counters: ProbeCounters = { answered: 0, unproven: 0, rateLimited: 0 }
  readonly #config: Config
  readonly #mac: (bytes: Uint8Array) => Uint8Array
  readonly #buckets: ExpiringMap<string, TokenBucket>

  /** `mac` is keyed with a secret of this process and gives at least eight bytes. */
  constructor(config: Config, mac: (bytes: Uint8Array) => Uint8Array) {
    this.#config = config
    this.#mac = mac
    this.#buckets = new ExpiringMap({ entriesMax: config.sourcesMax, lifeMs: BUCKET_IDLE_MS })
  }

  /** What a question that came `from` there leads to, if anything. `others` of the family it came by. */
  receive(message: NatProbe.NatProbe, from: Endpoint.Endpoint, others: Others, nowMs: number): Answer | undefined {
    if (message._tag !== "ProbeRequest") return undefined
    if (!this.#spend(from, nowMs)) return undefined
    const { nonce, proof } = message
    const to = proof?.endpoint ?? from
    const isProven = proof !== undefined && this.#isMine(proof, nowMs)
    if (!isProven && (message.from !== "Same" || proof !== undefined)) {
      this.counters.unproven++
      return undefined
    }
    if (message.from === "OtherPort" && others.port === 0) return undefined
    if (message.from === "OtherHost" && others.host === undefined) return undefined
    // A socket of one family cannot answer the other one.
    if (to.host.includes(":") !== from.host.includes(":")) return undefined
    this.counters.answered++
    const cookie = this.#cookie(to, Math.floor(nowMs / 1000))
    const rest = { otherPort: others.port, otherHost: others.host }
    return { to, reply: { _tag: "ProbeReply", nonce, from: message.from, cookie, seen: to, ...rest } }
  }

  #cookie(to: Endpoint.Endpoint, second: number): Uint8Array {
    const time = Bytes.ofU32(second % 2 ** 32)
    const mac = this.#mac(Bytes.concat(time, Bytes.fromUtf8(Endpoint.format(to))))
    return Bytes.concat(time, mac.subarray(0, NatProbe.COOKIE_BYTES - 4))
  }

  #isMine({ cookie, endpoint }: NatProbe.Proof, nowMs: number): boolean {
    const second = Bytes.readU32(cookie, 0)
    const ageSeconds = Math.floor(nowMs / 1000) - second
    return (
      ageSeconds >= 0 && ageSeconds <= COOKIE_LIFE_MS / 1000 && Bytes.equals(cookie, this.#cookie(endpoint, second))
    )
  }

  #spend(from: Endpoint.Endpoint, nowMs: number): boolean {
    const key = SourceGroup.of(from.host)
    let bucket = this.#buckets.get(key, nowMs)
    if (bucket === undefined) {
      bucket = new TokenBucket(this.#config.probe, nowMs)
      this.#buckets.set(key, bucket, nowMs)
    }
    if (bucket.take(nowMs)) return true
    this.counters.rateLimited++
    return false
  }
}

/** Longer than the longest silence that a lifetime is measured with. */
export const COOKIE_LIFE_MS = 900_000
/** A bucket is recreated full after this long, which is longer than any takes to refill. */
const BUCKET_IDLE_MS = 60_000
