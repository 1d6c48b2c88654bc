/**
 * The answers of one stream of data exchange, in the order of what they answer, however long each takes (node §4.2). So
 * messages that come one behind the other can be stored together.
 */
import { Deferred, Effect, Queue, type Scope } from "effect"

/** The queue in front of a stream's writer. */
export interface ExchangeReplies {
  /** Writes what the effect gives, when all before it are written. Waits while too many do. */
  readonly add: (reply: Effect.Effect<Uint8Array>) => Effect.Effect<void>
  /** Returns when everything added so far is written. */
  readonly flushed: Effect.Effect<void>
}

/** Writes in the surrounding scope; a stream that cannot be written is noticed by whoever reads it. */
export const make = Effect.fnUntraced(function* <E>(
  write: (bytes: Uint8Array) => Effect.Effect<void, E>
): Effect.fn.Return<ExchangeReplies, never, Scope.Scope> {
  const queue = yield* Queue.bounded<Next>(REPLIES_MAX)
  const one = Effect.flatMap(Queue.take(queue), (next) =>
    "written" in next ? Deferred.succeed(next.written, undefined) : Effect.ignore(Effect.flatMap(next.reply, write))
  )
  yield* Effect.forkScoped(Effect.forever(one, { disableYield: true }))
  return {
    add: (reply) => Effect.asVoid(Queue.offer(queue, { reply })),
    flushed: Effect.gen(function* () {
      const written = yield* Deferred.make<void>()
      yield* Queue.offer(queue, { written })
      yield* Deferred.await(written)
    })
  }
})

/** Something to write, or somebody who waits until it is. */
type Next = { readonly reply: Effect.Effect<Uint8Array> } | { readonly written: Deferred.Deferred<void> }

/** Frames of one stream that are being stored at once. */
export const REPLIES_MAX = 32
