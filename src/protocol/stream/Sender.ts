/**
 * The sending half of a stream: what to send now, what to send again, and when to look next. It composes the send buffer,
 * the scoreboard, recovery, the peer's window and pacing, and is finished when nothing is unsent nor unacknowledged.
 */
import type { Segment } from "../wire/Packet.ts"
import * as SackBlocks from "../wire/SackBlocks.ts"
import { SendWindow } from "./FlowControl.ts"
import type { Expiry } from "./LossDetector.ts"
import { Pacer } from "./Pacer.ts"
import { fromWire } from "./Position.ts"
import { type Progress, Recovery } from "./Recovery.ts"
import * as Recut from "./Recut.ts"
import { SackScoreboard } from "./SackScoreboard.ts"
import { SegmentSize } from "./SegmentSize.ts"
import * as Segments from "./Segments.ts"
import { SendBuffer } from "./SendBuffer.ts"
import type { SentSegment } from "./SentSegment.ts"
import { SEGMENT_BYTES_BASE, type StreamConfig } from "./StreamConfig.ts"

/** Advanced: data was acknowledged. Invalid: it acknowledges what was never sent. */
export type AckOutcome = "Advanced" | "Unchanged" | "Invalid"

/** Mutable inside the connection that owns it. */
export class Sender {
  /** A short segment leaves at once even while earlier bytes are unacknowledged: Nagle is off. */
  isPrompt: boolean
  readonly window: SendWindow
  readonly #config: StreamConfig
  readonly #buffer: SendBuffer
  readonly size: SegmentSize
  readonly #board: SackScoreboard
  readonly recovery: Recovery
  readonly #pacer: Pacer
  readonly #start: number
  #next: number
  #unacked: number
  #probe: "None" | "Tail" | "Empty" | "Data" = "None"
  #pacedUntilMs = Number.POSITIVE_INFINITY
  /** The congestion window, or pacing, and nothing else keeps data from leaving. */
  #isHeldBack = false
  #nagleUntilMs = Number.POSITIVE_INFINITY
  #progressAtMs = 0
  #duplicates = 0
  readonly stats = { bytes: 0, segments: 0, retransmits: 0, duplicateAcks: 0, sackReceived: 0 }

