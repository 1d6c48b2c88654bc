/**
 * Ending a stream (wire §9.4): by a FIN in each direction, by a reset, or because the peer is given up. It decides when our
 * FIN may leave and when the peer's has been reached; what is still unsent or expected then, it drops.
 */
import { Flag, type Segment } from "../wire/Packet.ts"
import type { ConnectionFailure } from "./ConnectionState.ts"
import { FinExchange } from "./FinExchange.ts"
import type { Handshake } from "./Handshake.ts"
import type { Lifecycle } from "./Lifecycle.ts"
import { fromWire } from "./Position.ts"
import type { Receiver } from "./Receiver.ts"
import * as Segments from "./Segments.ts"
import type { Sender } from "./Sender.ts"
import type { StreamConfig } from "./StreamConfig.ts"

/** Mutable inside the connection that owns it. */
export class Closing {
  readonly #config: StreamConfig
  readonly #lifecycle: Lifecycle
  readonly #handshake: Handshake
  readonly #sender: Sender
  readonly #receiver: Receiver
  readonly #fins: FinExchange
  /** When our direction was ended, while what was written is still being delivered. */
  #closeAtMs = Number.POSITIVE_INFINITY
  #finPosition = 0
  #isResetDue = false

  constructor(config: StreamConfig, lifecycle: Lifecycle, handshake: Handshake, sender: Sender, receiver: Receiver) {
    this.#config = config
    this.#lifecycle = lifecycle
    this.#handshake = handshake
    this.#sender = sender
    this.#receiver = receiver
    this.#fins = new FinExchange(config)
  }

  /** The peer must still be told that the stream is gone. */
  get isResetDue(): boolean {
    return this.#isResetDue
  }

  /** Nothing that comes from the peer belongs to its data any more. */
  get isPeerEnded(): boolean {
    return this.#fins.isPeerEnded
  }

