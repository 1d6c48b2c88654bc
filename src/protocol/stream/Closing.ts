/**
 * Ending a stream (wire §9.4, §17): by a FIN in each direction, by a reset, or because the peer is given up. It decides when
 * our FIN may leave and when the peer's has been reached; what is still unsent or expected then, it drops.
 *
 * A FIN of a peer that announced half-close ends its direction only, one of any other peer both. Ours is the same segment
 * for both kinds: the answer tells how it was taken, an acknowledgement (the peer may go on) or a FIN (it does not).
 */
import { Flag, type Segment } from "../wire/Packet.ts"
import * as ResetReason from "../wire/ResetReason.ts"
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
  /** The peer's FIN has come, and nothing has told it since that it was heard. */
  #isPeerEndNew = false
  /** Nobody will read what still comes, and until when the peer's end is waited for all the same. */
  #isReaderGone = false
  #orphanUntilMs = Number.POSITIVE_INFINITY
  #resetDue: ResetReason.ResetReason | undefined = undefined

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
    return this.#resetDue !== undefined
  }

  /** Nothing that comes from the peer belongs to its data any more. */
  get isPeerEnded(): boolean {
    return this.#fins.isPeerEnded
  }

  /** When `timeout` and `drain` must look again. */
  get deadlineMs(): number {
    return Math.min(this.#fins.deadlineMs, this.#lingerUntilMs, this.#orphanUntilMs)
  }

  /** Ends our direction: what was written is delivered first, then FIN. A dial in progress is given up. */
  end(nowMs: number): void {
    if (!this.#lifecycle.canWrite) return this.#lifecycle.step("Close")
    const isDialing = this.#lifecycle.state === "synSent"
    this.#lifecycle.step("Close")
    this.#closeAtMs = nowMs
    if (this.#mayAnswerForBoth) return this.#finishBoth(nowMs)
    if (!isDialing) return
    // The peer may have taken the SYN without our knowing; without a reset it would keep its end for minutes.
    this.#resetDue = "Aborted"
    this.#clear()
  }

  /** The same, and nobody reads any more: a peer that goes on sending is told so. */
  close(nowMs: number): void {
    this.#isReaderGone = true
    this.end(nowMs)
    this.#abandon(nowMs)
  }

  /** Ends both directions now; what is unsent is lost. The peer is told by RST if it may still believe in the stream. */
  abort(error: ConnectionFailure, reason: ResetReason.ResetReason): void {
    const { state } = this.#lifecycle
    if (state === "closed" || state === "listen") this.#lifecycle.step("Abort")
    else this.#fail(error, state === "timeWait" ? undefined : reason)
  }

  /** wire §10.7: the peer is silent. Closed with FIN, in case it lives and only its acknowledgements are lost. */
  giveUp(nowMs: number): void {
    // Both have ended, and only the acknowledgement of our FIN is missing: nothing is lost.
    if (this.#isAllTold && this.#fins.isPeerEnded) return this.#finish(nowMs)
    // It is told the truth where it understands it: that this is not the end of our data.
    if (this.#config.hasResetReasons) return this.abort("Timeout", "Timeout")
    this.#lifecycle.fail("Timeout")
    this.#sender.clear()
    this.#lifecycle.step("Close")
    this.#closeAtMs = nowMs
    if (this.#fins.isFinSent) this.#finish(nowMs)
  }

  /** A SYN for a new stream on the same ports (wire §9.2): this one goes without a word. */
  supersede(): void {
    if (this.#lifecycle.state !== "timeWait") return this.#fail("Restarted", undefined)
    this.#lifecycle.step("TimeWaitExpired")
    this.#clear()
  }

  /** A FIN (wire §9.4). */
  receiveFin(segment: Segment, nowMs: number): void {
    const isBare = (segment.flags & Flag.Ack) === 0
    const isTimeWait = this.#lifecycle.state === "timeWait"
    if (!isTimeWait && !this.#lifecycle.isSynchronized) return
    const position = fromWire(segment.sequence, this.#receiver.buffer.next)
    this.#fins.finReceived(position, isBare, nowMs)
    if (isTimeWait) this.#fins.repeated(nowMs)
    // An answer to our own FIN: the peer sends nothing of what may still be missing.
    else if (this.#fins.isFinSent && !(isBare && this.#fins.isOneSided)) this.#finishAt(position, nowMs)
    else if (this.#fins.isPeerEnded) this.#confirmEnd()
    else this.#endIfComplete(nowMs)
  }

  /** An RST. */
  receiveReset(segment: Segment): void {
    const { state } = this.#lifecycle
    if (state === "closed" || state === "listen") return
    // Both directions have ended as they were meant to (wire §9.3: any reset removes the entry).
    if (state === "timeWait") return this.#leave(undefined)
    const reason = this.#config.hasResetReasons ? ResetReason.decode(segment.payload) : undefined
    // It answers something older on the same ports: nothing of this stream but its SYN has left.
    if (state === "synSent" && reason === "NoConnection") return
    if (state === "synSent") return this.#fail("Refused", undefined, reason)
    if (reason !== "NoConnection") return this.#fail("Reset", undefined, reason)
    // The peer has forgotten the stream after its end; only our FIN had not heard of it.
    const isOver = this.#isAllTold && (this.#isReaderGone || this.#fins.isPeerEnded)
    if (isOver) this.#leave(undefined)
    else this.#fail("Restarted", undefined, reason)
  }

  /** The sender has taken in an acknowledgement: it may be that of our FIN. */
  acknowledged(nowMs: number): void {
    if (!this.#fins.isFinSent || this.#fins.isFinAnswered || !this.#sender.isAcknowledged) return
    this.#fins.finAnswered()
    if (!this.#fins.isPeerEnded) this.#abandon(nowMs)
    else if (this.#isPeerEndNew) this.#finishBoth(nowMs)
    else this.#finish(nowMs)
  }

  /** Data that ends at `end`. False if it is not to be taken: it lies behind the peer's own end, or nobody will read it. */
  admits(end: number): boolean {
    if (this.#fins.isOneSided && end > (this.#fins.peerFinPosition ?? end)) {
      this.abort("Violated", "ProtocolError")
      return false
    }
    const isUnwanted = this.#orphanUntilMs < Number.POSITIVE_INFINITY && end > this.#receiver.buffer.next
    if (isUnwanted) this.#leave("Closed")
    return !isUnwanted && !this.#fins.isPeerEnded
  }

  /** Data after both directions have ended: a peer whose FIN followed its data at once has heard of neither. */
  receiveLate(nowMs: number): void {
    if (!this.#fins.isOneSided) return
    this.#fins.wantAnswer()
    this.#fins.repeated(nowMs)
  }

  /** The receiver has taken in data: the peer's FIN may have waited for it. */
  received(nowMs: number): void {
    if (this.#fins.isHolding) this.#endIfComplete(nowMs)
  }

  /** Looks at the timers. */
  timeout(nowMs: number): void {
    if (this.#orphanUntilMs <= nowMs) return this.#leave("Closed")
    if (!this.#sender.isDrained) this.#fins.postpone(nowMs)
    for (let expiry = this.#fins.expire(nowMs); expiry !== "None"; expiry = this.#fins.expire(nowMs)) {
      if (expiry === "Truncated") {
        this.#lifecycle.fail("Truncated")
        this.#endPeer(nowMs)
      } else if (expiry === "Unanswered") this.#unanswered(nowMs)
      else if (expiry === "TimeWaitOver") this.supersede()
    }
  }

  /** Adds what tells the peer of the end, if it must leave now. */
  drain(out: Array<Segment>, nowMs: number): void {
    // It may end in a reset, which must leave with this drain: a stream that is gone has no deadline.
    if (this.#lifecycle.state === "finWait" && !this.#isAllTold) this.#finishSending(nowMs)
    if (this.#resetDue !== undefined) {
      out.push(this.#config.hasResetReasons ? Segments.resetFor(this.#resetDue) : Segments.reset)
      this.#resetDue = undefined
    }
    if (this.#fins.isFinDue) {
      this.#fins.finSent(nowMs)
      out.push(Segments.fin(this.#finPosition))
    }
    this.#isPeerEndNew = false
    if (this.#fins.isAnswerDue) {
      this.#fins.answered()
      out.push(Segments.finAck(this.#sender.next, (this.#fins.peerFinPosition ?? this.#receiver.buffer.next) + 1))
    }
  }

  /**
   * The FIN follows the last data at once where the peer holds it until the data before it has come, and a reset can take it
   * back. It waits for the acknowledgement of everything where not: old peers repair nothing after it (wire §9.4).
   */
  #finishSending(nowMs: number): void {
    if (!this.#sender.isDrained && nowMs >= this.#lingerUntilMs) {
      // A FIN would say that this was all.
      if (this.#config.hasResetReasons) return this.#fail("Timeout", "Timeout")
      this.#lifecycle.fail("Timeout")
      this.#sender.clear()
    }
    if (this.#fins.isFinSent || !(this.#sender.isDrained || this.#mayFollowData)) return
    this.#finPosition = this.#sender.takeFin()
    this.#fins.sendFin()
  }

  get #mayFollowData(): boolean {
    return this.#sender.isSent && this.#config.isHalfClose && this.#config.hasResetReasons
  }

  /** Our FIN has left, and the peer has acknowledged all data before it. */
  get #isAllTold(): boolean {
    return this.#fins.isFinSent && this.#sender.isDrained
  }

  /** While the peer holds back by its window it is its reader who is slow, and no reason to drop anything. */
  get #lingerUntilMs(): number {
    if (this.#isAllTold || this.#sender.isBlocked) return Number.POSITIVE_INFINITY
    return Math.max(this.#closeAtMs, this.#sender.progressAtMs) + this.#config.lingerMs
  }

  /** Our FIN is acknowledged, the peer goes on, and nobody reads it: it has a while to end by itself. */
  #abandon(nowMs: number): void {
    if (!this.#isReaderGone || !this.#fins.isFinAnswered || this.#lifecycle.state !== "finWait") return
    this.#orphanUntilMs = Math.min(this.#orphanUntilMs, nowMs + this.#config.finWaitMs)
  }

  #unanswered(nowMs: number): void {
    const isReaderWaiting = this.#config.isHalfClose && !this.#isReaderGone && !this.#fins.isPeerEnded
    if (isReaderWaiting) this.abort("Timeout", "Timeout")
    else this.#finish(nowMs)
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
    if (!this.#fins.isOneSided) return this.#finish(nowMs)
    this.#receiver.buffer.synchronize(this.#receiver.buffer.next + 1)
    this.#lifecycle.step("FinReceived")
    this.#confirmEnd()
    if (this.#fins.isFinSent && this.#sender.isAcknowledged) this.#finishBoth(nowMs)
  }

  #confirmEnd(): void {
    this.#receiver.requestAck()
    this.#isPeerEndNew = true
  }

  /**
   * The program ends its direction before the peer knows that its FIN was heard, and everything else is told: one FIN|ACK says
   * both, and a peer that misses it repeats its FIN.
   */
  get #mayAnswerForBoth(): boolean {
    return this.#isPeerEndNew && !this.#fins.isFinSent && this.#sender.isDrained && this.#sender.isAcknowledged
  }

  /** Both have ended. In TIME_WAIT nothing is acknowledged any more, so that a FIN|ACK says it. */
  #finishBoth(nowMs: number): void {
    this.#fins.wantAnswer()
    this.#finish(nowMs)
  }

  /** The peer has ended both directions at a position; a reader who misses something before it must hear of that. */
  #finishAt(position: number, nowMs: number): void {
    if (!this.#isReaderGone && !this.#fins.isPeerEnded && this.#receiver.buffer.completeEnd < position)
      this.#lifecycle.fail("Truncated")
    this.#finish(nowMs)
  }

  /** Both directions have ended. */
  #finish(nowMs: number): void {
    this.#lifecycle.step("Finished")
    this.#receiver.buffer.end()
    this.#lifecycle.endRead()
    this.#sender.clear()
    this.#closeAtMs = Number.POSITIVE_INFINITY
    this.#orphanUntilMs = Number.POSITIVE_INFINITY
    this.#fins.enterTimeWait(nowMs)
  }

  #fail(error: ConnectionFailure, resetDue: ResetReason.ResetReason | undefined, peer?: ResetReason.ResetReason): void {
    this.#lifecycle.fail(error, peer)
    this.#leave(resetDue)
  }

  /** The stream is gone. */
  #leave(resetDue: ResetReason.ResetReason | undefined): void {
    this.#resetDue = resetDue
    this.#lifecycle.step("Abort")
    this.#clear()
  }

  #clear(): void {
    this.#handshake.clear()
    this.#sender.clear()
    this.#fins.clear()
    this.#closeAtMs = Number.POSITIVE_INFINITY
    this.#orphanUntilMs = Number.POSITIVE_INFINITY
  }
}
