/** Who subscribes to what at one broker, and its newest events. */
import { type Limits, type RecentEvent, RecentEvents } from "./RecentEvents.ts"
import type { Subscription } from "./Subscription.ts"
import * as TopicPattern from "./TopicPattern.ts"

/** Mutable, with one owner. An event costs a look at its topic and at every pattern with stars. */
export class BrokerTable {
  readonly recent: RecentEvents
  readonly #exact = new Map<string, Set<Subscription>>()
  readonly #patterns = new Set<Subscription>()
  #size = 0

  /** `last` is the newest sequence number of the log. */
  constructor(limits: Limits, last: number) {
    this.recent = new RecentEvents(limits, last)
  }

  /** Subscriptions in it. */
  get size(): number {
    return this.#size
  }

  /** All of them. */
  *all(): Iterable<Subscription> {
    for (const same of this.#exact.values()) yield* same
    yield* this.#patterns
  }

  /** From now on it is told of events. */
  add(subscription: Subscription): void {
    this.#size++
    const { exact } = subscription.pattern
    if (exact === undefined) {
      this.#patterns.add(subscription)
      return
    }
    const same = this.#exact.get(exact) ?? new Set()
    this.#exact.set(exact, same.add(subscription))
  }

  /** It is told no more. */
  remove(subscription: Subscription): void {
    const { exact } = subscription.pattern
    const same = exact === undefined ? this.#patterns : this.#exact.get(exact)
    if (same?.delete(subscription) !== true) return
    this.#size--
    if (exact !== undefined && same.size === 0) this.#exact.delete(exact)
  }

  /** Makes an event the newest one and tells all who want it; how many those are. */
  publish(event: RecentEvent): number {
    this.recent.push(event)
    const { sequence } = event.stored
    let count = 0
    for (const subscription of this.#exact.get(event.topic.text) ?? []) {
      if (subscription.origin !== 0 && subscription.origin === event.origin) continue
      subscription.published(sequence)
      count++
    }
    for (const subscription of this.#patterns) {
      if (!subscription.wants(event)) continue
      subscription.published(sequence)
      count++
    }
    return count
  }

  /** Subscribers that publishers of this topic have to wait for (`Policy`): those with `pendingMax` events waiting. */
  blocking(topic: TopicPattern.Topic, pendingMax: number): ReadonlyArray<Subscription> {
    const isFull = ({ pending, policy }: Subscription) => policy === "block" && pending >= pendingMax
    return [
      ...[...(this.#exact.get(topic.text) ?? [])].filter(isFull),
      ...[...this.#patterns].filter((one) => isFull(one) && TopicPattern.matches(one.pattern, topic))
    ]
  }
}
