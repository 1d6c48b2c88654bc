/**
 * The newest events of a broker, in memory, once for all subscribers: each has its place in here, and none has a queue of
 * its own, so that what waits is bounded by this alone, whoever reads or does not. Older ones are in the log.
 */
import { Deque } from "../../core/data/Deque.ts"
import type { NodeId } from "../wire/Address.ts"
import * as EventExtension from "../wire/EventExtension.ts"
import * as EventFrame from "../wire/EventFrame.ts"
import * as TopicPattern from "./TopicPattern.ts"

/** An event with its place in the log. */
export interface StoredEvent {
  /** From 1, without holes. */
  readonly sequence: number
  readonly topic: string
  readonly payload: Uint8Array
  readonly publisher: NodeId
  readonly publishedAtMs: number
}

/** A stored event, with what many subscribers need of it, made when the first one does. */
export class RecentEvent {
  readonly stored: StoredEvent
  readonly topic: TopicPattern.Topic
  readonly topicBytes: Uint8Array
  /** The connection it came by, which does not get it back; 0 for none. */
  readonly origin: number
  #plain: Uint8Array | undefined
  #extended: Uint8Array | undefined

  constructor(stored: StoredEvent, topicBytes: Uint8Array, origin: number) {
    this.stored = stored
    this.topic = TopicPattern.topic(stored.topic)
    this.topicBytes = topicBytes
    this.origin = origin
  }

  /** As the reference has it. */
  get plain(): Uint8Array {
    this.#plain ??= EventFrame.encode(this.topicBytes, this.stored.payload)
    return this.#plain
  }

  /** With its place and its publisher, between our nodes. */
  get extended(): Uint8Array {
    const { payload, publishedAtMs, publisher, sequence } = this.stored
    const head = () => EventExtension.eventHead(sequence, publishedAtMs, publisher)
    this.#extended ??= EventFrame.encode(this.topicBytes, head(), payload)
    return this.#extended
  }
}

/** How much is kept. */
export interface Limits {
  readonly countMax: number
  readonly bytesMax: number
}

/** Mutable, with one owner. The newest event stays whatever its size. */
export class RecentEvents {
  readonly #limits: Limits
  readonly #events = new Deque<RecentEvent>()
  #bytes = 0
  #last: number

  /** `last` is the newest sequence number before any of these. */
  constructor(limits: Limits, last: number) {
    this.#limits = limits
    this.#last = last
  }

  /** The oldest one here; one above `last` when there is none. */
  get first(): number {
    return this.#last - this.#events.length + 1
  }

  /** The newest sequence number. */
  get last(): number {
    return this.#last
  }

  /** The event of this number, if it is still here. */
  at(sequence: number): RecentEvent | undefined {
    return this.#events.at(sequence - this.first)
  }

  /** Takes the next event, and lets go of the oldest. */
  push(event: RecentEvent): void {
    this.#events.push(event)
    this.#last = event.stored.sequence
    this.#bytes += event.stored.payload.length
    const { bytesMax, countMax } = this.#limits
    while (this.#events.length > 1 && (this.#events.length > countMax || this.#bytes > bytesMax))
      this.#bytes -= this.#events.shift()!.stored.payload.length
  }
}
