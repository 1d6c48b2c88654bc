/** Scripted exchanges with one connection: "at this time, receive this, then it sends exactly that". */
import { assert } from "@effect/vitest"
import type { Connection } from "../../src/protocol/stream/Connection.ts"
import { EMPTY } from "../../src/protocol/stream/Segments.ts"
import { Flag, type Segment } from "../../src/protocol/wire/Packet.ts"

/** A segment as a transcript writes it: flag letters in the order S A F R, then numbers that default to 0. */
export interface Written {
  readonly flags: string
  readonly seq?: number
  readonly ack?: number
  readonly window?: number
  readonly payload?: Uint8Array
}

/** One line. `expect` is everything sent in answer, in order; windows are compared only where written. */
export interface Line {
  readonly atMs: number
  readonly receive?: ReadonlyArray<Written>
  readonly call?: (connection: Connection, nowMs: number) => void
  readonly expect: ReadonlyArray<Written>
}

/** Plays the lines. Timers that fall due between two lines fire then, and must send nothing that is not expected. */
export const play = (connection: Connection, lines: ReadonlyArray<Line>): void => {
  for (const line of lines) {
    for (const written of line.receive ?? []) connection.receive(segment(written), line.atMs)
    line.call?.(connection, line.atMs)
    if (connection.deadlineMs <= line.atMs) connection.timeout(line.atMs)
    const sent = connection.drain(line.atMs)
    assert.deepStrictEqual(
      sent.map((one, index) => describe(one, line.expect[index]?.window !== undefined)),
      line.expect.map((one) => describe(segment(one), one.window !== undefined)),
      `at ${line.atMs} ms`
    )
  }
}

/** The segment of a line. */
export const segment = ({ ack, flags, payload, seq, window }: Written): Segment => ({
  flags: [...flags].reduce((bits, letter) => bits | (LETTERS[letter] ?? 0), 0),
  sequence: seq ?? 0,
  acknowledgement: ack ?? 0,
  window: window ?? (flags.includes("A") && !flags.includes("F") ? 512 : 0),
  payload: payload ?? EMPTY
})

/** Bytes of a text. */
export const text = (value: string): Uint8Array => new TextEncoder().encode(value)

const describe = (one: Segment, withWindow: boolean) => ({
  flags: Object.entries(LETTERS)
    .filter(([, bit]) => (one.flags & bit) !== 0)
    .map(([letter]) => letter)
    .join(""),
  seq: one.sequence,
  ack: one.acknowledgement,
  payload: [...one.payload],
  ...(withWindow ? { window: one.window } : {})
})

const LETTERS: Readonly<Record<string, number>> = { S: Flag.Syn, A: Flag.Ack, F: Flag.Fin, R: Flag.Rst }
