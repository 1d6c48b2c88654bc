/** Two ends of one byte stream in memory, which can be cut, and which may deliver in pieces. */
import { type Cause, Effect, Queue, Schema } from "effect"
import type { Duplex } from "../../src/core/net/Duplex.ts"

/** The stream was cut; what was on the way is lost. */
export class Cut extends Schema.TaggedError<Cut>()("Cut", {}) {}

/** The two ends, and the way to break them apart. */
export interface DuplexPair {
  readonly left: Duplex<Cut>
  readonly right: Duplex<Cut>
  readonly cut: Effect.Effect<void>
  /** From now on nothing arrives any more, and nobody is told. */
  readonly stall: Effect.Effect<void>
}

/** A fresh pair. Writes longer than `pieceBytes` arrive in several chunks; `capacity` chunks fit in each direction. */
export const make = Effect.fnUntraced(function* (
  options: { readonly pieceBytes?: number; readonly capacity?: number } = {}
): Effect.fn.Return<DuplexPair> {
  const capacity = options.capacity ?? 64
  const path = { isStalled: false }
  const toRight = yield* Queue.bounded<Uint8Array, Cause.Done | Cut>(capacity)
  const toLeft = yield* Queue.bounded<Uint8Array, Cause.Done | Cut>(capacity)
  return {
    left: end(toLeft, toRight, path, options.pieceBytes),
    right: end(toRight, toLeft, path, options.pieceBytes),
    cut: Effect.all([breakOff(toRight), breakOff(toLeft)], { discard: true }),
    stall: Effect.sync(() => {
      path.isStalled = true
    })
  }
})

type Pipe = Queue.Queue<Uint8Array, Cause.Done | Cut>

const breakOff = (pipe: Pipe) => Effect.andThen(Effect.ignore(Queue.clear(pipe)), Queue.fail(pipe, new Cut()))

const end = (
  incoming: Pipe,
  outgoing: Pipe,
  path: { readonly isStalled: boolean },
  pieceBytes = Number.POSITIVE_INFINITY
): Duplex<Cut> => ({
  read: Queue.take(incoming),
  write: (bytes) =>
    Effect.gen(function* () {
      if (path.isStalled) return
      for (let at = 0; at < bytes.length; at += pieceBytes) {
        const taken = yield* Queue.offer(outgoing, bytes.slice(at, at + pieceBytes))
        if (!taken) return yield* new Cut()
      }
    }),
  end: Effect.asVoid(Queue.end(outgoing))
})
