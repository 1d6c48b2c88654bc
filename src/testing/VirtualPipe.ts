/**
 * Byte streams within one simulated machine: the pipes of a child, and the standard streams of a command. A bounded number
 * of chunks fits in, so that a writer waits for its reader as it would for a real pipe.
 */
import { type Cause, Effect, Queue } from "effect"
import type { Duplex } from "../core/net/Duplex.ts"
import { LineSplitter } from "../protocol/relay/LineSplitter.ts"
import { MESSAGE_BYTES_MAX } from "../protocol/relay/RelayControl.ts"

/** One end of a pipe pair. What is written after the other end has gone is lost, without an error. */
export interface PipeEnd extends Duplex {
  /** The next line without its newline; blank ones are skipped. Not to be mixed with `read`. */
  readonly readLine: Effect.Effect<string, Cause.Done>
  /** The text and a newline. */
  readonly writeLine: (line: string) => Effect.Effect<void>
  /** Neither reads nor writes again: the other side reads what was written, then its end. */
  readonly hangUp: Effect.Effect<void>
}

/** The two ends. */
export const make: Effect.Effect<readonly [PipeEnd, PipeEnd]> = Effect.gen(function* () {
  const there = yield* Queue.bounded<Uint8Array, Cause.Done>(CHUNKS_MAX)
  const back = yield* Queue.bounded<Uint8Array, Cause.Done>(CHUNKS_MAX)
  return [end(back, there), end(there, back)]
})

type Pipe = Queue.Queue<Uint8Array, Cause.Done>

const end = (incoming: Pipe, outgoing: Pipe): PipeEnd => {
  const read = Queue.take(incoming)
  const write = (bytes: Uint8Array) => Effect.asVoid(Queue.offer(outgoing, bytes.slice()))
  const close = Effect.asVoid(Queue.end(outgoing))
  return {
    read,
    write,
    end: close,
    readLine: lines(read),
    writeLine: (line) => write(UTF8.encode(`${line}\n`)),
    hangUp: Effect.andThen(close, Queue.shutdown(incoming))
  }
}

const lines = (read: Effect.Effect<Uint8Array, Cause.Done>): Effect.Effect<string, Cause.Done> => {
  const splitter = new LineSplitter(MESSAGE_BYTES_MAX)
  const waiting: Array<string> = []
  return Effect.gen(function* () {
    while (true) {
      const line = waiting.shift()
      if (line !== undefined) return line
      for (const found of splitter.push(yield* read)) {
        if (found._tag === "Whole") waiting.push(new TextDecoder().decode(found.bytes))
      }
    }
  })
}

const UTF8 = new TextEncoder()
/** A Linux pipe holds 64 KiB, which is some sixteen writes of a page. */
const CHUNKS_MAX = 16
