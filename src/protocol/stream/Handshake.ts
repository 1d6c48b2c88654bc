/**
 * Opening a stream (wire §9.2): one segment of ours, SYN or SYN-ACK, repeated until it is answered: first when the path's
 * round trip says that it should have been, or after a quarter of a second, then ever more rarely, until the dial fails. The path is the tunnel's matter: by the time of
 * a repeat it may be another one.
 */
import type { Segment } from "../wire/Packet.ts"
import type { Lifecycle } from "./Lifecycle.ts"
import type { Liveness } from "./Liveness.ts"
import { fromWire } from "./Position.ts"
import type { Receiver } from "./Receiver.ts"
import * as RttEstimator from "./RttEstimator.ts"
import * as Segments from "./Segments.ts"
import type { Sender } from "./Sender.ts"
import type { StreamConfig } from "./StreamConfig.ts"

/** From the first SYN to the first acknowledgement. Mutable inside the connection that owns it. */
export class Handshake {
  readonly #config: StreamConfig
  readonly #lifecycle: Lifecycle
  readonly #sender: Sender
  readonly #receiver: Receiver
  readonly #liveness: Liveness
  readonly #firstRetryMs: number
  #retryMs: number
  #attempts = 0
  #attemptsMax = 0
  #sentAtMs = 0
  #nextAtMs = Number.POSITIVE_INFINITY
  #failsAtMs = Number.POSITIVE_INFINITY
  #isDue = false
  /** The peer holds something else for these ports: it is told to forget that, once until the timer repeats our SYN. */
  #isChallengeDue = false
  #mayChallenge = true
  #isPassive = false
  /** Where the peer began, on the wire, and when it was first known to have heard of us. */
  #peerSequence = 0
  #openedAtMs = Number.POSITIVE_INFINITY

  constructor(config: StreamConfig, lifecycle: Lifecycle, sender: Sender, receiver: Receiver, liveness: Liveness) {
    this.#config = config
    this.#lifecycle = lifecycle
    this.#sender = sender
    this.#receiver = receiver
    this.#liveness = liveness
    const { rtt } = sender.recovery
    const answerMs = rtt.hasSample ? Math.max(SYN_RETRY_MS_MIN, RttEstimator.answerTimeoutMs(rtt)) : config.synRetryMs
    this.#firstRetryMs = Math.min(config.synRetryMaxMs, answerMs)
    this.#retryMs = this.#firstRetryMs
  }

