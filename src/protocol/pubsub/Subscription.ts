/**
 * One subscriber's place among the events of a broker. It counts what waits for it instead of holding it: what is left
 * out, or must be read from the log, follows from the oldest event still in memory.
 */
import type { Policy } from "../wire/EventExtension.ts"
import type { RecentEvent, RecentEvents } from "./RecentEvents.ts"
import * as TopicPattern from "./TopicPattern.ts"

/** What a subscription is made from. */
export interface Options {
  readonly pattern: TopicPattern.TopicPattern
  readonly policy: Policy
  /** The connection it belongs to: events that came by it do not go back. */
  readonly origin: number
  /** It begins behind this sequence number. */
  readonly position: number
  /** Called when something waits for it. */
  readonly wake: () => void
}

/** Mutable; the broker's table and the subscriber's feed share it on one thread. */
export class Subscription {
  readonly pattern: TopicPattern.TopicPattern
  readonly policy: Policy
  readonly origin: number
  readonly #wake: () => void
  #position: number
  #pending = 0
  #dropped = 0
  #isBehind = false

  constructor({ origin, pattern, policy, position, wake }: Options) {
    this.pattern = pattern
    this.policy = policy
    this.origin = origin
    this.#position = position
    this.#wake = wake
  }

  /** Everything up to this sequence number was taken, left out, or is not wanted. */
  get position(): number {
    return this.#position
  }

  /** Wanted events that wait; unknown, and 0, while it is behind. */
  get pending(): number {
    return this.#pending
  }

  /** Wanted events that were left out, over its whole life. */
  get dropped(): number {
    return this.#dropped
  }

  /** What it needs next is in the log only: `reached` ends that. */
  get isBehind(): boolean {
    return this.#isBehind
  }

  /** Whether it is to get this event. */
  wants(event: RecentEvent): boolean {
    return (this.origin === 0 || event.origin !== this.origin) && TopicPattern.matches(this.pattern, event.topic)
  }

  /** An event that it wants is the newest now. */
  published(sequence: number): void {
    if (this.#isBehind) return
    if (this.#pending === 0) this.#position = sequence - 1
    this.#pending++
    this.#wake()
  }

  /** What comes next, at most about so many bytes; nothing when nothing waits, or when it is behind now. */
  take(recent: RecentEvents, bytesMax: number): ReadonlyArray<RecentEvent> {
    if (this.#pending === 0 || !this.#stillHas(recent)) return []
    const taken: Array<RecentEvent> = []
    let bytes = 0
    while (this.#pending > 0 && bytes < bytesMax) {
      const event = recent.at(++this.#position)
      if (event === undefined) {
        this.#pending = 0
        break
      }
      if (!this.wants(event)) continue
      this.#pending--
      taken.push(event)
      bytes += event.stored.payload.length + event.topicBytes.length
    }
    return taken
  }

  /** Its place is in the log, from here on: at first, or again. */
  fallBehind(position: number): void {
    this.#position = position
    this.#pending = 0
    this.#isBehind = true
  }

  /** The log was read up to here; it is not behind any more when what follows is in memory. */
  reached(position: number, recent: RecentEvents): void {
    this.#position = position
    if (position + 1 < recent.first) return
    this.#isBehind = false
    this.#pending = this.#count(position + 1, recent)
  }

  /** When what waits is not all there, either some of it is left out, or the log has it. */
  #stillHas(recent: RecentEvents): boolean {
    if (this.#position + 1 >= recent.first) return true
    if (this.policy !== "drop") {
      this.fallBehind(this.#position)
      return false
    }
    const kept = this.#count(recent.first, recent)
    this.#dropped += this.#pending - kept
    this.#pending = kept
    this.#position = recent.first - 1
    return kept > 0
  }

  #count(first: number, recent: RecentEvents): number {
    let count = 0
    for (let sequence = first; sequence <= recent.last; sequence++) {
      const event = recent.at(sequence)
      if (event !== undefined && this.wants(event)) count++
    }
    return count
  }
}
