/**
 * What is known of one server's era (mcp §1.2); the sessions of one mount share it. It holds for a while only: whoever
 * replaces the program behind a service tells nobody. Mutable, with one owner.
 */

/** `legacy`: it refused the modern revision. `modern`: it speaks it, and perhaps the others too. */
export type Era = "legacy" | "modern"

/** One server's. Instants are of a monotonic clock. */
export class Verdict {
  #era: Era | undefined
  #untilMs = 0

  /** What is known at that instant; undefined before anything is, and again after a while. */
  at(nowMs: number): Era | undefined {
    return nowMs < this.#untilMs ? this.#era : undefined
  }

  /** What was known last, however long ago: what was opened by it is still so. */
  get last(): Era | undefined {
    return this.#era
  }

  /** The server has shown it. */
  learn(era: Era, nowMs: number): void {
    this.#era = era
    this.#untilMs = nowMs + KEPT_MS
  }
}

/** As long as a keeper remembers what a server is. */
const KEPT_MS = 300_000
