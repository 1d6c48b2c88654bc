/**
 * One end of a relay session at work (mcp §6.2): messages are sent and taken here, and any number of streams carry them,
 * one at a time. It moves bytes, wakes whoever waits and keeps the session's timer; every rule is `RelaySession`'s.
 */
import { Clock, Effect, Result, type Scope } from "effect"
import { DeadlineTimer } from "../../core/actor/DeadlineTimer.ts"
import * as MonotonicTime from "../../core/actor/MonotonicTime.ts"
import * as Provided from "../../core/actor/Provided.ts"
import { Signal } from "../../core/actor/Signal.ts"
import { Timers } from "../../core/actor/Timers.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as TurnWriter from "../../core/net/TurnWriter.ts"
import type { Bye, Limits } from "../../protocol/relay/RelayControl.ts"
import { encode, Frame } from "../../protocol/relay/RelayFrame.ts"
import type { Message } from "../../protocol/relay/RelayMessage.ts"
import { type Config, RelaySession, type Start } from "../../protocol/relay/RelaySession.ts"
import { type FrameStream, StreamLost } from "./FrameStream.ts"

/** A session and the waiting around it. */
export interface RelayEnd {
  readonly session: RelaySession
  /** Accepts a message and gives its ordinal; waits while too much is unconfirmed. */
  readonly send: (message: Uint8Array) => Effect.Effect<number>
  /** Accepts a message without waiting: for what is small, or after `room`. */
  readonly sendNow: (message: Uint8Array) => number
  /** Waits until `send` would not wait. */
  readonly room: Effect.Effect<void>
  /** Waits for the next whole message. It must then be `handedOver`, before the next is. */
  readonly take: Effect.Effect<Message>
  /** Confirms a message. */
  readonly handedOver: (message: Message) => void
  /**
   * Carries the session over one stream until the other side says BYE, or the stream fails. `peerRx` and `peerLimits` are
   * those of the HELLO or WELCOME. The stream itself is not closed.
   */
  readonly carry: (stream: FrameStream, peerRx: number, peerLimits: Limits) => Effect.Effect<Bye, StreamLost>
  /** Says BYE once everything sendable is written; the running `carry` then ends with it. */
  readonly sayGoodbye: (bye: Bye) => void
  /** Waits until the other side has handed over everything sent, on however many streams. */
  readonly drained: Effect.Effect<void>
}

/** An end without a stream; with `start`, one that another process has begun. */
export const make = Effect.fnUntraced(function* (
  config: Config,
  start?: Start
): Effect.fn.Return<RelayEnd, never, Scope.Scope> {
  const session = new RelaySession(config, start)
  const clock = yield* Clock.Clock
  // Whoever waits goes on at once, and not a turn of the event loop later.
  const outgoing = new Signal()
  const incoming = new Signal()
  const room = new Signal()
  const silence = new Signal()
  const now = () => MonotonicTime.nowMsUnsafe(clock)
  let goodbye: Bye | undefined
  const timer = new DeadlineTimer(Timers.of(clock), yield* Provided.services<never>(), () => {
    timer.takeFired()
    session.timeout(now())
    changed()
    outgoing.raise()
    if (session.isSilent) silence.raise()
  })
  yield* Effect.addFinalizer(() => Effect.sync(() => timer.cancel()))

  /** To be called after anything that may have changed what the session wants. */
  const changed = (): void => {
    const deadlineMs = session.deadlineMs()
    if (deadlineMs !== undefined) timer.arm(deadlineMs, false)
    // Waking the writer for nothing would cost more than asking.
    if (outgoing.isAwaited && session.hasFrame(now())) outgoing.raise()
    if (session.canSend) room.raise()
  }

  const sendNow = (message: Uint8Array): number => {
    const ordinal = session.send(message)
    changed()
    return ordinal
  }

  const waitFor = (signal: Signal, isThere: () => boolean): Effect.Effect<void> =>
    Effect.suspend(() =>
      isThere() ? Effect.void : Effect.andThen(signal.waitUnless(isThere), waitFor(signal, isThere))
    )
  const hasRoom = waitFor(room, () => session.canSend)

  const send = (message: Uint8Array): Effect.Effect<number> =>
    Effect.suspend(() => (session.canSend ? Effect.succeed(sendNow(message)) : Effect.andThen(hasRoom, send(message))))

  const take: Effect.Effect<Message> = Effect.suspend(() => {
    const message = session.nextMessage()
    if (message !== undefined) return Effect.succeed(message)
    return Effect.andThen(
      incoming.waitUnless(() => session.hasMessage),
      take
    )
  })

  /** Several small frames in one write, but never more than one chunk's worth beyond the first. */
  const nextWrite = (): Uint8Array | undefined => {
    const frames: Array<Uint8Array> = []
    let sizeBytes = 0
    while (sizeBytes < WRITE_BYTES) {
      const frame = session.nextFrame(now())
      if (frame === undefined) break
      frames.push(frame)
      sizeBytes += frame.length
    }
    const [first] = frames
    return frames.length > 1 ? Bytes.concat(...frames) : first
  }

  const isWanted = () => session.hasFrame(now()) || goodbye !== undefined

  const write = (stream: FrameStream): Effect.Effect<Bye, StreamLost> => {
    const next: Effect.Effect<Bye, StreamLost> = Effect.suspend(() => {
      const bytes = nextWrite()
      if (bytes !== undefined) return Effect.andThen(stream.write(bytes), next)
      if (goodbye !== undefined) return Effect.as(stream.write(encode(Frame.Bye({ bye: goodbye }))), goodbye)
      // What one event causes leaves as one write.
      return Effect.andThen(outgoing.waitUnless(isWanted), Effect.andThen(TurnWriter.endOfTurn, next))
    })
    return next
  }

  /** Not the writer's to notice: on a path that takes nothing any more, it waits. */
  const silent: Effect.Effect<never, StreamLost> = Effect.andThen(
    waitFor(silence, () => session.isSilent),
    Effect.suspend(() => new StreamLost({ reason: "Silent", detail: "no answer to pings" }))
  )

  const read = (stream: FrameStream): Effect.Effect<Bye, StreamLost> => {
    const next: Effect.Effect<Bye, StreamLost> = Effect.flatMap(stream.read, (frames) => {
      for (const frame of frames) {
        if (frame._tag === "Bye") return Effect.succeed(frame.bye)
        const received = session.receive(frame, now())
        if (Result.isFailure(received)) return new StreamLost({ reason: "Violation", detail: received.failure.reason })
      }
      changed()
      incoming.raise()
      return next
    })
    return next
  }

  return {
    session,
    sendNow,
    room: hasRoom,
    send,
    take,
    handedOver: (message) => {
      session.handedOver(message, now())
      changed()
    },
    carry: (stream, peerRx, peerLimits) =>
      Effect.suspend(() => {
        const attached = session.attach(peerRx, peerLimits, now())
        if (Result.isFailure(attached)) {
          return new StreamLost({ reason: "Violation", detail: attached.failure.reason })
        }
        changed()
        return Effect.raceAllFirst([read(stream), write(stream), silent])
      }).pipe(Effect.ensuring(Effect.sync(() => session.detach()))),
    sayGoodbye: (bye) => {
      goodbye = bye
      outgoing.raise()
    },
    drained: waitFor(room, () => session.isDrained)
  }
})

/** Enough for one full chunk per write, so that the stream below sees neither tiny nor huge writes. */
const WRITE_BYTES = 65_536