  /** When to repeat or to fail. */
  get deadlineMs(): number {
    return Math.min(this.#nextAtMs, this.#failsAtMs)
  }

  /** Active open: the SYN leaves with the first drain. */
  dial(nowMs: number): void {
    this.#lifecycle.step("Dial")
    this.#isDue = true
    this.#attemptsMax = Number.POSITIVE_INFINITY
    this.#failsAtMs = nowMs + this.#config.dialTimeoutMs
  }

  /** Passive open. */
  listen(): void {
    this.#lifecycle.step("Listen")
  }

  /**
   * Whether a SYN begins another stream on the ports of this one, because the peer has forgotten this one (RFC 9293 §3.10.7.4
   * would ask first; here the tunnel has proven whose SYN it is). Old peers begin every stream at 0: theirs is taken for a
   * repeat until none can be under way any more.
   */
  isSupersededBy(segment: Segment, nowMs: number): boolean {
    const { state } = this.#lifecycle
    if (!this.#isPassive || state === "listen") return false
    if (state === "closed" || segment.sequence !== this.#peerSequence) return true
    return !this.#config.isPeerSequenceRandom && nowMs - this.#openedAtMs >= SYN_LIFE_MS
  }

  /** A SYN. That of a live stream is answered again by the same SYN-ACK (wire §9.2). */
  receiveSyn(segment: Segment, nowMs: number): void {
    const { state } = this.#lifecycle
    if (state === "listen") {
      this.#lifecycle.step("SynReceived")
      this.#isPassive = true
      this.#peerSequence = segment.sequence
      this.#receiver.buffer.synchronize(segment.sequence + 1)
      this.#sender.window.update(segment.window, segment.sequence, true)
      // A listener has no life before its SYN: keepalive and idle time count from here.
      this.#liveness.heard(nowMs)
      this.#liveness.sent(nowMs)
      this.#attemptsMax = SYN_ACKS_MAX
    } else if (!this.#isPassive) {
      // Whoever is dialled does not dial us from there; it hears where this stream is (RFC 5961 §4.2).
      if (state !== "synSent" && state !== "closed") this.#receiver.requestAck()
      return
    } else if (state !== "synReceived" && state !== "established") return
    this.#isDue = true
  }

  /** A SYN-ACK. */
  receiveSynAck(segment: Segment, nowMs: number): void {
    const { state } = this.#lifecycle
    // Our acknowledgement of it was lost (RFC 9293 §3.10.7.4: acknowledge what is not acceptable).
    if (state === "established") this.#receiver.requestAck()
    if (state !== "synSent") return
    if (segment.acknowledgement !== (this.#sender.start + 1) >>> 0) return this.challenge()
    this.#lifecycle.step("SynAckReceived")
    const start = this.#config.isPeerSequenceFromZero ? 0 : segment.sequence
    this.#receiver.buffer.synchronize(start + 1)
    this.#sender.window.update(segment.window, start, true)
    this.#receiver.requestAck()
    this.#liveness.heard(nowMs)
    this.#complete(nowMs)
  }

  /**
   * While we dial, the peer answers for something else: a stream of before our restart. It is reset, and asked again
   * (RFC 9293 §3.10.7.3).
   */
  challenge(): void {
    if (!this.#mayChallenge) return
    this.#mayChallenge = false
    this.#isChallengeDue = true
    this.#isDue = true
  }

  /** The first acknowledgement of our SYN-ACK. False for any other segment, which means nothing yet. */
  receiveAck(segment: Segment, nowMs: number): boolean {
    const position = fromWire(segment.acknowledgement, this.#sender.start)
    if (position <= this.#sender.start || position > this.#sender.next) return false
    this.#lifecycle.step("AckReceived")
    this.#openedAtMs = nowMs
    this.#complete(nowMs)
    return true
  }

  /** Our segment had to be repeated, and will be again. */
  get isBackedOff(): boolean {
    return this.#attempts > 1 && this.#nextAtMs < Number.POSITIVE_INFINITY
  }

  /** The peer is there after all: a repeat that has been put off again and again is due now. */
  revived(nowMs: number): void {
    if (!this.isBackedOff) return
    this.#retryMs = this.#firstRetryMs
    this.#nextAtMs = nowMs
  }

  /** False when the dial has failed. */
  timeout(nowMs: number): boolean {
    if (this.#failsAtMs <= nowMs) return false
    if (this.#nextAtMs <= nowMs) {
      this.#isDue = true
      this.#mayChallenge = true
      this.#nextAtMs = Number.POSITIVE_INFINITY
    }
    return true
  }

  /** Adds our segment if it must leave now. */
  drain(out: Array<Segment>, nowMs: number): void {
    if (!this.#isDue) return
    this.#isDue = false
    if (this.#isChallengeDue) {
      this.#isChallengeDue = false
      out.push(this.#config.hasResetReasons ? Segments.resetFor("NoConnection") : Segments.reset)
    }
    this.#attempts += 1
    this.#sentAtMs = nowMs
    this.#nextAtMs = this.#attempts < this.#attemptsMax ? nowMs + this.#retryMs : Number.POSITIVE_INFINITY
    this.#retryMs = Math.min(this.#config.synRetryMaxMs, this.#retryMs * 2)
    const window = this.#receiver.windowSegments
    this.#receiver.advertised()
    const { next, start } = this.#sender
    if (this.#lifecycle.state === "synSent") out.push(Segments.syn(start, window))
    else if (next > start) out.push(Segments.synAck(start, this.#receiver.buffer.next, window))
  }

  /** Nothing of it is sent or awaited any more. */
  clear(): void {
    this.#isDue = false
    this.#isChallengeDue = false
    this.#attemptsMax = 0
    this.#nextAtMs = Number.POSITIVE_INFINITY
    this.#failsAtMs = Number.POSITIVE_INFINITY
  }

  /** A round-trip time is measured unless it is ambiguous which transmission was answered (Karn; RFC 6298 §3). */
  #complete(nowMs: number): void {
    this.clear()
    this.#sender.synchronized(this.#attempts === 1 ? nowMs - this.#sentAtMs : undefined, nowMs)
  }
}

/** A peer that is busy is not asked twice for that. */
const SYN_RETRY_MS_MIN = 50
/** A responder repeats its SYN-ACK so often without being asked (RFC 9293 §3.8.3; v1.2/1.3 never does). */
const SYN_ACKS_MAX = 6
/** A copy of a SYN that has been answered is not under way for longer; no path's round trip is. */
export const SYN_LIFE_MS = 5_000
