/**
 * What happened in a simulation, as one hash and the last few lines: two runs with equal hashes went the same way, down to
 * every byte on the wire.
 */
import * as NativeCrc32 from "../core/crypto/NativeCrc32.ts"

/** Mutable; grows by nothing. */
export class Trace {
  readonly #nowMs: () => number
  readonly #lines: Array<string> = []
  #events = 0
  #content = 0
  #order = 0x811c9dc5

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  /** Events recorded. */
  get events(): number {
    return this.#events
  }

  /** 16 hexadecimal digits. */
  get hash(): string {
    return hex(this.#order) + hex(this.#content)
  }

  /** The last events, oldest first. */
  get tail(): ReadonlyArray<string> {
    const at = this.#events % LINES_MAX
    return [...this.#lines.slice(at), ...this.#lines.slice(0, at)]
  }

  /** Adds one event; `bytes` are hashed, not kept. */
  record(event: string, bytes?: Uint8Array): void {
    const line = `${this.#nowMs().toFixed(3)} ${event}`
    for (let index = 0; index < line.length; index++) {
      this.#order = Math.imul(this.#order ^ line.charCodeAt(index), 0x01000193)
    }
    if (bytes !== undefined) this.#content = NativeCrc32.update(this.#content, bytes, 0, bytes.length)
    this.#lines[this.#events % LINES_MAX] = line
    this.#events++
  }
}

const hex = (value: number): string => (value >>> 0).toString(16).padStart(8, "0")

const LINES_MAX = 40
