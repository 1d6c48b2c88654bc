/**
 * What the peer is known to hold of what was sent (RFC 2018, RFC 6675): every segment between the cumulative
 * acknowledgement and the last one sent, with its fate. Selective marks survive a cumulative advance.
 *
 * Each operation costs what it changes, and a binary search: segments in transit are also on a list in order of their last
 * transmission, the lost ones on one in order of position, and runs of sacked segments are skipped by links that every
 * visit shortens, because each SACK repeats what the last one said. Mutable inside the sender that owns it.
 */
import { Deque } from "../../core/data/Deque.ts"
import { SegmentSize } from "./SegmentSize.ts"
import { SegmentList, SentSegment } from "./SentSegment.ts"
import { defaults } from "./StreamConfig.ts"

/** What one acknowledgement newly delivered. `clear` starts the next one. */
export class Delivery {
  bytes = 0
  segments = 0
  /** Payload of the largest segment delivered. */
  largestBytes = 0
  /** Position behind the highest segment delivered. */
  highestEnd = Number.NEGATIVE_INFINITY
  /** The delivered segment that was sent last. */
  newest: SentSegment | undefined = undefined
  /** The lowest position behind a segment that was sent once: what reordering is seen by. */
  lowestOnceEnd = Number.POSITIVE_INFINITY
  /** A segment arrived that had been given up and not sent again: the verdict was wrong. */
  isLossRefuted = false
  /** Segments whose loss was a wrong verdict: not sent again, or so late that it was the first transmission that arrived. */
  refuted = 0
  /** What was sent again after this cannot be what arrives now. */
  repairedAfterMs = Number.POSITIVE_INFINITY

  /** Adds one segment whose fate is still the one before this acknowledgement. */
  add(segment: SentSegment): void {
    this.bytes += segment.payload.length
    this.segments += 1
    if (segment.payload.length > this.largestBytes) this.largestBytes = segment.payload.length
    if (segment.fate === "Lost" || (segment.transmissions > 1 && segment.sentAtMs > this.repairedAfterMs))
      this.refuted += 1
    if (segment.end > this.highestEnd) this.highestEnd = segment.end
    if (this.newest === undefined || isSentAfter(segment, this.newest)) this.newest = segment
    if (segment.transmissions > 1) return
    if (segment.end < this.lowestOnceEnd) this.lowestOnceEnd = segment.end
    if (segment.fate === "Lost") this.isLossRefuted = true
  }

  /** Forgets the acknowledgement before. A segment sent again after `repairedAfterMs` arrives by its first transmission. */
  clear(repairedAfterMs = Number.POSITIVE_INFINITY): void {
    this.refuted = 0
    this.repairedAfterMs = repairedAfterMs
    this.bytes = 0
    this.segments = 0
    this.largestBytes = 0
    this.highestEnd = Number.NEGATIVE_INFINITY
    this.newest = undefined
    this.lowestOnceEnd = Number.POSITIVE_INFINITY
    this.isLossRefuted = false
  }
}

/** The segments of one stream that await their acknowledgement, in order of position. */
export class SackScoreboard {
  readonly #segments = new Deque<SentSegment>()
  readonly #inTransit = new SegmentList(isSentAfter)
  readonly #lost = new SegmentList((a, b) => a.start > b.start)
  /** Segments removed since the stream began: turns an index of the queue into one that lasts. */
  #removed = 0
  #bytes = 0
  #bytesInFlight = 0
  #sacked = 0
  /** Result of the acknowledgements since its last `clear`. */
  readonly delivery = new Delivery()
  readonly #size: SegmentSize

  /** `size` is told what becomes of each transmission. */
  constructor(size: SegmentSize = new SegmentSize(defaults)) {
    this.#size = size
  }

  /** Segments not yet cumulatively acknowledged, sacked ones included: what takes up the peer's window. */
  get segments(): number {
    return this.#segments.length
  }

