/**
 * A map bounded in size and age, for what strangers make us remember. Entries leave in the order they were last set:
 * when they are `lifeMs` old, or when one more than `entriesMax` is set. Reading does not renew.
 */

/** Both bounds hold at all times. */
export interface Config {
  readonly entriesMax: number
  readonly lifeMs: number
}

interface Entry<V> {
  readonly value: V
  readonly setAtMs: number
}

/** Mutable, with one owner. Every operation costs constant time, apart from the entries it forgets. */
export class ExpiringMap<K, V> {
  readonly #config: Config
  /** In the order of setting, oldest first. */
  readonly #entries = new Map<K, Entry<V>>()

  constructor(config: Config) {
    this.#config = config
  }

  /** The value, if it is there and young enough. */
  get(key: K, nowMs: number): V | undefined {
    const entry = this.#entries.get(key)
    return entry !== undefined && this.#isAlive(entry, nowMs) ? entry.value : undefined
  }

  /** Whether `get` would find it. */
  has(key: K, nowMs: number): boolean {
    const entry = this.#entries.get(key)
    return entry !== undefined && this.#isAlive(entry, nowMs)
  }

  /** Sets and renews. */
  set(key: K, value: V, nowMs: number): void {
    this.#entries.delete(key)
    this.prune(nowMs)
    if (this.#entries.size >= this.#config.entriesMax) this.#forgetOldest()
    if (this.#config.entriesMax > 0) this.#entries.set(key, { value, setAtMs: nowMs })
  }

  /** Forgets one; whether it was there. */
  delete(key: K, nowMs: number): boolean {
    const wasThere = this.has(key, nowMs)
    this.#entries.delete(key)
    return wasThere
  }

  /** Entries alive. */
  size(nowMs: number): number {
    this.prune(nowMs)
    return this.#entries.size
  }

  /** The entries alive, oldest first. */
  entries(nowMs: number): ReadonlyArray<readonly [key: K, value: V]> {
    this.prune(nowMs)
    return Array.from(this.#entries, ([key, { value }]) => [key, value] as const)
  }

  /** When the oldest entry expires; `undefined` when there is none. */
  deadlineMs(): number | undefined {
    for (const { setAtMs } of this.#entries.values()) return setAtMs + this.#config.lifeMs
    return undefined
  }

  /** Forgets what has expired, and returns it, oldest first. */
  prune(nowMs: number): ReadonlyArray<readonly [key: K, value: V]> {
    const expired: Array<readonly [K, V]> = []
    for (const [key, entry] of this.#entries) {
      if (this.#isAlive(entry, nowMs)) break
      expired.push([key, entry.value])
      this.#entries.delete(key)
    }
    return expired
  }

  #isAlive(entry: Entry<V>, nowMs: number): boolean {
    return nowMs - entry.setAtMs < this.#config.lifeMs
  }

  #forgetOldest(): void {
    for (const key of this.#entries.keys()) {
      this.#entries.delete(key)
      return
    }
  }
}
