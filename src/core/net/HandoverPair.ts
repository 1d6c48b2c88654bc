/**
 * Two ends of a byte stream within one process, like a `DuplexPair`, but a write succeeds only when its reader has done
 * with the bytes, which it shows by reading on: what succeeds has had its effect.
 */
import { type Cause, Deferred, Effect, Queue } from "effect"
import type { Duplex } from "./Duplex.ts"

/** A fresh pair. Writers wait in line; when either side ends, nobody waits any more. */
export const make: Effect.Effect<readonly [Duplex, Duplex]> = Effect.gen(function* () {
  const over = yield* Deferred.make<void>()
  const there = yield* pipe(over)
  const back = yield* pipe(over)
  return [
    { read: back.read, write: there.write, end: there.end },
    { read: there.read, write: back.write, end: back.end }
  ]
})

const pipe = Effect.fnUntraced(function* (over: Deferred.Deferred<void>) {
  const queue = yield* Queue.unbounded<Write, Cause.Done>()
  let current: Write | undefined
  const done = (): void => {
    if (current !== undefined) Deferred.doneUnsafe(current.done, Effect.void)
    current = undefined
  }
  return {
    read: Effect.suspend(() => {
      done()
      return Effect.map(Queue.take(queue), (next) => {
        current = next
        return next.bytes
      })
    }),
    write: (bytes: Uint8Array) =>
      Effect.suspend(() => {
        const write: Write = { bytes: bytes.slice(), done: Deferred.makeUnsafe<void>() }
        // The writers' waiting is the bound: each has one write in here.
        if (!Queue.offerUnsafe(queue, write)) return Effect.void
        return Effect.raceFirst(Deferred.await(write.done), Deferred.await(over))
      }),
    end: Effect.asVoid(Effect.andThen(Queue.end(queue), Deferred.succeed(over, undefined)))
  }
})

interface Write {
  readonly bytes: Uint8Array
  readonly done: Deferred.Deferred<void>
}