  /** Their bytes. */
  get bytes(): number {
    return this.#bytes
  }

  /** Bytes believed to be on their way (RFC 6675 "pipe"). */
  get bytesInFlight(): number {
    return this.#bytesInFlight
  }

  /** Segments the peer holds beyond a hole. */
  get sackedSegments(): number {
    return this.#sacked
  }

  /** Segments to be sent again. */
  get lostSegments(): number {
    return this.#lost.length
  }

  /** Segments in transit. */
  get inTransitSegments(): number {
    return this.#inTransit.length
  }

  /** The segment in transit whose last transmission is the oldest; `next` leads to the younger ones. */
  get oldestInTransit(): SentSegment | undefined {
    return this.#inTransit.first
  }

  /** The lowest segment to be sent again. */
  get firstLost(): SentSegment | undefined {
    return this.#lost.first
  }

  /** The lowest segment of all. */
  get first(): SentSegment | undefined {
    return this.#segments.first
  }

  /** The highest segment that the peer is not known to hold. */
  get highestMissing(): SentSegment | undefined {
    for (let index = this.#segments.length - 1; index >= 0; index--) {
      const segment = this.#segments.at(index)
      if (segment !== undefined && segment.fate !== "Sacked") return segment
    }
    return undefined
  }

  /** The oldest transmission under way was larger than this. What was sent before a loss has arrived, or is lost, too. */
  hasInTransit(bytes: number): boolean {
    const { first } = this.#inTransit
    return first !== undefined && first.sentBytes > bytes
  }

  /** Records the first transmission of the segment behind all others. */
  sent(start: number, payload: Uint8Array, nowMs: number): SentSegment {
    const segment = new SentSegment(start, payload, nowMs)
    this.#segments.push(segment)
    this.#inTransit.append(segment)
    this.#bytes += payload.length
    this.#bytesInFlight += payload.length
    return segment
  }

  /** Records another transmission. */
  resent(segment: SentSegment, nowMs: number): void {
    if (segment.fate === "Lost") {
      this.#lost.remove(segment)
      this.#bytesInFlight += segment.payload.length
    } else if (segment.fate === "InTransit") this.#inTransit.remove(segment)
    // A sacked segment sent again (a window probe) stays what it is: the peer has it.
    if (segment.fate !== "Sacked") {
      this.#inTransit.append(segment)
      segment.fate = "InTransit"
    }
    segment.sentAtMs = nowMs
    segment.sentBytes = segment.payload.length
    segment.transmissions += 1
  }

  /**
   * Cuts a segment that the peer is not known to hold behind its first `bytes`, and returns the rest: for one that has
   * become too large for the path.
   */
  cut(segment: SentSegment, bytes: number): SentSegment {
    const rest = segment.cut(bytes)
    const index = this.#indexFrom(segment.start) + 1
    this.#segments.insert(index, rest)
    if (rest.fate === "Lost") this.#lost.insertBehind(segment, rest)
    else this.#inTransit.insertBehind(segment, rest)
    this.#moved(index + 1, 1)
    return rest
  }

  /** Makes one of a lost segment and the lost ones right behind it that are no more than `bytes` with it. */
  join(segment: SentSegment, bytes: number): void {
    if (segment.fate !== "Lost") return
    const following: Array<SentSegment> = []
    let length = segment.payload.length
    let next = segment.next
    for (let end = segment.end; next?.start === end && length + next.payload.length <= bytes; next = next.next) {
      following.push(next)
      length += next.payload.length
      end = next.end
    }
    if (following.length === 0) return
    const index = this.#indexFrom(segment.start) + 1
    for (const joined of following) {
      this.#lost.remove(joined)
      this.#segments.remove(index)
    }
    segment.join(following)
    this.#moved(index, -following.length)
  }