  /** When `timeout` and `drain` must look again. */
  get deadlineMs(): number {
    return Math.min(this.#fins.deadlineMs, this.#lingerUntilMs)
  }

  /** Ends our direction: what was written is delivered first, then FIN. A dial in progress is given up. */
  close(nowMs: number): void {
    if (!this.#lifecycle.canWrite) return this.#lifecycle.step("Close")
    const isDialing = this.#lifecycle.state === "synSent"
    this.#lifecycle.step("Close")
    this.#closeAtMs = nowMs
    if (!isDialing) return
    // The peer may have taken the SYN without our knowing; without a reset it would keep its end for minutes.
    this.#isResetDue = true
    this.#clear()
  }

  /** Ends both directions now; what is unsent is lost. The peer is told by RST if it may still believe in the stream. */
  abort(error: ConnectionFailure): void {
    const { state } = this.#lifecycle
    if (state === "closed" || state === "listen") this.#lifecycle.step("Abort")
    else this.#fail(error, state !== "timeWait")
  }

  /** wire §10.7: the peer is silent. Closed with FIN, in case it lives and only its acknowledgements are lost. */
  giveUp(nowMs: number): void {
    this.#lifecycle.fail("Timeout")
    this.#sender.clear()
    this.#lifecycle.step("Close")
    this.#closeAtMs = nowMs
    if (this.#fins.isFinSent) this.#finish(nowMs)
  }

  /** wire §9.2: a SYN in TIME_WAIT is for a new stream. This one goes at once, so that the next repeat finds the place free. */
  makeWay(): void {
    this.#lifecycle.step("TimeWaitExpired")
    this.#clear()
  }

  /** A FIN (wire §9.4). */
  receiveFin(segment: Segment, nowMs: number): void {
    const isBare = (segment.flags & Flag.Ack) === 0
    const isTimeWait = this.#lifecycle.state === "timeWait"
    if (!isTimeWait && !this.#lifecycle.isSynchronized) return
    const isOneSided = isBare && this.#config.isHalfClose && !isTimeWait
    const position = fromWire(segment.sequence, this.#receiver.buffer.next)
    this.#fins.finReceived(position, isBare && !isOneSided, nowMs)
    if (isTimeWait) this.#fins.answer(nowMs)
    // An answer to our own FIN: the peer sends nothing of what may still be missing.
    else if (!isOneSided && this.#fins.isFinSent) this.#finish(nowMs)
    else if (this.#fins.isPeerEnded) this.#receiver.requestAck()
    else this.#endIfComplete(nowMs)
  }

  /** An RST. */
  receiveReset(): void {
    const { state } = this.#lifecycle
    if (state === "closed" || state === "listen") return
    this.#fail(state === "synSent" ? "Refused" : "Reset", false)
  }

  /** The sender has taken in an acknowledgement: with half-close it may be that of our FIN. */
  acknowledged(nowMs: number): void {
    if (!this.#fins.isFinSent || !this.#config.isHalfClose || !this.#sender.isAcknowledged) return
    this.#fins.finAnswered()
    if (this.#fins.isPeerEnded) this.#finish(nowMs)
  }

  /** The receiver has taken in data: the peer's FIN may have waited for it. */
  received(nowMs: number): void {
    if (this.#fins.isHolding) this.#endIfComplete(nowMs)
  }

  /** Looks at the timers. */
  timeout(nowMs: number): void {
    for (let expiry = this.#fins.expire(nowMs); expiry !== "None"; expiry = this.#fins.expire(nowMs)) {
      if (expiry === "Truncated") {
        this.#lifecycle.fail("Truncated")
        this.#endPeer(nowMs)
      } else if (expiry === "Unanswered") this.#finish(nowMs)
      else if (expiry === "TimeWaitOver") this.makeWay()
    }
  }

  /** Adds what tells the peer of the end, if it must leave now. */
  drain(out: Array<Segment>, nowMs: number): void {
    if (this.#isResetDue) {
      this.#isResetDue = false
      out.push(Segments.reset)
    }
    if (this.#lifecycle.state === "finWait" && !this.#fins.isFinSent) this.#finishSending(nowMs)
    if (this.#fins.isFinDue) {
      this.#fins.finSent(nowMs)
      out.push(Segments.fin(this.#finPosition))
    }
    if (this.#fins.isAnswerDue) {
      this.#fins.answered()
      out.push(Segments.finAck(this.#sender.next, (this.#fins.peerFinPosition ?? this.#receiver.buffer.next) + 1))
    }
  }

  /** The FIN waits until everything is acknowledged, because old peers repair nothing after it (wire §9.4). */
  #finishSending(nowMs: number): void {
    if (!this.#sender.isDrained) {
      if (nowMs < this.#lingerUntilMs) return
      this.#lifecycle.fail("Timeout")
      this.#sender.clear()
    }
    this.#finPosition = this.#config.isHalfClose ? this.#sender.takeFin() : this.#sender.next
    this.#fins.sendFin()
  }

  /** While the peer holds back by its window it is its reader who is slow, and no reason to drop anything. */
  get #lingerUntilMs(): number {
    if (this.#fins.isFinSent || this.#sender.isBlocked) return Number.POSITIVE_INFINITY
    return Math.max(this.#closeAtMs, this.#sender.progressAtMs) + this.#config.lingerMs
  }

  #endIfComplete(nowMs: number): void {
    const end = this.#fins.peerFinPosition ?? Number.POSITIVE_INFINITY
    if (this.#receiver.buffer.completeEnd >= end) this.#endPeer(nowMs)
    else this.#receiver.requestAck()
  }

  /** The peer's data has ended; without half-close so has the stream. */
  #endPeer(nowMs: number): void {
    this.#receiver.buffer.end()
    this.#fins.peerEnded()
    this.#lifecycle.endRead()
    if (!this.#config.isHalfClose) return this.#finish(nowMs)
    this.#receiver.buffer.synchronize(this.#receiver.buffer.next + 1)
    this.#receiver.requestAck()
    this.#lifecycle.step("FinReceived")
    if (this.#fins.isFinSent && this.#sender.isAcknowledged) this.#finish(nowMs)
  }

  /** Both directions have ended. */
  #finish(nowMs: number): void {
    this.#lifecycle.step("Finished")
    this.#receiver.buffer.end()
    this.#lifecycle.endRead()
    this.#sender.clear()
    this.#closeAtMs = Number.POSITIVE_INFINITY
    this.#fins.enterTimeWait(nowMs)
  }

  #fail(error: ConnectionFailure, isResetDue: boolean): void {
    this.#lifecycle.fail(error)
    this.#isResetDue = isResetDue
    this.#lifecycle.step("Abort")
    this.#clear()
  }

  #clear(): void {
    this.#handshake.clear()
    this.#sender.clear()
    this.#fins.clear()
    this.#closeAtMs = Number.POSITIVE_INFINITY
  }
}
