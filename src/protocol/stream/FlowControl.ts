/**
 * The two windows of a stream (wire §10.3). A window counts segments: a slot is one segment whatever its size. Both
 * classes are mutable inside the sender or receiver that owns them.
 */
import { SEGMENT_BYTES_BASE, type StreamConfig } from "./StreamConfig.ts"

/** What a passed probe deadline asks for: an empty ACK, or one segment beyond the window. */
export type Probe = "None" | "Empty" | "Data"

/** What of the configuration this needs. */
export type SendWindowConfig = Pick<StreamConfig, "peerSlotBytes" | "isZeroWindowClosed" | "probeMinMs" | "probeMaxMs">

/** The peer's receive window as the sender sees it, and the probes while it is closed. */
export class SendWindow {
  readonly #config: SendWindowConfig
  #segments = 1
  /** What the peer takes a slot to hold: it divides its room by the largest segment it has seen. */
  #slotBytes = 0
  /** Sequence position of the segment that gave the window, against older ones (RFC 9293 §3.10.7.4 SND.WL1). */
  #setBySequence = Number.NEGATIVE_INFINITY
  #probeAtMs = Number.POSITIVE_INFINITY
  #probes = 0

  constructor(config: SendWindowConfig) {
    this.#config = config
  }

  /** What the peer last advertised, as far as it is believed. */
  get segments(): number {
    return this.#segments
  }

  /** When to probe; `Infinity` while the window holds nothing back. */
  get deadlineMs(): number {
    return this.#probeAtMs
  }

  /**
   * The peer advertised a window in a segment that is not older than the last acknowledgement. A 0 is believed if the
   * peer is known to mean it or if it acknowledges data: otherwise it is the keepalive of v1.2/1.3, which always says 0.
   */
  update(segments: number, sequence: number, isAdvance: boolean): void {
    if (!isAdvance && sequence < this.#setBySequence) return
    if (segments === 0 && !isAdvance && !this.#config.isZeroWindowClosed) return
    this.#setBySequence = sequence
    this.#segments = segments
  }

  /** The peer has shown that it received a segment of this size. */
  measured(bytes: number): void {
    if (bytes > this.#slotBytes) this.#slotBytes = bytes
  }

  /**
   * One more segment fits beside what is unacknowledged, in slots and in bytes (sacked segments take slots, too). A peer
   * whose slots hold what only ours send has room for as many ordinary segments as these bytes make.
   */
  canSend(unackedSegments: number, unackedBytes: number, bytes: number): boolean {
    const windowBytes = this.#segments * Math.max(this.#slotBytes, this.#config.peerSlotBytes)
    const isJumbo = this.#slotBytes > this.#config.peerSlotBytes
    const slots = isJumbo ? Math.max(this.#segments, windowBytes / SEGMENT_BYTES_BASE) : this.#segments
    return unackedSegments < slots && unackedBytes + bytes <= windowBytes
  }

  /** The window, and nothing else, holds data back (or the peer holds it and does not acknowledge it). */
  blocked(nowMs: number): void {
    if (this.#probeAtMs === Number.POSITIVE_INFINITY) this.#probeAtMs = nowMs + this.#intervalMs()
  }

  /** Probes have gone unanswered. */
  get isBackedOff(): boolean {
    return this.#probes > 0
  }

  /** The peer is there after all: a probe that has been put off again and again is due now. */
  revived(nowMs: number): void {
    if (this.#probes === 0) return
    this.#probes = 0
    this.#probeAtMs = nowMs
  }

  /** Sending goes on. */
  unblocked(): void {
    this.#probes = 0
    this.#probeAtMs = Number.POSITIVE_INFINITY
  }

  /**
   * The probe that is due. The first two are empty; v1.2/1.3 never answers those, so that later ones carry a segment
   * (RFC 9293 §3.8.6.1), which every version acknowledges.
   */
  expire(nowMs: number): Probe {
    if (this.#probeAtMs > nowMs) return "None"
    this.#probes += 1
    this.#probeAtMs = nowMs + this.#intervalMs()
    return this.#probes <= EMPTY_PROBES ? "Empty" : "Data"
  }

  #intervalMs(): number {
    return Math.min(this.#config.probeMaxMs, this.#config.probeMinMs * 2 ** Math.min(this.#probes, DOUBLINGS_MAX))
  }
}

/** What we advertise, when to say so unasked, and which probes deserve an answer. */
export class ReceiveWindow {
  #advertised = 0
  #answeredAtMs = Number.NEGATIVE_INFINITY
  #answers = 0

  /** The window of the last segment that carried one. */
  get advertised(): number {
    return this.#advertised
  }

  /** Records what a segment being sent carries. */
  advertise(window: number): void {
    if (window !== this.#advertised) this.#answers = 0
    this.#advertised = window
  }

  /** The peer should hear that the window has reopened (RFC 9293 §3.8.6.2.2, or from 1 to at least 2). */
  isUpdateDue(freeSegments: number, capacitySegments: number): boolean {
    if (this.#advertised === 0 || freeSegments <= this.#advertised) return false
    if (this.#advertised === 1) return freeSegments >= Math.min(2, capacitySegments)
    return freeSegments - this.#advertised >= capacitySegments / 2
  }

  /**
   * An empty ACK that acknowledged nothing new may be a window probe. It is answered if the window was all but closed or
   * has since grown; ever more rarely while nothing changes, so that two waiting ends do not keep answering each other.
   */
  isProbeAnswered(freeSegments: number, nowMs: number): boolean {
    if (this.#advertised > 1 && freeSegments <= this.#advertised) return false
    const intervalMs = Math.min(ANSWER_MS_MAX, ANSWER_MS_MIN * 2 ** Math.min(this.#answers, DOUBLINGS_MAX))
    if (nowMs - this.#answeredAtMs < intervalMs) return false
    this.#answeredAtMs = nowMs
    this.#answers += 1
    return true
  }
}

/** The window to put on the wire: 16 bits, and never 0, which v1.2/1.3 takes for "no limit" (wire §10.3). */
export const advertisable = (freeSegments: number): number => Math.max(1, Math.min(WINDOW_MAX, freeSegments))

const EMPTY_PROBES = 2
const DOUBLINGS_MAX = 16
/** 16 bits on the wire (wire §3). */
const WINDOW_MAX = 0xffff
/** wire §10.3: at most one answer per 200 ms. */
const ANSWER_MS_MIN = 200
/** As rare as the rarest probe (wire §8). */
const ANSWER_MS_MAX = 30_000
