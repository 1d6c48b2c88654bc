/**
 * The two FINs of a stream and their timers, without the FIN storm (wire §9.4). Our FIN is repeated until any FIN answers
 * it; the peer's FIN waits for the data before it; a bare FIN is answered by one FIN|ACK, a FIN|ACK by nothing.
 */
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
  #isAnswerWanted = false
  #isAnswerDue = false
  #answeredAtMs = Number.NEGATIVE_INFINITY
  /** When the first FIN was sent or received. */
  #firstFinAtMs = Number.POSITIVE_INFINITY
  #timeWaitUntilMs = Number.POSITIVE_INFINITY

  constructor(config: StreamConfig) {
    this.#config = config
  }

  /** Our FIN has left at least once. */
  get isFinSent(): boolean {
    return this.#isFinSent
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
    this.#finAtMs = nowMs + this.#config.finRetryMs * 2 ** this.#finsSent
    this.#finsSent += 1
    this.#firstFinAtMs = Math.min(this.#firstFinAtMs, nowMs)
  }

  /** Our FIN has been answered. */
  finAnswered(): void {
    this.#isFinDue = false
    this.#finAtMs = Number.POSITIVE_INFINITY
  }

  /**
   * A FIN arrived; a bare one wants an answer, a FIN|ACK must never get one and shows that the peer needs none. Only the
   * first one's position counts: a later one cannot make the stream longer.
   */
  finReceived(position: number, isBare: boolean, nowMs: number): void {
    this.#isAnswerWanted = isBare
    this.#firstFinAtMs = Math.min(this.#firstFinAtMs, nowMs)
    if (this.#peerFinPosition !== undefined) return
    this.#peerFinPosition = position
    this.#holdUntilMs = nowMs + this.#config.finHoldMs
  }

  /** The data before the peer's FIN is complete, or not waited for any more. */
  peerEnded(): void {
    this.#isPeerEnded = true
    this.#holdUntilMs = Number.POSITIVE_INFINITY
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

  /** Both directions have ended: what is late gets an answer until `timeWaitMs` after the first FIN. */
  enterTimeWait(nowMs: number): void {
    this.finAnswered()
    this.peerEnded()
    this.answer(nowMs)
    const untilMs = Math.min(this.#firstFinAtMs, nowMs) + this.#config.timeWaitMs
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
    if (this.#finsSent > this.#config.finRetriesMax) return "Unanswered"
    this.#isFinDue = true
    return "SendFin"
  }
}

/** A FIN that was answered late leaves the other end's repeats to be answered, too. */
const TIME_WAIT_MS_MIN = 1_000
/** Shorter than the first repeat of a FIN, so that each repeat is answered. */
const ANSWER_MS_MIN = 200