  constructor(config: StreamConfig, initialSequence: number) {
    this.#config = config
    this.isPrompt = config.noDelay
    this.size = new SegmentSize(config)
    this.#board = new SackScoreboard(this.size)
    this.#buffer = new SendBuffer(config.segmentBytesMax)
    this.recovery = new Recovery(config, this.#board, initialSequence)
    this.#pacer = new Pacer(config.segmentBytesMax)
    this.window = new SendWindow(config)
    this.#start = initialSequence
    this.#unacked = initialSequence
    this.#next = initialSequence + 1
  }

  /** Position of the SYN. */
  get start(): number {
    return this.#start
  }

  /** Position of the next new byte. */
  get next(): number {
    return this.#next
  }

  /** Nothing is unsent and nothing unacknowledged. */
  get isDrained(): boolean {
    return this.#buffer.length === 0 && this.#board.segments === 0
  }

  /** Everything written has been sent at least once. */
  get isSent(): boolean {
    return this.#buffer.length === 0
  }

  /** When data was last acknowledged, or first sent after a pause. */
  get progressAtMs(): number {
    return this.#progressAtMs
  }

  /** Bytes that `write` would take. */
  get writableBytes(): number {
    return Math.max(0, this.#config.sendBufferBytesMax - this.#buffer.length - this.#board.bytes)
  }

  /** Bytes believed to be on their way. */
  get bytesInFlight(): number {
    return this.#board.bytesInFlight
  }

  /** Segments sent and not cumulatively acknowledged. */
  get unackedSegments(): number {
    return this.#board.segments
  }

  /** The peer's window holds everything back, so that only probes will tell. */
  get isBlocked(): boolean {
    return this.window.deadlineMs !== Number.POSITIVE_INFINITY
  }

  /** When `timeout` and `transmit` must look again. */
  get deadlineMs(): number {
    return Math.min(this.recovery.deadlineMs, this.window.deadlineMs, this.#pacedUntilMs, this.#nagleUntilMs)
  }

  /** Takes as many bytes as there is room for. */
  write(bytes: Uint8Array, nowMs: number): number {
    const accepted = Math.min(bytes.length, this.writableBytes)
    this.#buffer.append(accepted === bytes.length ? bytes : bytes.subarray(0, accepted), nowMs)
    return accepted
  }

  /** The peer has acknowledged the SYN. `rttMs` is undefined if it was repeated (RFC 6298 §3). */
  synchronized(rttMs: number | undefined, nowMs: number): void {
    this.#unacked = this.#start + 1
    this.#progressAtMs = nowMs
    if (rttMs !== undefined) this.recovery.sample(rttMs, nowMs)
  }

  /**
   * Takes in the acknowledgement of one segment (wire §10.4), which itself stands at `at` in the peer's stream. `blocks`
   * are those of its payload if that is SACK.
   */
  acknowledge(segment: Segment, at: number, blocks: ReadonlyArray<SackBlocks.SackBlock>, nowMs: number): AckOutcome {
    const position = fromWire(segment.acknowledgement, this.#unacked)
    if (position > this.#next) return "Invalid"
    const isAdvance = position > this.#unacked
    const bytesInFlightBefore = this.#board.bytesInFlight
    const windowBefore = this.window.segments
    this.recovery.acknowledging(nowMs)
    if (isAdvance) this.#advance(position)
    if (blocks.length > 0) this.#sack(blocks)
    if (position >= this.#unacked) this.window.update(segment.window, at, isAdvance)
    if (position === this.#unacked && !isAdvance) this.#countDuplicate(segment, blocks.length > 0, windowBefore, nowMs)
    this.window.measured(this.#board.delivery.largestBytes)
    if (isAdvance || this.#board.delivery.bytes > 0) {
      this.#progressAtMs = nowMs
      this.recovery.progress(this.#progress(bytesInFlightBefore, blocks.length === SackBlocks.BLOCKS_MAX), nowMs)
      this.size.judge(this.#board.hasInTransit(this.size.fallbackBytes))
    }
    return isAdvance ? "Advanced" : "Unchanged"
  }

  /** Looks at the timers. False when the peer must be given up (`giveUpMs` without progress). */
  timeout(nowMs: number): boolean {
    const isHopeless = nowMs - this.#progressAtMs >= this.#config.giveUpMs
    for (let expiry = this.#expire(nowMs); expiry !== "None"; expiry = this.#expire(nowMs)) {
      if (expiry === "Timeout" && isHopeless) return false
      if (expiry === "Probe") this.#probe = "Tail"
    }
    const probe = this.window.expire(nowMs)
    if (probe !== "None") this.#probe = probe
    return true
  }

  /**
   * Adds what may be sent now, each segment with the acknowledgement and window given. `isLast` says that no more will
   * be written, so that a short segment need not wait. Returns whether data went, a probe of the window apart: a peer that
   * answers none must not look alive.
   */
  transmit(out: Array<Segment>, acknowledgement: number, window: number, isLast: boolean, nowMs: number): boolean {
    this.#pacedUntilMs = Number.POSITIVE_INFINITY
    this.#nagleUntilMs = Number.POSITIVE_INFINITY
    this.#isHeldBack = false
    if (this.isDrained) {
      this.recovery.idle()
      this.window.unblocked()
      this.#probe = "None"
      return false
    }
    const { congestion, rtt } = this.recovery
    // The path may have changed.
    for (const part of [this.#buffer, this.#pacer, this.recovery]) part.resize(this.size.bytesMax)
    this.recovery.resuming(nowMs)
    this.#pacer.refill(congestion.pacingBytesPerMs(rtt.smoothedRttMs), nowMs)
    const before = out.length
    const probes = this.#probe === "Data" ? 1 : 0
    let segment = this.#nextSegment(isLast, nowMs)
    while (segment !== undefined) {
      out.push(Segments.ack(segment.start, acknowledgement, window, segment.payload))
      segment = this.#nextSegment(isLast, nowMs)
    }
    const hasSent = out.length > before
    if (!this.#isHeldBack) this.recovery.idle()
    if (hasSent) this.recovery.arm(false, nowMs)
    this.#watchWindow(nowMs)
    if (this.#probe === "Empty") out.push(Segments.ack(this.#next, acknowledgement, window, Segments.EMPTY))
    this.#probe = "None"
    return out.length > before + probes
  }

  /** Our FIN takes the position behind the data (RFC 9293 §3.4); returns where it stands. */
  takeFin(): number {
    this.#next += 1
    return this.#next - 1
  }

  /** Everything up to `next` is acknowledged, a FIN that took a position included. */
  get isAcknowledged(): boolean {
    return this.#unacked === this.#next
  }

  /** Nothing more will be sent or awaited. */
  clear(): void {
    this.#buffer.clear()
    this.#board.clear()
    this.window.unblocked()
    this.#pacedUntilMs = Number.POSITIVE_INFINITY
    this.#nagleUntilMs = Number.POSITIVE_INFINITY
    this.recovery.arm(true, 0)
    this.#unacked = this.#next
  }

  #advance(position: number): void {
    this.#unacked = position
    this.#duplicates = 0
    this.#board.acknowledge(position)
  }

  #sack(blocks: ReadonlyArray<SackBlocks.SackBlock>): void {
    this.stats.sackReceived += 1
    for (const block of blocks) {
      const left = fromWire(block.left, this.#unacked)
      const right = fromWire(block.right, this.#unacked)
      if (left < right && right <= this.#next && right > this.#unacked) this.#board.sack(left, right)
    }
  }

  /** RFC 5681 §2 "duplicate": counted for every peer, and believed where no SACK says more. */
  #countDuplicate(segment: Segment, isSack: boolean, windowBefore: number, nowMs: number): void {
    const isEmpty = segment.payload.length === 0
    if (this.#board.segments === 0 || (!isEmpty && !isSack)) return
    if (isEmpty && segment.window !== windowBefore) return
    this.stats.duplicateAcks += 1
    if (!isEmpty) return
    this.#duplicates += 1
    if (this.#duplicates !== DUPLICATES || this.#board.sackedSegments > 0) return
    this.recovery.duplicated(this.#progress(this.#board.bytesInFlight, false), nowMs)
  }

  #progress(bytesInFlightBefore: number, isSackFull: boolean): Progress {
    return { bytesInFlightBefore, unacked: this.#unacked, next: this.#next, isSackFull }
  }

  #expire(nowMs: number): Expiry {
    return this.recovery.expire(this.#progress(this.#board.bytesInFlight, false), nowMs)
  }

  /** The next segment to leave now, already recorded as sent. */
  #nextSegment(isLast: boolean, nowMs: number): SentSegment | undefined {
    const probe = this.#probe
    if (probe === "Tail" || probe === "Data") {
      this.#probe = "None"
      return probe === "Tail" ? this.#tailProbe(isLast, nowMs) : this.#windowProbe(nowMs)
    }
    const lost = this.#board.firstLost
    if (lost !== undefined) {
      if (this.#config.isRecut) Recut.fit(this.#board, lost, this.#repairBytes)
      const mayLeave = this.recovery.takeRepair() || this.#mayFly(lost.payload.length)
      return mayLeave ? this.#resend(lost, nowMs) : undefined
    }
    const length = this.#buffer.nextLength
    if (length === 0 || !this.#isWorthSending(isLast, nowMs)) return undefined
    if (!this.window.canSend(this.#board.segments, this.#board.bytes, length)) return undefined
    return this.#mayFly(length) ? this.#sendNew(nowMs) : undefined
  }

  /** Nagle (RFC 9293 §3.7.4; wire §10.1): a short segment waits while anything is unacknowledged, but not for long. */
  #isWorthSending(isLast: boolean, nowMs: number): boolean {
    if (isLast || this.isPrompt || this.#board.segments === 0 || this.#buffer.isNextFull) return true
    const untilMs = this.#buffer.waitingSinceMs + this.#config.nagleDelayMs
    if (untilMs <= nowMs) return true
    this.#nagleUntilMs = untilMs
    return false
  }

  #mayFly(bytes: number): boolean {
    const inFlight = this.#board.bytesInFlight
    const hasRoom = inFlight + bytes <= this.recovery.congestion.congestionWindow
    const fits = inFlight === 0 || (hasRoom && this.#board.inTransitSegments < this.recovery.segmentsMax)
    if (fits && this.#pacer.isOpen) return true
    this.#isHeldBack = true
    this.recovery.limited(this.#next)
    if (fits) this.#pacedUntilMs = this.#pacer.openAtMs
    return false
  }

  #sendNew(nowMs: number, bytesMax = Number.POSITIVE_INFINITY): SentSegment | undefined {
    const payload = this.#buffer.take(bytesMax)
    if (payload === undefined) return undefined
    if (this.#board.segments === 0) this.#progressAtMs = nowMs
    const segment = this.#board.sent(this.#next, payload, nowMs)
    this.#next += payload.length
    this.#count(segment, nowMs)
    return segment
  }

  #resend(segment: SentSegment, nowMs: number): SentSegment {
    if (this.#config.isRecut) Recut.fit(this.#board, segment, this.#repairBytes)
    this.#board.resent(segment, nowMs)
    this.stats.retransmits += 1
    this.#count(segment, nowMs)
    return segment
  }

  /** The most of a segment that is sent again at once; old peers need all of it. */
  get #repairBytes(): number {
    return this.#config.isRecut ? this.size.repairBytes(this.recovery.timeouts) : Number.POSITIVE_INFINITY
  }

  #count(segment: SentSegment, nowMs: number): void {
    this.recovery.sent(segment, nowMs)
    this.#pacer.sent(segment.payload.length)
    this.stats.bytes += segment.payload.length
    this.stats.segments += 1
  }

  /** RFC 8985 §7.3: new data if there is room, else the last segment again. Cut, if it may be: its size may be what is wrong. */
  #tailProbe(isLast: boolean, nowMs: number): SentSegment | undefined {
    const bytesMax = this.#config.isRecut ? SEGMENT_BYTES_BASE : Number.POSITIVE_INFINITY
    const length = Math.min(this.#buffer.nextLength, bytesMax)
    const canSend = length > 0 && this.window.canSend(this.#board.segments, this.#board.bytes, length)
    if (canSend && this.#isWorthSending(isLast, nowMs)) return this.#sendNew(nowMs, bytesMax)
    const last = this.#config.isRecut ? Recut.tail(this.#board, SEGMENT_BYTES_BASE) : this.#board.highestMissing
    return last === undefined ? undefined : this.#resend(last, nowMs)
  }

  /** What the peer holds is offered again in case it has dropped it (RFC 2018 §8); else one segment beyond the window. */
  #windowProbe(nowMs: number): SentSegment | undefined {
    const first = this.#board.first
    return first === undefined ? this.#sendNew(nowMs) : this.#resend(first, nowMs)
  }

  /** Probes run exactly while nothing else would make the peer answer. */
  #watchWindow(nowMs: number): void {
    const isQuiet = this.#board.inTransitSegments === 0 && this.#board.lostSegments === 0
    const isHeldBack = this.#board.segments > 0 || !this.window.canSend(0, 0, this.#buffer.nextLength)
    if (isQuiet && isHeldBack) this.window.blocked(nowMs)
    else this.window.unblocked()
  }
}

/** RFC 5681 §3.2. */
const DUPLICATES = 3
