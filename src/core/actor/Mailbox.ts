/**
 * The bounded queue in front of an actor. One reader, many writers; mutable and owned by one `Actor`.
 *
 * Kept outside the actor's lives, and emptied one message at a time, so that a restart loses no message but the one
 * that was being handled.
 */

/**
 * What a full mailbox does: `backpressure` suspends `tell` and refuses `tellUnsafe`, `fail` refuses both, `dropNewest`
 * drops the arriving message, `dropOldest` the one that has waited longest.
 */
export type Overflow = "backpressure" | "dropNewest" | "dropOldest" | "fail"

/** The bound of a mailbox, in messages, and what happens beyond it. */
export interface MailboxOptions {
  readonly capacity: number
  readonly overflow: Overflow
}

/** A sender suspended by a full mailbox. `resume(false)` tells it that the actor ended first. */
export interface Writer<M> {
  readonly message: M
  readonly resume: (accepted: boolean) => void
}

/** See the module. Memory follows the number of messages: an empty mailbox that was never used holds no slots. */
export class Mailbox<M> {
  readonly capacity: number
  readonly overflow: Overflow
  /** Messages that were dropped, refused, or discarded by `close`. */
  dropped = 0
  readonly #onMessage: () => void
  /** A ring; its length is a power of two, and grows up to the first one that holds `capacity`. */
  #ring: Array<M | undefined> = []
  #head = 0
  #size = 0
  #isClosed = false
  #writers: Set<Writer<M>> | undefined

  /** `onMessage` is called after each message that was taken in. */
  constructor(options: MailboxOptions, onMessage: () => void) {
    this.capacity = Math.max(1, options.capacity)
    this.overflow = options.overflow
    this.#onMessage = onMessage
  }

  /** Messages waiting, without those of suspended writers. */
  get size(): number {
    return this.#size
  }

  /** True once the actor ended. */
  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Takes a message in unless full or closed; the policy may make room. False is counted in `dropped`. */
  offer(message: M): boolean {
    if (this.#isClosed || !this.#hasRoom()) {
      this.dropped++
      return false
    }
    this.#push(message)
    this.#onMessage()
    return true
  }

  /** True when `offer` would suspend, were it allowed to. */
  get mustWait(): boolean {
    return this.overflow === "backpressure" && this.#size === this.capacity && !this.#isClosed
  }

  /** Queues a writer behind those already waiting; only while `mustWait`. */
  wait(writer: Writer<M>): void {
    this.#writers ??= new Set()
    this.#writers.add(writer)
  }

  /** Withdraws a writer that no longer wants to send. */
  withdraw(writer: Writer<M>): void {
    this.#writers?.delete(writer)
  }

  /** Removes the oldest message; only while `size` is positive. Admits one suspended writer in its place. */
  take(): M {
    const message = this.#shift()
    if (this.#writers !== undefined && this.#writers.size > 0) this.#admitWriter(this.#writers)
    return message
  }

  /** Discards everything, wakes suspended writers with a refusal, and refuses from now on. */
  close(): void {
    this.#isClosed = true
    this.dropped += this.#size
    this.#ring = []
    this.#size = 0
    const writers = this.#writers ?? []
    this.#writers = undefined
    for (const writer of writers) writer.resume(false)
  }

  #hasRoom(): boolean {
    if (this.#size < this.capacity) return true
    if (this.overflow !== "dropOldest") return false
    this.#shift()
    this.dropped++
    return true
  }

  #admitWriter(writers: Set<Writer<M>>): void {
    for (const writer of writers) {
      writers.delete(writer)
      this.#push(writer.message)
      writer.resume(true)
      return
    }
  }

  #push(message: M): void {
    if (this.#size === this.#ring.length) this.#grow()
    this.#ring[(this.#head + this.#size) & (this.#ring.length - 1)] = message
    this.#size++
  }

  #shift(): M {
    const message = this.#ring[this.#head]!
    // The slot must not keep a handled message alive.
    this.#ring[this.#head] = undefined
    this.#head = (this.#head + 1) & (this.#ring.length - 1)
    this.#size--
    return message
  }

  #grow(): void {
    const grown = new Array<M | undefined>(Math.max(RING_SLOTS_MIN, this.#ring.length * 2))
    for (let index = 0; index < this.#size; index++) {
      grown[index] = this.#ring[(this.#head + index) & (this.#ring.length - 1)]
    }
    this.#ring = grown
    this.#head = 0
  }
}

const RING_SLOTS_MIN = 4
