/**
 * What waits to be told to a webhook: in order, one at a time, again and again with growing pauses, until it was taken or
 * given up. After one was given up the next ones get one try each, until one is taken again, so that a receiver that is away
 * does not hold up the news of hours.
 */
import * as Backoff from "../../core/data/Backoff.ts"
import { BoundedQueue } from "../../core/data/BoundedQueue.ts"

/** One event, as it is sent. */
export interface Delivery {
  /** The same on every try, so that a receiver can tell a repeat. */
  readonly id: string
  readonly event: string
  readonly body: string
  readonly url: string
}

/** A delivery that was given up. */
export interface DeadLetter extends Delivery {
  readonly attempts: number
  readonly reason: string
}

/** Bounds and pauses. */
export interface Config {
  readonly waitingMax: number
  readonly attemptsMax: number
  readonly backoff: Backoff.Config
}

/** Mutable, with one owner. */
export class WebhookQueue {
  readonly #config: Config
  readonly #waiting: BoundedQueue<Delivery>
  #attempts = 0
  #isUnderWay = false
  #isAway = false
  #dueAtMs = 0

  constructor(config: Config) {
    this.#config = config
    this.#waiting = new BoundedQueue(config.waitingMax)
  }

  /** Deliveries that wait or are under way. */
  get size(): number {
    return this.#waiting.size
  }

  /** When `next` has something to do; `undefined` while it waits for nothing but `settled`, or has nothing. */
  get deadlineMs(): number | undefined {
    return this.#isUnderWay || this.#waiting.isEmpty ? undefined : this.#dueAtMs
  }

  /** Appends one; a full queue gives it back as given up. */
  offer(delivery: Delivery): DeadLetter | undefined {
    if (this.#waiting.offer(delivery)) return undefined
    return { ...delivery, attempts: 0, reason: "too many events were waiting" }
  }

  /** What is to be sent now; `settled` must follow. */
  next(nowMs: number): { readonly delivery: Delivery; readonly attempt: number } | undefined {
    const delivery = this.#waiting.peek()
    if (delivery === undefined || this.#isUnderWay || nowMs < this.#dueAtMs) return undefined
    this.#isUnderWay = true
    return { delivery, attempt: ++this.#attempts }
  }

  /** It was taken, or not and why. Gives back what is given up. `random` in [0, 1) spreads the pauses. */
  settled(failure: string | undefined, nowMs: number, random: number): DeadLetter | undefined {
    this.#isUnderWay = false
    if (failure === undefined) {
      this.#isAway = false
      this.#forget(nowMs)
      return undefined
    }
    const attempts = this.#attempts
    if (attempts < (this.#isAway ? 1 : this.#config.attemptsMax)) {
      this.#dueAtMs = nowMs + Backoff.delayMs(this.#config.backoff, attempts - 1, random)
      return undefined
    }
    const delivery = this.#waiting.peek()
    this.#isAway = true
    this.#forget(nowMs)
    return delivery === undefined ? undefined : { ...delivery, attempts, reason: failure }
  }

  /** Everything that waits is given up. */
  abandon(reason: string): ReadonlyArray<DeadLetter> {
    const waiting = this.#waiting.drain()
    const attempts = this.#attempts
    this.#attempts = 0
    this.#isUnderWay = false
    return waiting.map((delivery, index) => ({ ...delivery, attempts: index === 0 ? attempts : 0, reason }))
  }

  #forget(nowMs: number): void {
    this.#waiting.take()
    this.#attempts = 0
    this.#dueAtMs = nowMs
  }
}

/** What a node does unless told otherwise: some two minutes of trying. */
export const DEFAULTS: Config = {
  waitingMax: 1_024,
  attemptsMax: 8,
  backoff: { initialMs: 1_000, factor: 2, maxMs: 60_000, jitter: 0.2 }
}
