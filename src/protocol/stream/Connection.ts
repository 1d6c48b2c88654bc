/**
 * One reliable stream (wire §9, §10): segments and calls in, segments and the next deadline out. It composes the halves
 * (`Sender`, `Receiver`) with opening (`Handshake`), ending (`Closing`) and `Liveness`, and computes nothing itself.
 *
 * The owner calls `receive`, `write`, `read`, `close`, `timeout`, and after each batch of such calls `drain`, whose
 * segments it sends; then it sleeps until `deadlineMs`. Nothing is promised to happen before the drain. Mutable inside one
 * owner: the packet path allocates one object per segment and no closure.
 */
import { Flag, type Segment } from "../wire/Packet.ts"
import type { ResetReason } from "../wire/ResetReason.ts"
import { Closing } from "./Closing.ts"
import type * as ConnectionState from "./ConnectionState.ts"
import * as ConnectionStats from "./ConnectionStats.ts"
import { Handshake } from "./Handshake.ts"
import { Lifecycle } from "./Lifecycle.ts"
import { Liveness } from "./Liveness.ts"
import { fromWire } from "./Position.ts"
import { Receiver } from "./Receiver.ts"
import * as Segments from "./Segments.ts"
import { Sender } from "./Sender.ts"
import type { StreamConfig } from "./StreamConfig.ts"
import * as StreamSample from "./StreamSample.ts"

/** A stream of our own choosing (`dialing`) or a peer's (`listening`). */
export class Connection {
  readonly #config: StreamConfig
  readonly #lifecycle = new Lifecycle()
  readonly #sender: Sender
  readonly #receiver: Receiver
  readonly #liveness: Liveness
  readonly #handshake: Handshake
  readonly #closing: Closing
  #observer: StreamSample.Observer | undefined = undefined

  private constructor(config: StreamConfig, initialSequence: number, nowMs: number) {
    this.#config = config
    this.#sender = new Sender(config, initialSequence >>> 0)
    this.#receiver = new Receiver(config)
    this.#liveness = new Liveness(config.keepaliveMs, config.idleMs, nowMs)
    this.#handshake = new Handshake(config, this.#lifecycle, this.#sender, this.#receiver, this.#liveness)
    this.#closing = new Closing(config, this.#lifecycle, this.#handshake, this.#sender, this.#receiver)
  }

  /** Active open; the SYN is in the first drain. For `initialSequence` see `initialSequence`. */
  static dialing(config: StreamConfig, initialSequence: number, nowMs: number): Connection {
    const self = new Connection(config, initialSequence, nowMs)
    self.#handshake.dial(nowMs)
    return self
  }

  /** Passive open; hand it the SYN by `receive`. */
  static listening(config: StreamConfig, initialSequence: number): Connection {
    const self = new Connection(config, initialSequence, 0)
    self.#handshake.listen()
    return self
  }

  /** Where the stream is. */
  get state(): ConnectionState.ConnectionState {
    return this.#lifecycle.state
  }

  /** Why it failed; `undefined` while it lives and after an ordinary end. */
  get error(): ConnectionState.ConnectionFailure | undefined {
    return this.#lifecycle.error
  }

  /** What the peer gave as the reason of its reset, if it did. */
  get peerReason(): ResetReason | undefined {
    return this.#lifecycle.peerReason
  }

  /** Nothing is left to send, to answer or to wait for. What has been received can still be read. */
  get isClosed(): boolean {
    return this.#lifecycle.state === "closed" && !this.#closing.isResetDue
  }

  /** Bytes that `read` can give now. */
  get readableBytes(): number {
    return this.#receiver.buffer.readableBytes
  }

  /** The peer's data has ended, as it meant it: what `read` still gives is the rest. Never true of a stream that failed. */
  get isReadEnded(): boolean {
    return this.#lifecycle.isReadEnded
  }

  /** Bytes that `write` would take now. */
  get writableBytes(): number {
    return this.#lifecycle.canWrite ? this.#sender.writableBytes : 0
  }

