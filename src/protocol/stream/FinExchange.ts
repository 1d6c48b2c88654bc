/**
 * The two FINs of a stream and their timers, without the FIN storm (wire §9.4). Our FIN is repeated until any FIN answers
 * it; the peer's FIN waits for the data before it; a bare FIN is answered by one FIN|ACK, a FIN|ACK by nothing. With a peer
 * that announced half-close (wire §17) an acknowledgement answers a FIN, and the other direction goes on.
 */
import * as RttEstimator from "./RttEstimator.ts"
import type { StreamConfig } from "./StreamConfig.ts"

/** What a passed deadline means: send the FIN (again), stop waiting for data before the peer's FIN, or all is over. */
export type FinExpiry = "None" | "SendFin" | "Unanswered" | "Truncated" | "TimeWaitOver"

/** Both FINs of one stream. Mutable inside the `Closing` that owns it. */
export class FinExchange {
  readonly #config: StreamConfig
  #isFinSent = false
  #finsSent = 0
  #finAtMs = Number.POSITIVE_INFINITY
  #isFinDue = false
  /** Position of the peer's FIN once received, and until when it waits. */
  #peerFinPosition: number | undefined = undefined
  #holdUntilMs = Number.POSITIVE_INFINITY
  #isPeerEnded = false
  #isOneSided = false
  #isFinAnswered = false
  #ownFinAtMs = Number.POSITIVE_INFINITY
  #isAnswerWanted = false
  #isAnswerDue = false
  #answeredAtMs = Number.NEGATIVE_INFINITY
  /** When the first FIN was sent or received. */
  #firstFinAtMs = Number.POSITIVE_INFINITY
  #timeWaitUntilMs = Number.POSITIVE_INFINITY
  #endedAtMs = 0

  constructor(config: StreamConfig) {
    this.#config = config
  }

  /** Our FIN has left at least once. */
  get isFinSent(): boolean {
    return this.#isFinSent
  }

  /** The peer has acknowledged our FIN. */
  get isFinAnswered(): boolean {
    return this.#isFinAnswered
  }

  /** The peer's FIN ended its direction only. */
  get isOneSided(): boolean {
    return this.#isOneSided
  }

  /** Our FIN must leave now. */
  get isFinDue(): boolean {
    return this.#isFinDue
  }

  /** The peer's FIN must be answered now. */
  get isAnswerDue(): boolean {
    return this.#isAnswerDue
  }

  /** Where the peer's data ends, once its FIN has come. */
  get peerFinPosition(): number | undefined {
    return this.#peerFinPosition
  }

  /** The peer's end has been reached, or what lies before it has been given up. */
  get isPeerEnded(): boolean {
    return this.#isPeerEnded
  }

  /** The peer's FIN waits for data before it. */
  get isHolding(): boolean {
    return this.#peerFinPosition !== undefined && !this.#isPeerEnded
  }

