/** A stream of MCP lines that somebody watches: each line is shown, and what the watcher gives for it passes on. */
import { Effect } from "effect"
import * as Bytes from "../../../core/data/Bytes.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import { LineSplitter } from "../../../protocol/relay/LineSplitter.ts"
import { MESSAGE_BYTES_MAX } from "../../../protocol/relay/RelayControl.ts"

/** Sees the messages of one client and its server, without their newlines. */
export interface Watcher {
  /** A message of the client; gives what is passed on. */
  readonly asked: (message: Uint8Array) => Uint8Array
  /** A message of the server; gives what is passed on. */
  readonly answered: (message: Uint8Array) => Uint8Array
  /** Nothing more comes. May be told more than once. */
  readonly end: () => void
}

/** The stream under the eyes of a watcher; the client's messages are those that are read from it, or written to it. */
export const watched = <E>(stream: Duplex<E>, client: "read" | "written", watcher: Watcher): Duplex<E> => {
  const lines = { read: new LineSplitter(MESSAGE_BYTES_MAX), written: new LineSplitter(MESSAGE_BYTES_MAX) }
  /** Whole lines of a chunk, as they are passed on. */
  const through = (direction: "read" | "written", chunk: Uint8Array): Uint8Array => {
    const passed: Array<Uint8Array> = []
    for (const line of lines[direction].push(chunk)) {
      if (line._tag === "Oversized") continue
      passed.push(direction === client ? watcher.asked(line.bytes) : watcher.answered(line.bytes), NEWLINE)
    }
    return Bytes.concat(...passed)
  }
  const read: Duplex<E>["read"] = Effect.gen(function* () {
    while (true) {
      const passed = through("read", yield* stream.read)
      if (passed.length > 0) return passed
    }
  }).pipe(Effect.tapError(() => Effect.sync(watcher.end)))
  return {
    read,
    write: (bytes) =>
      Effect.suspend(() => {
        const passed = through("written", bytes)
        return passed.length === 0 ? Effect.void : stream.write(passed)
      }),
    end: Effect.andThen(Effect.sync(watcher.end), stream.end)
  }
}

const NEWLINE = Uint8Array.of(0x0a)
