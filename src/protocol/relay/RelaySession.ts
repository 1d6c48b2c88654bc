/**
 * One end of a relay session (mcp §6.2): messages in, frames out, and back, each message exactly once and in order over
 * any number of streams. It numbers, chunks, acknowledges, grants credit and keeps what is not confirmed; which messages
 * and which streams is the owner's business. Both ends are alike.
 *
 * Mutable inside one owner. After any call: send what `nextFrame` gives while it gives something, take what `nextMessage`
 * gives, and wake up at `deadlineMs`. All times are monotonic milliseconds.
 */
import { Result } from "effect"
import { LIMITS_DEFAULT, type Limits } from "./RelayControl.ts"
import { encode, Frame } from "./RelayFrame.ts"
import { RelayInbox } from "./RelayInbox.ts"
import { type Message, ProtocolViolation } from "./RelayMessage.ts"
import { type OutboxStart, type Pending, RelayOutbox } from "./RelayOutbox.ts"

/** Times and bounds of one end. */
export interface Config {
  /** What this end accepts, as it announces it. */
  readonly limits: Limits
  /** From here on `canSend` is false (mcp §6.8). */
  readonly unackedBytesMax: number
  readonly ackDelayMs: number
  /** The same while less than `ackQuietBytes` is unacknowledged, and nothing waits for it but memory. */
  readonly ackDelayQuietMs: number
  readonly ackQuietBytes: number
  readonly ackEveryFrames: number
  readonly pingIntervalMs: number
  /** The interval while somebody waits for an answer: a dead path must not cost a call its whole patience. */
  readonly pingIntervalWaitingMs: number
  readonly pingsMissedMax: number
}

/** The values of mcp §6.2 and §6.8. */
export const CONFIG_DEFAULT: Config = {
  limits: LIMITS_DEFAULT,
  unackedBytesMax: 16_777_216,
  ackDelayMs: 20,
  // Alone, an acknowledgement wakes five processes; most often the next message carries it.
  ackDelayQuietMs: 200,
  ackQuietBytes: 65_536,
  ackEveryFrames: 32,
  pingIntervalMs: 10_000,
  pingIntervalWaitingMs: 3000,
  pingsMissedMax: 3
}

/** Where an end goes on that an earlier life of it has begun, in the same epoch. */
export interface Start {
  /** The last sequence number that was handed over there. */
  readonly rx: number
  readonly outbox: OutboxStart
}

/** The state of one end in one epoch. */
export class RelaySession {
  readonly #config: Config
  readonly #outbox: RelayOutbox
  readonly #inbox: RelayInbox
  #stream: Stream | undefined
  /** Set by the owner while it waits for an answer; the path is then probed more often. */
  isWaiting = false
  /** When the other side was last heard, on any stream. */
  heardAtMs: number | undefined

  constructor(config: Config = CONFIG_DEFAULT, start?: Start) {
    this.#config = config
    this.#outbox = new RelayOutbox(start?.outbox)
    this.#inbox = new RelayInbox(config.limits, start?.rx)
  }

  /** The last sequence number handed over here: `rx` of HELLO, WELCOME and ACK. */
  get rx(): number {
    return this.#inbox.handedOverSeq
  }

  /** A stream carries the session. */
  get isAttached(): boolean {
    return this.#stream !== undefined
  }

