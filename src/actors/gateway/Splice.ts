/** Two byte streams joined: what comes from one goes to the other, ends included. */
import { Cause, Effect } from "effect"
import type { Duplex } from "../../core/net/Duplex.ts"

/** A stream, and the way to drop it so that its other side sees no regular end. */
export interface Joint {
  readonly stream: Duplex<Failure>
  readonly drop: Effect.Effect<void>
}

/** Whatever a stream fails with. */
export interface Failure {
  readonly message: string
}

/** What went through, in both directions. */
export interface Count {
  bytes: number
}

/**
 * Runs until both directions have ended. The end of one direction is passed on and leaves the other open (half-close); a
 * failure of either, and an interruption, drops both.
 */
export const run = (a: Joint, b: Joint, count: Count): Effect.Effect<void> => {
  const drop = Effect.andThen(a.drop, b.drop)
  return Effect.all([pump(a.stream, b.stream, count), pump(b.stream, a.stream, count)], {
    concurrency: 2,
    discard: true
  }).pipe(
    Effect.catch(() => drop),
    Effect.onInterrupt(() => drop)
  )
}

/** The same stream, its bytes counted. */
export const counted = <E>(stream: Duplex<E>, count: Count): Duplex<E> => ({
  read: Effect.map(stream.read, (chunk) => {
    count.bytes += chunk.length
    return chunk
  }),
  write: (bytes) => {
    count.bytes += bytes.length
    return stream.write(bytes)
  },
  end: stream.end
})

/** Waits for the writer before the next read, so that a slow reader slows its own sender and nobody else. */
const pump = <E>(from: Duplex<E>, to: Duplex<E>, count: Count): Effect.Effect<void, E> =>
  Effect.catch(
    Effect.forever(
      Effect.flatMap(from.read, (chunk) => {
        count.bytes += chunk.length
        return to.write(chunk)
      }),
      // It waits for its streams by itself; a turn of the event loop for each chunk would only cost.
      { disableYield: true }
    ),
    (error) => (Cause.isDone(error) ? to.end : Effect.fail(error))
  )
