/** Two ends of a byte stream within one process: what is written at one is read at the other. */
import { type Cause, Effect, Queue } from "effect"
import type { Duplex } from "./Duplex.ts"

/** A fresh pair. A bounded number of writes fits in each direction, so that a writer waits for its reader. */
export const make: Effect.Effect<readonly [Duplex, Duplex]> = Effect.gen(function* () {
  const there = yield* Queue.bounded<Uint8Array, Cause.Done>(WRITES_MAX)
  const back = yield* Queue.bounded<Uint8Array, Cause.Done>(WRITES_MAX)
  return [end(back, there), end(there, back)]
})

type Pipe = Queue.Queue<Uint8Array, Cause.Done>

/** What is written after the reader has gone is lost, without an error. */
const end = (incoming: Pipe, outgoing: Pipe): Duplex => ({
  read: Queue.take(incoming),
  write: (bytes) => Effect.asVoid(Queue.offer(outgoing, bytes.slice())),
  end: Effect.asVoid(Queue.end(outgoing))
})

/** As a Linux pipe holds some sixteen pages. */
const WRITES_MAX = 16
