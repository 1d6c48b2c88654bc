/**
 * Puts together what is written to a stream within one turn of the event loop, and while an earlier write is on its way:
 * a hundred short messages cost one system call, and the busier the stream, the more of them share it.
 */
import { Deferred, Effect, Exit, Latch, type Scope } from "effect"
import { Signal } from "../actor/Signal.ts"
import * as Bytes from "../data/Bytes.ts"

/** The writing half of a stream. */
export interface TurnWriter<E> {
  /** Takes the bytes whole and in order; waits only while much is unwritten. Fails once an earlier write has failed. */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, E>
  /** Waits until everything taken is written, or can never be. */
  readonly flushed: Effect.Effect<void>
  /** Fails as the first failed write did. */
  readonly broken: Effect.Effect<never, E>
}

/** Writes with `write` until the end of the scope; what is unwritten then is given a moment. */
export const make = Effect.fnUntraced(function* <E>(
  write: (bytes: Uint8Array) => Effect.Effect<unknown, E>
): Effect.fn.Return<TurnWriter<E>, never, Scope.Scope> {
  const hasBytes = new Signal()
  const hasRoom = Latch.makeUnsafe(true)
  const isEmpty = Latch.makeUnsafe(true)
  const broken = Deferred.makeUnsafe<never, E>()
  let waiting: Array<Uint8Array> = []
  let sizeBytes = 0
  let failure: Exit.Exit<never, E> | undefined

  const next = (): Uint8Array => {
    let count = 0
    let batchBytes = 0
    while (count < waiting.length && batchBytes < BATCH_BYTES) batchBytes += waiting[count++]?.length ?? 0
    const batch = count === waiting.length ? waiting : waiting.slice(0, count)
    waiting = count === waiting.length ? [] : waiting.slice(count)
    sizeBytes -= batchBytes
    if (sizeBytes < ROOM_BYTES) hasRoom.openUnsafe()
    const [first] = batch
    return first !== undefined && batch.length === 1 ? first : Bytes.concat(...batch)
  }

  const writeAll: Effect.Effect<never, E> = Effect.suspend(() => {
    if (waiting.length > 0) return Effect.andThen(write(next()), writeAll)
    isEmpty.openUnsafe()
    const begun = hasBytes.waitUnless(() => waiting.length > 0)
    return Effect.andThen(begun, Effect.andThen(endOfTurn, writeAll))
  })

  const flushed = isEmpty.await
  yield* Effect.forkScoped(
    Effect.onExit(writeAll, (exit) =>
      Effect.sync(() => {
        failure = exit
        waiting = []
        sizeBytes = 0
        for (const latch of [hasRoom, isEmpty]) latch.openUnsafe()
        if (!Exit.hasInterrupts(exit)) Deferred.doneUnsafe(broken, exit)
      })
    ),
    { startImmediately: true }
  )
  // Runs before the fiber is interrupted.
  yield* Effect.addFinalizer(() => Effect.timeoutOption(flushed, FLUSH_TIMEOUT))

  const put = (bytes: Uint8Array): Effect.Effect<void, E> =>
    Effect.suspend(() => {
      if (failure !== undefined) return failure
      if (sizeBytes >= ROOM_BYTES) return Effect.andThen(hasRoom.await, put(bytes))
      waiting.push(bytes)
      sizeBytes += bytes.length
      if (sizeBytes >= ROOM_BYTES) hasRoom.closeUnsafe()
      isEmpty.closeUnsafe()
      hasBytes.raise()
      return Effect.void
    })
  return { write: put, flushed, broken: Deferred.await(broken) }
})

/**
 * Completes when what runs now has run as far as it gets: whoever writes as the consequence of one event has then written
 * everything. By the scheduler, so that it holds in virtual time, too; after an event of a socket it costs no further turn.
 */
export const endOfTurn: Effect.Effect<void> = Effect.yieldNow

/** Unwritten bytes above which a writer waits; one write may always exceed it. */
const ROOM_BYTES = 262_144
/** Short writes are joined to about this; longer ones leave uncopied. */
const BATCH_BYTES = 65_536
/** At the end of the scope. */
const FLUSH_TIMEOUT = "1 second"
