/**
 * How often a source may make us work (wire §6.4, better d): a rate for each, so that a flood with forged senders does
 * not silence the peer, and one for all together, so that many forged senders do not add up.
 */
import { TokenBucket } from "../../core/data/TokenBucket.ts"

/** Mutable, owned by one tunnel. */
export class SourceLimiter {
  readonly #perSecond: number
  #all: TokenBucket | undefined
  /** Least recently used first. */
  readonly #sources = new Map<string, TokenBucket>()

  constructor(perSecond: number) {
    this.#perSecond = perSecond
  }

  /** True if this source may be served now, which counts. */
  take(source: string, nowMs: number): boolean {
    const own = this.#sources.get(source) ?? bucket(this.#perSecond, nowMs)
    this.#sources.delete(source)
    this.#sources.set(source, own)
    const [oldest] = this.#sources.keys()
    if (this.#sources.size > SOURCES_MAX && oldest !== undefined) this.#sources.delete(oldest)
    this.#all ??= bucket(this.#perSecond * SOURCES_MAX, nowMs)
    return own.take(nowMs) && this.#all.take(nowMs)
  }
}

const bucket = (perSecond: number, nowMs: number): TokenBucket =>
  new TokenBucket({ capacity: perSecond, perSecond }, nowMs)

/** Sources tracked per peer; an honest one shows two or three. */
const SOURCES_MAX = 16