  /** The other side has been silent for too long: drop the stream. */
  get isSilent(): boolean {
    return (this.#stream?.pingsUnanswered ?? 0) > this.#config.pingsMissedMax
  }

  /** False while too much is unconfirmed: stop reading from the producer. One message may always exceed the bound. */
  get canSend(): boolean {
    return this.#outbox.unackedBytes < this.#config.unackedBytesMax
  }

  /** Everything accepted by `send` has been confirmed. */
  get isDrained(): boolean {
    return this.#outbox.unackedBytes === 0
  }

  /** True if `attach` would accept the other side's `rx`. */
  canResumeFrom(peerRx: number): boolean {
    return this.#outbox.canRewindTo(peerRx)
  }

  /** A new stream carries the session: what `peerRx` confirms is dropped, the rest is sent again, in order. */
  attach(peerRx: number, peerLimits: Limits, nowMs: number): Result.Result<void, ProtocolViolation> {
    if (!this.#outbox.rewind(peerRx, peerLimits)) return violation("AckBeyondSent")
    this.#stream = { control: [], quietSinceMs: nowMs, pingsUnanswered: 0, pings: 0 }
    this.heardAtMs = nowMs
    // The other side learns at once where this end stands and how much it takes.
    this.#inbox.rewind(nowMs)
    return Result.void
  }

  /** The stream is gone; the session waits for another. */
  detach(): void {
    this.#stream = undefined
  }

  /** Takes a message to send, never empty, and returns its ordinal: 1 for the first. Ask `canSend` first. */
  send(message: Uint8Array, rel?: string): number {
    return this.#outbox.push(message, rel)
  }

  /** Whether all of that message went out on some stream, so that the other side may have it. */
  wasSent(ordinal: number): boolean {
    return ordinal <= this.#outbox.sentOrdinal
  }

  /** Whether the other side has handed that message over. */
  wasHandedOver(ordinal: number): boolean {
    return ordinal <= this.#outbox.handedOverOrdinal
  }

  /** What another life of this end would have to know of the messages sent by it. */
  get outbox(): Pick<RelayOutbox, "position" | "messageAt"> {
    return this.#outbox
  }

  /** Messages of which nothing whole ever went out: another session may send them. */
  get unsent(): ReadonlyArray<Pending> {
    return this.#outbox.unsent
  }

  /** DATA, ACK, PING and PONG; other frames are the owner's and ignored here. */
  receive(frame: Frame, nowMs: number): Result.Result<void, ProtocolViolation> {
    const stream = this.#stream
    if (stream === undefined) return Result.void
    stream.pingsUnanswered = 0
    stream.quietSinceMs = nowMs
    this.heardAtMs = nowMs
    switch (frame._tag) {
      case "Data":
        return this.#inbox.receive(frame, this.#ackAtMs(frame.payload.length, nowMs))
      case "Ack":
        return this.#outbox.ack(frame.rx, frame.credit) ? Result.void : violation("AckBeyondSent")
      case "Ping":
        if (stream.control.length < CONTROL_MAX) stream.control.push(Frame.Pong({ opaque: frame.opaque }))
        return Result.void
      default:
        return Result.void
    }
  }

  /** `nextMessage` has one. */
  get hasMessage(): boolean {
    return this.#inbox.hasNext
  }

  /** The next message received whole, once; messages must be handed over in order. */
  nextMessage(): Message | undefined {
    return this.#inbox.next()
  }

  /** The message was accepted by whoever it is for; this is what ACK confirms. */
  handedOver(message: Message, nowMs: number): void {
    this.#inbox.handedOver(message, this.#ackAtMs(0, nowMs))
  }

  /** `nextFrame` would give one. */
  hasFrame(nowMs: number): boolean {
    const stream = this.#stream
    if (stream === undefined) return false
    return stream.control.length > 0 || this.#outbox.hasNext || this.#inbox.isAckDue(nowMs, this.#config.ackEveryFrames)
  }

  /** The next frame to write to the stream, if any: control frames first, DATA as credit allows. */
  nextFrame(nowMs: number): Uint8Array | undefined {
    const stream = this.#stream
    if (stream === undefined) return undefined
    const control = stream.control.shift()
    if (control !== undefined) return encode(control)
    // An acknowledgement that waits for its delay rides along with data.
    if (
      this.#inbox.isAckDue(nowMs, this.#config.ackEveryFrames) ||
      (this.#inbox.ackAtMs !== undefined && this.#outbox.hasNext)
    ) {
      return encode(this.#inbox.takeAck())
    }
    return this.#outbox.next()
  }

  /** When to call `timeout`, if at all. */
  deadlineMs(): number | undefined {
    const stream = this.#stream
    if (stream === undefined) return undefined
    return Math.min(this.#pingAtMs(stream), this.#inbox.ackAtMs ?? Number.POSITIVE_INFINITY)
  }

  /** The deadline has come: `nextFrame` may have a PING or an ACK. */
  timeout(nowMs: number): void {
    const stream = this.#stream
    if (stream === undefined || nowMs < this.#pingAtMs(stream)) return
    stream.quietSinceMs = nowMs
    stream.pingsUnanswered++
    const opaque = new Uint8Array(8)
    new DataView(opaque.buffer).setUint32(4, stream.pings++)
    if (stream.control.length < CONTROL_MAX) stream.control.push(Frame.Ping({ opaque }))
  }

  #ackAtMs(moreBytes: number, nowMs: number): number {
    const { ackDelayMs, ackDelayQuietMs, ackQuietBytes, limits } = this.#config
    // The other side never waits for credit behind a long delay.
    const quietBytes = Math.min(ackQuietBytes, limits.window / 4)
    const isQuiet = this.#inbox.unacknowledgedBytes + moreBytes < quietBytes
    return nowMs + (isQuiet ? ackDelayQuietMs : ackDelayMs)
  }

  #pingAtMs(stream: Stream): number {
    return stream.quietSinceMs + (this.isWaiting ? this.#config.pingIntervalWaitingMs : this.#config.pingIntervalMs)
  }
}

interface Stream {
  readonly control: Array<Frame>
  /** The later of the last frame received and the last ping sent. */
  quietSinceMs: number
  pingsUnanswered: number
  pings: number
}

const violation = (reason: ProtocolViolation["reason"]): Result.Result<never, ProtocolViolation> =>
  Result.fail(new ProtocolViolation({ reason }))

/** Answers to PING that wait for a stalled stream; more of them say nothing new. */
const CONTROL_MAX = 16