  /** When to call `timeout`, then `drain`; `Infinity` when nothing is due. */
  get deadlineMs(): number {
    const { state } = this.#lifecycle
    if (state === "closed" || state === "listen") return Number.POSITIVE_INFINITY
    if (state === "timeWait") return this.#closing.deadlineMs
    if (state === "synSent") return this.#handshake.deadlineMs
    return Math.min(
      this.#handshake.deadlineMs,
      this.#sender.deadlineMs,
      this.#receiver.deadlineMs,
      this.#closing.deadlineMs,
      this.#liveness.deadlineMs
    )
  }

  /** Turns Nagle off, or on. What it holds leaves with the next drain then. */
  setNoDelay(isOn: boolean): void {
    this.#sender.isPrompt = isOn
  }

  /** Takes the size of segments found to vanish on the path while smaller ones arrive, payload bytes; 0 if none do. */
  takeVanished(): number {
    return this.#sender.size.takeVanished()
  }

  /** Everything a status shows. */
  get stats(): ConnectionStats.ConnectionStats {
    return ConnectionStats.make(this.#lifecycle.state, this.#sender, this.#receiver)
  }

  /** Whether this SYN begins another stream on the same ports; `receive` then ends this one, and the owner starts that one. */
  isSupersededBy(syn: Segment, nowMs: number): boolean {
    return this.#handshake.isSupersededBy(syn, nowMs)
  }

  /** Gives samples of the sender to the observer from now on; `undefined` ends that. */
  observe(observer: StreamSample.Observer | undefined): void {
    this.#observer = observer
  }

  /** One segment of this stream arrived. Its payload is kept, not copied. What a state does not expect is ignored. */
  receive(segment: Segment, nowMs: number): void {
    const { flags } = segment
    if ((flags & Flag.Syn) !== 0) {
      if ((flags & Flag.Ack) !== 0) this.#handshake.receiveSynAck(segment, nowMs)
      else if (this.isSupersededBy(segment, nowMs)) this.#closing.supersede()
      else this.#handshake.receiveSyn(segment, nowMs)
    } else if ((flags & Flag.Fin) !== 0) this.#closing.receiveFin(segment, nowMs)
    else if ((flags & Flag.Rst) !== 0) this.#closing.receiveReset(segment)
    else if ((flags & Flag.Ack) !== 0) this.#receiveAck(segment, nowMs)
  }

  /** Time has passed. Harmless before the deadline. */
  timeout(nowMs: number): void {
    const { state } = this.#lifecycle
    if (state === "closed" || state === "listen") return
    if (!this.#handshake.timeout(nowMs)) return this.#closing.abort("Timeout", "Timeout")
    this.#closing.timeout(nowMs)
    if (!this.#lifecycle.isSynchronized) return
    if (!this.#sender.timeout(nowMs)) return this.#closing.abort("Timeout", "Timeout")
    if (this.#liveness.isIdle(nowMs)) {
      this.#liveness.heard(nowMs)
      this.#closing.giveUp(nowMs)
    } else if (this.#liveness.isKeepaliveDue(nowMs)) this.#receiver.requestAck()
  }

  /** A timer has run out in vain and been put off: `revived` may help. */
  get isBackedOff(): boolean {
    return this.#handshake.isBackedOff || this.#sender.recovery.timeouts > 0 || this.#sender.window.isBackedOff
  }

  /**
   * The peer was heard from, by anything authenticated, after a silence in which timers have backed off; or the path has
   * changed. What waits for such a timer is sent with the next drain. Not to be called while the peer is heard all the time:
   * then the path loses, and backing off is right (RFC 6298 §5.5).
   */
  revived(nowMs: number): void {
    this.#handshake.revived(nowMs)
    this.#sender.recovery.revived(nowMs)
    this.#sender.window.revived(nowMs)
    this.timeout(nowMs)
  }

  /** Copies bytes into the send buffer and returns how many fitted; 0 once the stream takes no more. */
  write(bytes: Uint8Array, nowMs: number): number {
    return this.#lifecycle.canWrite ? this.#sender.write(bytes, nowMs) : 0
  }

  /**
   * Ends our direction: what was written is delivered first, then FIN. A dial in progress is given up. Reading goes on if
   * the peer announced half-close; any other peer ends its direction, too. Idempotent.
   */
  end(nowMs: number): void {
    this.#closing.end(nowMs)
  }

  /** `end`, and nobody will read any more: a peer that still sends, or does not end for `finWaitMs`, is reset. Idempotent. */
  close(nowMs: number): void {
    this.#closing.close(nowMs)
  }

  /** Ends both directions now; what is unsent is lost, and the peer is told by RST. Idempotent. */
  reset(reason: ResetReason = "Aborted"): void {
    this.#closing.abort("Aborted", reason)
  }

  /** The peer may have forgotten the stream: an acknowledgement makes it say so, if it announced that it does. */
  challenge(): void {
    if (this.#lifecycle.isSynchronized) this.#receiver.requestAck()
  }

  /** The peer has forgotten the stream: it fails at once, without a word to a peer that would not understand it. */
  peerRestarted(): void {
    if (this.#lifecycle.isSynchronized || this.#lifecycle.state === "timeWait") this.#closing.supersede()
  }

  /** Its owner lets it go: what is still unread no longer counts against the node's budget. */
  release(): void {
    this.#receiver.buffer.release()
  }

  /** The next delivered segment's bytes, unsplit and unmerged; `undefined` if none waits. Opens the window. */
  read(): Uint8Array | undefined {
    return this.#receiver.read()
  }

  /** What to send now, in order. */
  drain(nowMs: number): ReadonlyArray<Segment> {
    const out: Array<Segment> = []
    this.#handshake.drain(out, nowMs)
    if (this.#lifecycle.isSynchronized) this.#drainData(out, nowMs)
    this.#closing.drain(out, nowMs)
    if (out.length > 0) this.#liveness.sent(nowMs)
    if (this.#observer !== undefined && this.#lifecycle.isSynchronized)
      this.#observer(StreamSample.make(this.#sender, nowMs))
    return out
  }

  #drainData(out: Array<Segment>, nowMs: number): void {
    const before = out.length
    const { windowSegments } = this.#receiver
    const isLast = this.#lifecycle.state === "finWait"
    const hasSent = this.#sender.transmit(out, this.#receiver.buffer.next, windowSegments, isLast, nowMs)
    if (out.length > before) this.#receiver.piggybacked()
    this.#receiver.acknowledge(out, this.#sender.next, nowMs)
    if (hasSent) this.#liveness.sentData(nowMs)
  }

  #receiveAck(segment: Segment, nowMs: number): void {
    if (this.#lifecycle.state === "synSent" && this.#isForeign(segment)) return this.#handshake.challenge()
    if (this.#lifecycle.state === "timeWait" && segment.payload.length > 0) this.#closing.receiveLate(nowMs)
    if (!this.#lifecycle.isSynchronized) return
    const isOpening = this.#lifecycle.state === "synReceived"
    if (isOpening && !this.#handshake.receiveAck(segment, nowMs)) return
    this.#liveness.heard(nowMs)
    const blocks = Segments.blocksOf(segment.payload)
    const position = fromWire(segment.sequence, this.#receiver.buffer.next)
    const outcome = this.#sender.acknowledge(segment, position, blocks, nowMs)
    this.#closing.acknowledged(nowMs)
    if (blocks.length > 0) return
    if (segment.payload.length === 0) {
      if (outcome === "Unchanged" && !isOpening) this.#receiver.probed(nowMs)
    } else if (this.#closing.admits(position + segment.payload.length)) {
      this.#receiver.receive(position, segment.payload, nowMs)
      this.#closing.received(nowMs)
    }
  }

  /** An acknowledgement of what a dial never sent; only a peer that announced resets in answer to it takes ours well. */
  #isForeign({ acknowledgement }: Segment): boolean {
    return this.#config.hasResetReasons && acknowledgement !== (this.#sender.start + 1) >>> 0
  }
}

/**
 * An initial sequence number from 32 random bits. The lower half of the circle only: v1.2/1.3 ignores an acknowledgement
 * that is exactly 0, which a stream starting there does not meet within its first two gigabytes (wire §9.2).
 */
export const initialSequence = (random: number): number => random & 0x7fffffff
