/**
 * Messages to peers over a stream each that stays open for a while (node §4.2): frames follow each other without waiting, and
 * the acknowledgements come in their order. So a message costs no dial, and those of one turn share a datagram here and their
 * syncs there. A peer of the reference answers in order as well, one frame after the other.
 *
 * A stream of a peer has one message under way until the first acknowledgement has come, then up to `UNDER_WAY_MAX`; it is
 * ended when for `IDLE` nothing was under way that anybody waits for. A message is never sent twice: when the stream breaks,
 * what was not acknowledged fails as `Lost`. What is larger than `SIZE_BYTES_MAX` goes by a stream of its own, so that small
 * ones do not wait for it.
 */
import { Cause, Deferred, Effect, Exit, Option, Queue, Scope, Semaphore } from "effect"
import type { Duplex } from "../../../core/net/Duplex.ts"
import * as DataFrame from "../../../protocol/wire/DataFrame.ts"
import * as FrameLink from "../FrameLink.ts"
import * as SendMessage from "./SendMessage.ts"
import { make as failure, type TransferError } from "./TransferError.ts"

/** The streams of one sender. */
export interface MessageStreams<E> {
  /** The peer's acknowledgement; none when it closed without one. */
  readonly send: (
    target: string,
    kind: number,
    payload: Uint8Array,
    timeoutMs: number
  ) => Effect.Effect<string | undefined, E | TransferError>
}

/** Opens a stream to port 1001 of a peer; it closes with the scope, after what was written has arrived. */
export type DialTo<E> = (target: string) => Effect.Effect<Duplex<unknown>, E, Scope.Scope>

/** No streams yet; the surrounding scope ends them all. */
export const make = Effect.fnUntraced(function* <E>(
  dial: DialTo<E>
): Effect.fn.Return<MessageStreams<E>, never, Scope.Scope> {
  const scope = yield* Effect.scope
  // Each is a stream of its own, of which a peer takes only so many.
  const alone = yield* Semaphore.make(ALONE_MAX)
  const open = new Map<string, Deferred.Deferred<Line, E>>()

  const opened = (target: string): Effect.Effect<Line, E> =>
    Effect.suspend(() => {
      const known = open.get(target)
      if (known !== undefined) return Deferred.await(known)
      const line = Deferred.makeUnsafe<Line, E>()
      const forget = () => {
        if (open.get(target) === line) open.delete(target)
      }
      if (open.size >= STREAMS_MAX) open.delete(open.keys().next().value!)
      open.set(target, line)
      // In a fiber of its own: whoever asked first may leave.
      const opening = Effect.tap(Effect.exit(start(scope, dial(target), forget)), (exit) => {
        if (Exit.isFailure(exit)) forget()
        return Deferred.done(line, exit)
      })
      return Effect.andThen(Effect.forkIn(opening, scope), Deferred.await(line))
    })

  const send: MessageStreams<E>["send"] = (target, kind, payload, timeoutMs) =>
    payload.length > SIZE_BYTES_MAX
      ? alone.withPermit(
          Effect.scoped(Effect.flatMap(dial(target), (duplex) => SendMessage.send(duplex, kind, payload, timeoutMs)))
        )
      : Effect.flatMap(opened(target), (line) => {
          const sent = line.room.withPermit(
            Effect.suspend(
              (): Effect.Effect<string | undefined | typeof UNSENT, TransferError> =>
                line.isOver ? Effect.succeed(UNSENT) : underWay(line, DataFrame.encode(kind, payload), timeoutMs)
            )
          )
          return Effect.flatMap(sent, (answer) =>
            answer === UNSENT ? send(target, kind, payload, timeoutMs) : Effect.succeed(answer)
          )
        })
  return { send }
})

/** One stream. Mutable, touched by its own fibers and whoever sends. */
interface Line {
  readonly room: Semaphore.Semaphore
  readonly frames: Queue.Queue<Uint8Array>
  /** Whose acknowledgement comes next, first; of whoever has left it is done. */
  readonly waiting: Array<Answer>
  /** Takes no more: nobody uses it from now on. */
  readonly retire: () => void
  isOver: boolean
}