  /** Cumulative acknowledgement: removes the segments that lie wholly before the position. */
  acknowledge(position: number): void {
    for (let segment = this.#segments.first; segment !== undefined && segment.end <= position; ) {
      if (segment.fate === "Sacked") this.#sacked -= 1
      else this.#deliver(segment)
      segment.fate = "Acknowledged"
      this.#bytes -= segment.payload.length
      this.#segments.shift()
      this.#removed += 1
      segment = this.#segments.first
    }
  }

  /** Selective acknowledgement of the segments that lie wholly between two positions. */
  sack(left: number, right: number): void {
    const from = this.#indexFrom(left)
    let index = from
    for (let segment = this.#segments.at(index); segment !== undefined && segment.end <= right; ) {
      if (segment.fate === "Sacked") {
        index = segment.runEndIndex - this.#removed
      } else {
        this.#deliver(segment)
        segment.fate = "Sacked"
        this.#sacked += 1
        index += 1
        segment.runEndIndex = index + this.#removed
      }
      segment = this.#segments.at(index)
    }
    this.#shorten(from, index)
  }

  /** Marks a segment in transit as lost. */
  lose(segment: SentSegment): void {
    if (segment.fate !== "InTransit") return
    this.#inTransit.remove(segment)
    this.#lost.insert(segment)
    segment.fate = "Lost"
    this.#bytesInFlight -= segment.payload.length
    this.#size.lost(segment.sentBytes)
  }

  /** Marks everything in transit as lost: the retransmission timer ran out (RFC 6298 §5.4, RFC 8985 §6.3). */
  loseAll(): void {
    for (let index = this.#segments.length - 1; index >= 0; index--) {
      const segment = this.#segments.at(index)
      if (segment !== undefined) this.lose(segment)
    }
  }

  /** Forgets every segment: nothing of them will be acknowledged any more. */
  clear(): void {
    this.acknowledge(Number.POSITIVE_INFINITY)
    this.delivery.clear()
  }

  /** Takes back the loss of what was never sent again: the timer had been too early. */
  restore(): void {
    // Backwards, because nearly all of them were sent before whatever has been sent since.
    for (let segment = this.#lost.last; segment !== undefined; ) {
      const lower: SentSegment | undefined = segment.previous
      if (segment.transmissions === 1) {
        this.#lost.remove(segment)
        this.#inTransit.insert(segment)
        segment.fate = "InTransit"
        this.#bytesInFlight += segment.payload.length
      }
      segment = lower
    }
  }

  /** The segments from that index on have others than before: by so many. */
  #moved(from: number, by: number): void {
    for (let index = from; this.#sacked > 0 && index < this.#segments.length; index++) {
      const segment = this.#segments.at(index)
      if (segment?.fate === "Sacked") segment.runEndIndex += by
    }
  }

  #deliver(segment: SentSegment): void {
    this.delivery.add(segment)
    this.#size.delivered(segment.sentBytes)
    if (segment.fate === "Lost") this.#lost.remove(segment)
    else {
      this.#inTransit.remove(segment)
      this.#bytesInFlight -= segment.payload.length
    }
  }

  /** Index of the first segment that starts at the position or after it. */
  #indexFrom(position: number): number {
    let low = 0
    let high = this.#segments.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const segment = this.#segments.at(middle)
      if (segment !== undefined && segment.start < position) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Lets the runs passed on the way lead straight to where the way ended. */
  #shorten(from: number, end: number): void {
    let index = from
    while (index < end) {
      const segment = this.#segments.at(index)
      if (segment === undefined) return
      const following = segment.runEndIndex - this.#removed
      segment.runEndIndex = end + this.#removed
      index = following
    }
  }
}

/** Sent later, or at the same instant and behind (RFC 8985 §5.2 RACK_sent_after). */
const isSentAfter = (segment: SentSegment, other: SentSegment): boolean =>
  segment.sentAtMs > other.sentAtMs || (segment.sentAtMs === other.sentAtMs && segment.end > other.end)