  /** The earliest deadline. */
  get deadlineMs(): number {
    return Math.min(this.#finAtMs, this.#holdUntilMs, this.#timeWaitUntilMs)
  }

  /** Our FIN goes out with this drain. */
  sendFin(): void {
    this.#isFinSent = true
    this.#isFinDue = true
  }

  /** Our FIN has left; the next repeat is due after twice the time. */
  finSent(nowMs: number): void {
    this.#isFinDue = false
    const { finRetryMs, path } = this.#config
    const answerMs = path?.rtt.hasSample === true ? RttEstimator.answerTimeoutMs(path.rtt) : 0
    const delayMs = Math.max(finRetryMs, answerMs) * 2 ** Math.min(this.#finsSent, DOUBLINGS_MAX)
    this.#finAtMs = nowMs + Math.min(this.#config.retransmitMaxMs, delayMs)
    this.#finsSent += 1
    this.#ownFinAtMs = Math.min(this.#ownFinAtMs, nowMs)
    this.#firstFinAtMs = Math.min(this.#firstFinAtMs, nowMs)
  }

  /**
   * Data before our FIN is still unacknowledged, so no answer can have come: the data is what is repeated, and the time
   * after which the FIN is given up has not begun.
   */
  postpone(nowMs: number): void {
    if (this.#finAtMs > nowMs) return
    this.#finAtMs = nowMs + this.#config.finRetryMs
    this.#ownFinAtMs = nowMs
  }

  /** Our FIN has been answered, or needs no answer any more. */
  finAnswered(): void {
    this.#isFinAnswered = true
    this.#isFinDue = false
    this.#finAtMs = Number.POSITIVE_INFINITY
  }

  /**
   * A FIN arrived; a bare one wants an answer, a FIN|ACK must never get one and shows that the peer needs none. Only the
   * first one counts: a later one can neither make the stream longer nor change what it ends. A peer that half-closes
   * repairs what is missing before its FIN, and is waited for as long as for any repair.
   */
  finReceived(position: number, isBare: boolean, nowMs: number): void {
    this.#firstFinAtMs = Math.min(this.#firstFinAtMs, nowMs)
    if (this.#peerFinPosition === undefined) {
      this.#peerFinPosition = position
      this.#isOneSided = isBare && this.#config.isHalfClose
      this.#holdUntilMs = nowMs + (this.#isOneSided ? this.#config.giveUpMs : this.#config.finHoldMs)
    }
    // One that ended a direction only is acknowledged like data, until there is nothing left to acknowledge with.
    this.#isAnswerWanted = isBare && (!this.#isOneSided || this.#timeWaitUntilMs < Number.POSITIVE_INFINITY)
  }

  /** The data before the peer's FIN is complete, or not waited for any more. */
  peerEnded(): void {
    this.#isPeerEnded = true
    this.#holdUntilMs = Number.POSITIVE_INFINITY
  }

  /** The peer's FIN ended its direction only, but it was the second: what follows must answer it. */
  wantAnswer(): void {
    this.#isAnswerWanted = true
  }

  /**
   * What was sent before both directions ended came again: the peer has not heard the answer. It has as long as any repair
   * to hear it, where it may have sent its FIN before its data was acknowledged (RFC 9293 §3.10.7.4: restart the time-out).
   */
  repeated(nowMs: number): void {
    this.answer(nowMs)
    if (!this.#isOneSided) return
    const { giveUpMs, retransmitMaxMs, timeWaitMs } = this.#config
    const untilMs = Math.min(nowMs + retransmitMaxMs + timeWaitMs, this.#endedAtMs + giveUpMs)
    this.#timeWaitUntilMs = Math.max(this.#timeWaitUntilMs, untilMs)
  }

  /** Lets one FIN|ACK leave if a bare FIN has come, unless one has just left: copies of a FIN in a burst are one FIN. */
  answer(nowMs: number): void {
    if (!this.#isAnswerWanted) return
    this.#isAnswerWanted = false
    if (nowMs - this.#answeredAtMs < ANSWER_MS_MIN) return
    this.#answeredAtMs = nowMs
    this.#isAnswerDue = true
  }

  /** The FIN|ACK has left. */
  answered(): void {
    this.#isAnswerDue = false
  }

  /** Both directions have ended: what is late gets an answer for `timeWaitMs`. */
  enterTimeWait(nowMs: number): void {
    this.finAnswered()
    this.peerEnded()
    this.answer(nowMs)
    this.#endedAtMs = nowMs
    // Directions that end one by one are answered for from the second end on: the first may be long ago.
    const sinceMs = this.#isOneSided ? nowMs : Math.min(this.#firstFinAtMs, nowMs)
    const untilMs = sinceMs + this.#config.timeWaitMs
    this.#timeWaitUntilMs = Math.max(nowMs + TIME_WAIT_MS_MIN, untilMs)
  }

  /** The stream is gone. */
  clear(): void {
    this.finAnswered()
    this.peerEnded()
    this.#isAnswerDue = false
    this.#timeWaitUntilMs = Number.POSITIVE_INFINITY
  }

  /** The most urgent deadline that has passed. */
  expire(nowMs: number): FinExpiry {
    if (this.#timeWaitUntilMs <= nowMs) return "TimeWaitOver"
    if (this.#holdUntilMs <= nowMs) return "Truncated"
    if (this.#finAtMs > nowMs) return "None"
    this.#finAtMs = Number.POSITIVE_INFINITY
    if (this.#isGivenUp(nowMs)) return "Unanswered"
    this.#isFinDue = true
    return "SendFin"
  }

  /** A FIN that ends one direction only is repeated like data: who reads on must not take silence for an end. */
  #isGivenUp(nowMs: number): boolean {
    if (this.#config.isHalfClose) return nowMs - this.#ownFinAtMs >= this.#config.giveUpMs
    return this.#finsSent > this.#config.finRetriesMax
  }
}

/** The interval has long reached its limit. */
const DOUBLINGS_MAX = 16

/** A FIN that was answered late leaves the other end's repeats to be answered, too. */
const TIME_WAIT_MS_MIN = 1_000
/** Shorter than the first repeat of a FIN, so that each repeat is answered. */
const ANSWER_MS_MIN = 200
