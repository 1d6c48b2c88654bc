/**
 * When to acknowledge (wire §10.4, RFC 9293 §3.8.6.3): at the second segment, after a short wait for a single one, at once
 * when something is missing, was missing or came twice. A data segment that leaves first takes the acknowledgement along.
 */
import type { Reception } from "./ReceiveBuffer.ts"

/** Mutable inside the receiver that owns it. */
export class DelayedAck {
  readonly #delayMs: number
  #segments = 0
  #isDue = false
  #dueAtMs = Number.POSITIVE_INFINITY

  constructor(delayMs: number) {
    this.#delayMs = delayMs
  }

  /** When a waiting acknowledgement must leave; `Infinity` if none waits for time. */
  get deadlineMs(): number {
    return this.#dueAtMs
  }

  /** An acknowledgement must leave now. */
  isDue(nowMs: number): boolean {
    return this.#isDue || this.#dueAtMs <= nowMs
  }

  /** A data segment arrived. */
  received(reception: Reception, nowMs: number): void {
    if (reception !== "Delivered") {
      this.#isDue = true
      return
    }
    this.#segments += 1
    if (this.#segments >= SEGMENTS_PER_ACK) this.#isDue = true
    else if (this.#dueAtMs === Number.POSITIVE_INFINITY) this.#dueAtMs = nowMs + this.#delayMs
  }

  /** Something else calls for an acknowledgement. */
  request(): void {
    this.#isDue = true
  }

  /** The current acknowledgement number has left. */
  sent(): void {
    this.#segments = 0
    this.#isDue = false
    this.#dueAtMs = Number.POSITIVE_INFINITY
  }
}

/** RFC 9293 §3.8.6.3. */
const SEGMENTS_PER_ACK = 2
