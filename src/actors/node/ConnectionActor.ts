/**
 * One stream of one peer as a supervised fiber.
 *
 * Owns a `Connection` (the state machine of wire §8–10) with its retransmission and delayed-acknowledgement timer, and
 * the handle its user holds. Told by its `TunnelActor` of arriving segments, one message per batch; tells it what to
 * send, one message per turn. Mailbox full: the newest segments are dropped, as a full queue in the network would.
 * Never restarted: half a stream is worth nothing, so a defect resets it.
 */
import { Cause, Clock, Data, Deferred, Effect, type Scope } from "effect"
import * as Actor from "../../core/actor/Actor.ts"
import type { ActorRef } from "../../core/actor/ActorRef.ts"
import type { Behaviour, Handlers } from "../../core/actor/Behaviour.ts"
import * as MonotonicTime from "../../core/actor/MonotonicTime.ts"
import { Signal } from "../../core/actor/Signal.ts"
import type { Connection as StreamConnection } from "../../protocol/stream/Connection.ts"
import * as ConnectionState from "../../protocol/stream/ConnectionState.ts"
import type { Address, Port } from "../../protocol/wire/Address.ts"
import type { Segment } from "../../protocol/wire/Packet.ts"
import * as ConnectionHandle from "./ConnectionHandle.ts"
import { type Connection, ConnectionReset, type ConnectionStatus } from "./Node.ts"
import * as StreamErrors from "./StreamErrors.ts"

/** What a connection may be told. */
export type Message = Data.TaggedEnum<{
  /** Arrived, in order of arrival. */
  Segments: { readonly segments: ReadonlyArray<Segment> }
  /** Its user wrote or read: there may be something to send. */
  Touched: {}
  /** Nothing more will be written or read. */
  Close: {}
  Reset: { readonly reason: ConnectionReset["reason"] }
  /** The peer was heard from after a silence, or the path changed (`Connection.revived`). */
  Revived: {}
  /** The peer has begun a new life: it knows nothing of this stream, and is told nothing. */
  PeerRestarted: {}
}>
/** Constructors of `Message`. */
export const Message = Data.taggedEnum<Message>()

/** Why an opening connection never opened. */
export type OpenFailure = "Refused" | "NoListener" | "NotTrusted" | "Overloaded" | "Timeout" | "Reset"

/** A running connection, as its `TunnelActor` and its user see it. */
export interface Running {
  readonly ref: ActorRef<Message>
  readonly handle: Connection
  /** Completes when the handshake did, fails when it never will. */
  readonly established: Effect.Effect<void, OpenFailure>
  /** Whoever waits for the handshake does so no longer: it fails with `Timeout`, unless it is complete. */
  readonly giveUp: () => void
  readonly status: () => ConnectionStatus
  /** It waits for a peer that has not answered. */
  readonly isBackedOff: () => boolean
  /** It ended otherwise than by its end. */
  readonly failed: () => boolean
  /** It failed because nothing was heard from the peer any more. */
  readonly timedOut: () => boolean
  /** A SYN on its ports that begins another stream, because the peer has forgotten this one. */
  readonly isSupersededBy: (syn: Segment) => boolean
}

/** Where a connection belongs and whom it tells. */
export interface Options {
  readonly id: number
  readonly localPort: Port
  readonly remote: Address
  readonly remotePort: Port
  readonly connection: StreamConnection
  /** Hands segments to the tunnel; called at most once per turn. */
  readonly transmit: (segments: ReadonlyArray<Segment>) => void
  /** Segments of this size vanish on the way while smaller ones arrive. */
  readonly vanished: (segmentBytes: number) => void
  /** It no longer counts towards limits: only TIME_WAIT is left, or nothing (wire §9.5). */
  readonly resting: () => void
  /** The state machine has nothing left to do; the owner stops the actor. */
  readonly gone: () => void
}

/** Starts the actor in the surrounding scope, which is the tunnel's: a user who goes away leaves it to linger. */
export const spawn = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<Running, never, Scope.Scope> {
  const live = new Live(options, yield* Clock.Clock)
  yield* Actor.spawn(live)
  return live
})