type Answer = Deferred.Deferred<string | undefined, TransferError>

/** Puts the frame in its place and waits for the answer to it; a sender that leaves takes nothing back. */
const underWay = (
  line: Line,
  frame: Uint8Array,
  timeoutMs: number
): Effect.Effect<string | undefined, TransferError> => {
  const answer: Answer = Deferred.makeUnsafe()
  line.waiting.push(answer)
  Queue.offerUnsafe(line.frames, frame)
  const left = Effect.sync(() => void Deferred.doneUnsafe(answer, Exit.fail(LOST)))
  return Effect.timeoutOrElse(Deferred.await(answer), {
    duration: timeoutMs,
    orElse: () => {
      // Whoever comes next must not wait behind this one.
      line.retire()
      return failure("Timeout", `no acknowledgement within ${timeoutMs / 1000} s`)
    }
  }).pipe(Effect.ensuring(left))
}

const start = Effect.fnUntraced(function* <E>(
  parent: Scope.Scope,
  dialling: Effect.Effect<Duplex<unknown>, E, Scope.Scope>,
  forget: () => void
): Effect.fn.Return<Line, E> {
  const own = yield* Scope.fork(parent)
  const duplex = yield* Effect.onError(Scope.provide(dialling, own), () => Scope.close(own, Exit.void))
  const line: Line = {
    room: yield* Semaphore.make(1),
    frames: yield* Queue.unbounded<Uint8Array>(),
    waiting: [],
    isOver: false,
    retire: () => {
      line.isOver = true
      forget()
    }
  }
  const link = FrameLink.make(duplex)
  const writing = Effect.forever(Effect.flatMap(Queue.take(line.frames), link.write), { disableYield: true })
  const over = Effect.raceFirst(
    Effect.catch(writing, () => Effect.never),
    reading(line, link)
  )
  yield* Effect.forkIn(Effect.ensuring(over, Scope.close(own, Exit.void)), parent)
  return line
})

/** Gives each acknowledgement to whom it is for, until the stream ends or has been idle. */
const reading = <E>(line: Line, link: FrameLink.FrameLink<E>): Effect.Effect<void> =>
  Effect.gen(function* () {
    let isProven = false
    while (true) {
      const frame = yield* Effect.timeoutOption(Effect.result(link.read), IDLE)
      if (Option.isNone(frame)) {
        if (line.waiting.some((answer) => !Deferred.isDoneUnsafe(answer))) continue
        break
      }
      if (frame.value._tag === "Failure") {
        line.retire()
        const [first, ...others] = line.waiting
        // A peer that closes instead of answering its first message is old, and has it.
        const isSilent = !isProven && Cause.isDone(frame.value.failure)
        if (first !== undefined) yield* isSilent ? Deferred.succeed(first, undefined) : Deferred.fail(first, LOST)
        for (const answer of others) yield* Deferred.fail(answer, LOST)
        return
      }
      const answer = line.waiting.shift()
      // An answer to nothing: this peer speaks something else.
      if (answer === undefined) break
      yield* Deferred.done(answer, yield* Effect.exit(SendMessage.told(frame.value.success)))
      if (!isProven) yield* line.room.release(UNDER_WAY_MAX - 1)
      isProven = true
    }
    line.retire()
    yield* link.end
  })

const UNSENT: unique symbol = Symbol("unsent")
const LOST = failure("Lost", "the connection to the peer was lost before it acknowledged")
/** As many as the peer stores side by side. */
const UNDER_WAY_MAX = 32
/** Peers with an open stream; the longest known is left to itself. */
const STREAMS_MAX = 256
/** Large messages under way at once; more wait. */
const ALONE_MAX = 32
const SIZE_BYTES_MAX = 64 << 10
/** Shorter than a peer takes to restart, since what is sent on a stream that it has forgotten is lost. */
const IDLE = "5 seconds"
