/**
 * Segments that were sent and are not yet acknowledged, and the lists they are on. Hot and mutable: one object per
 * segment from its first transmission to its cumulative acknowledgement.
 */

import * as Bytes from "../../core/data/Bytes.ts"

/**
 * What is known of a segment. In transit: may still arrive. Lost: to be sent again. Sacked: held by the peer beyond a
 * hole. Acknowledged: done, and out of the scoreboard.
 */
export type Fate = "InTransit" | "Lost" | "Sacked" | "Acknowledged"

/** What the sender knew of the path when a segment left (draft-ietf-ccwg-bbr §4.1 "P"). Shared between segments. */
export interface SendRecord {
  /** Bytes delivered by then, and when the last of them was. */
  readonly delivered: number
  readonly deliveredAtMs: number
  /** When the segment was sent that was delivered last. */
  readonly firstSentAtMs: number
  /** Weighted bytes lost by then. */
  readonly lost: number
  readonly isAppLimited: boolean
}

/** Of a segment whose sending nobody recorded. */
export const unsent: SendRecord = { delivered: 0, deliveredAtMs: 0, firstSentAtMs: 0, lost: 0, isAppLimited: false }

/** One segment. Only `cut` and `join` change its boundaries, for peers that do not match by exact start (wire §10.2, §17). */
export class SentSegment {
  readonly start: number
  end: number
  payload: Uint8Array
  /** Bytes of its last transmission, which it may since have been cut from. */
  sentBytes: number
  sentAtMs: number
  transmissions = 1
  fate: Fate = "InTransit"
  record = unsent
  /** Bytes in flight right after its last transmission, itself included. */
  inFlightAtSend = 0
  /** Index (counted since the stream began) behind the run of sacked segments known to begin here. */
  runEndIndex = 0
  previous: SentSegment | undefined = undefined
  next: SentSegment | undefined = undefined

  constructor(start: number, payload: Uint8Array, nowMs: number) {
    this.start = start
    this.end = start + payload.length
    this.payload = payload
    this.sentBytes = payload.length
    this.sentAtMs = nowMs
  }

  /** Keeps the first `bytes` and gives the rest, of which the same is known. */
  cut(bytes: number): SentSegment {
    const rest = new SentSegment(this.start + bytes, this.payload.subarray(bytes), this.sentAtMs)
    rest.sentBytes = this.sentBytes
    rest.transmissions = this.transmissions
    rest.fate = this.fate
    rest.record = this.record
    rest.inFlightAtSend = this.inFlightAtSend
    this.payload = this.payload.subarray(0, bytes)
    this.end = rest.start
    return rest
  }

  /** Becomes one with the segments that follow it without a gap. */
  join(following: ReadonlyArray<SentSegment>): void {
    this.payload = Bytes.concat(this.payload, ...following.map(({ payload }) => payload))
    this.end = this.start + this.payload.length
    // What was sent again, be it in part, is not judged as if it had not been.
    for (const { sentAtMs, transmissions } of following) {
      this.sentAtMs = Math.max(this.sentAtMs, sentAtMs)
      this.transmissions = Math.max(this.transmissions, transmissions)
    }
  }
}

/** A list through the segments' own links; a segment is on at most one list at a time. */
export class SegmentList {
  readonly #isAfter: (a: SentSegment, b: SentSegment) => boolean
  #first: SentSegment | undefined = undefined
  #last: SentSegment | undefined = undefined
  #length = 0

  /** `isAfter` is the order of the list. */
  constructor(isAfter: (a: SentSegment, b: SentSegment) => boolean) {
    this.#isAfter = isAfter
  }

  /** Segments on the list. */
  get length(): number {
    return this.#length
  }

  /** The front of the list. */
  get first(): SentSegment | undefined {
    return this.#first
  }

  /** The back of the list. */
  get last(): SentSegment | undefined {
    return this.#last
  }

  /** Adds at the back, where the order must allow it. */
  append(segment: SentSegment): void {
    this.#insertAfter(this.#last, segment)
  }

  /** Adds at its place in the order. That is nearly always an end: before the first, or after one of the last. */
  insert(segment: SentSegment): void {
    if (this.#first !== undefined && this.#isAfter(this.#first, segment)) return this.#insertAfter(undefined, segment)
    let before = this.#last
    while (before !== undefined && this.#isAfter(before, segment)) before = before.previous
    this.#insertAfter(before, segment)
  }

  /** Adds right behind another, where the order must allow it. */
  insertBehind(before: SentSegment, segment: SentSegment): void {
    this.#insertAfter(before, segment)
  }

  /** Takes a segment off the list. */
  remove(segment: SentSegment): void {
    if (segment.previous === undefined) this.#first = segment.next
    else segment.previous.next = segment.next
    if (segment.next === undefined) this.#last = segment.previous
    else segment.next.previous = segment.previous
    segment.previous = undefined
    segment.next = undefined
    this.#length -= 1
  }

  #insertAfter(before: SentSegment | undefined, segment: SentSegment): void {
    const after = before === undefined ? this.#first : before.next
    segment.previous = before
    segment.next = after
    if (before === undefined) this.#first = segment
    else before.next = segment
    if (after === undefined) this.#last = segment
    else after.previous = segment
    this.#length += 1
  }
}