/**
 * The state shared by the actor and the handle it gave out; both run on one thread, between two turns of the loop. One
 * object is all of it, behaviour and handlers included, because a node may have ten thousand.
 */
class Live
  implements Running, Behaviour<Message, never, never>, Handlers<Message, never, never>, ConnectionHandle.Stream
{
  readonly mailbox = MAILBOX
  readonly restart = "never"
  readonly handle: Connection
  /** Known from the start of the actor on, which is before anybody else sees this. */
  ref!: ActorRef<Message>
  readonly #opening = Deferred.makeUnsafe<void, OpenFailure>()
  readonly readable = new Signal()
  readonly writable = new Signal()
  readonly closed = new Signal()
  readonly #options: Options
  readonly #clock: Clock.Clock
  #touched = false
  /** Set before the actor hears of it, so that nothing is written after the end, nor read after the close. */
  #isEnding = false
  #isClosing = false
  #opened = false
  #rests = false
  #gone = false
  #resetReason: ConnectionReset["reason"] | undefined

  constructor(options: Options, clock: Clock.Clock) {
    this.#options = options
    this.#clock = clock
    this.handle = new ConnectionHandle.ConnectionHandle(this, options)
  }

  // What the actor does ----------------------------------------------------------------------------------------------

  get name(): string {
    return `connection/${this.#options.id}`
  }

  start(self: ActorRef<Message>): Effect.Effect<Handlers<Message, never, never>> {
    this.ref = self
    return Effect.succeed(this)
  }

  onExit(): Effect.Effect<void> {
    return Effect.sync(() => this.#stopped())
  }

  afterBatch(): void {
    this.#flush()
  }

  deadlineMs(): number {
    return this.#options.connection.deadlineMs
  }

  timerFired(): void {
    this.#options.connection.timeout(this.#nowMs())
  }

  receive(message: Message): void {
    const { connection } = this.#options
    const nowMs = this.#nowMs()
    switch (message._tag) {
      case "Segments":
        for (const segment of message.segments) connection.receive(segment, nowMs)
        return
      case "Touched":
        return
      case "Close":
        return connection.close(nowMs)
      case "Reset":
        this.#resetReason ??= message.reason
        connection.reset(StreamErrors.resetReason(message.reason))
        return
      case "Revived":
        connection.revived(nowMs)
        return
      case "PeerRestarted":
        connection.peerRestarted()
    }
  }

  /**
   * Wakes whoever waits for what changed, then sends what is due: the acknowledgement of what came leaves with the answer of
   * a program that gives it at once.
   */
  #flush(): void {
    const { connection } = this.#options
    // What is written and read meanwhile is sent below.
    this.#touched = true
    if (!this.#opened) this.#noticeOpening()
    this.#wake()
    this.#touched = false
    const segments = connection.drain(this.#nowMs())
    if (segments.length > 0) this.#options.transmit(segments)
    const vanishedBytes = connection.takeVanished()
    if (vanishedBytes > 0) this.#options.vanished(vanishedBytes)
    if (!this.#rests && (connection.state === "timeWait" || connection.isClosed)) {
      this.#rests = true
      this.#options.resting()
    }
    if (connection.isClosed && !this.#gone) {
      this.#gone = true
      this.#options.gone()
      this.closed.raise()
    }
    this.#wake()
  }

  #wake(): void {
    if (this.readable.isAwaited && this.isReadable) this.readable.raise()
    if (this.writable.isAwaited && this.isWritable) this.writable.raise()
  }

  /** The actor ended, in whatever way: nobody may wait for it any longer. */
  #stopped(): void {
    if (!this.#rests) this.#options.resting()
    this.#gone = true
    const { error, isClosed } = this.#options.connection
    if (error === undefined && !isClosed) this.#resetReason ??= "NodeStopped"
    this.#options.connection.release()
    Deferred.doneUnsafe(this.#opening, Effect.fail("Reset" as const))
    this.closed.raise()
    this.readable.raise()
    this.writable.raise()
  }

  // What its owner sees ----------------------------------------------------------------------------------------------

  get established(): Effect.Effect<void, OpenFailure> {
    return Deferred.await(this.#opening)
  }

  giveUp(): void {
    Deferred.doneUnsafe(this.#opening, Effect.fail("Timeout" as const))
  }

  status(): ConnectionStatus {
    const { connection, id, localPort, remote, remotePort } = this.#options
    return { id, localPort, remote, remotePort, ...connection.stats }
  }

  isBackedOff(): boolean {
    return this.#options.connection.isBackedOff
  }

  failed(): boolean {
    return this.#options.connection.error !== undefined
  }

  timedOut(): boolean {
    return this.#options.connection.error === "Timeout"
  }

  isSupersededBy(syn: Segment): boolean {
    return this.#options.connection.isSupersededBy(syn, this.#nowMs())
  }

  // What its user does -----------------------------------------------------------------------------------------------

  read(): Uint8Array | Effect.Effect<never, ConnectionReset | Cause.Done> | undefined {
    const { connection } = this.#options
    const chunk = connection.read()
    if (chunk !== undefined) {
      this.#touch()
      return chunk
    }
    // A clean end stays an end, whatever became of the connection afterwards.
    if (connection.isReadEnded || this.#isClosing) return Cause.done()
    return this.isOver ? this.failure() : undefined
  }

  get isReadable(): boolean {
    const { connection } = this.#options
    return connection.readableBytes > 0 || connection.isReadEnded || this.#isClosing || this.isOver
  }

  write(bytes: Uint8Array): number {
    const accepted = this.#options.connection.write(bytes, this.#nowMs())
    if (accepted > 0) this.#touch()
    return accepted
  }

  writeSome(bytes: Uint8Array): number {
    return this.canWrite ? this.write(bytes) : 0
  }

  setNoDelay(isOn: boolean): void {
    this.#options.connection.setNoDelay(isOn)
    this.#touch()
  }

  end(): void {
    this.#isEnding = true
    this.#options.connection.end(this.#nowMs())
    this.#touch()
  }

  close(): void {
    this.#isEnding = true
    this.#isClosing = true
    this.#options.connection.close(this.#nowMs())
    this.#touch()
    this.readable.raise()
  }

  reset(): void {
    this.ref.tellUnsafe(Message.Reset({ reason: "LocalAbort" }))
  }

  get canWrite(): boolean {
    return !this.#isEnding && !this.isOver && ConnectionState.canWrite(this.#options.connection.state)
  }

  get isWritable(): boolean {
    return this.#options.connection.writableBytes > 0 || !this.canWrite
  }

  get isGone(): boolean {
    return this.#gone
  }

  get isOver(): boolean {
    return this.#gone || this.failed() || this.#options.connection.isClosed
  }

  failure(): Effect.Effect<never, ConnectionReset> {
    const { error, peerReason } = this.#options.connection
    return Effect.fail(new ConnectionReset({ reason: this.#resetReason ?? StreamErrors.resetCause(error, peerReason) }))
  }

  /** One message per turn however often the user reads and writes in it, so that small writes travel together. */
  #touch(): void {
    if (this.#touched) return
    this.#touched = true
    this.ref.tellUnsafe(TOUCHED)
  }

  #noticeOpening(): void {
    const { connection } = this.#options
    if (connection.error !== undefined) {
      this.#opened = true
      Deferred.doneUnsafe(this.#opening, Effect.fail(openFailure(connection)))
    } else if (connection.state !== "synSent") {
      this.#opened = true
      Deferred.doneUnsafe(this.#opening, Effect.void)
    }
  }

  #nowMs(): number {
    return MonotonicTime.nowMsUnsafe(this.#clock)
  }
}

const openFailure = ({ error, peerReason }: StreamConnection): OpenFailure => {
  if (error !== "Refused") return error === "Timeout" ? "Timeout" : "Reset"
  if (peerReason === "ResourceLimit") return "Overloaded"
  return peerReason === "NoListener" || peerReason === "NotTrusted" ? peerReason : "Refused"
}

/** Batches of segments; a batch is what one loop turn brought. */
const MAILBOX_CAPACITY = 1024
const MAILBOX = { capacity: MAILBOX_CAPACITY, overflow: "dropNewest" } as const
const TOUCHED = Message.Touched()
