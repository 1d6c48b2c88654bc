import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import { Connection } from "../../../src/protocol/stream/Connection.ts"
import * as StreamConfig from "../../../src/protocol/stream/StreamConfig.ts"
import { Flag, type Segment } from "../../../src/protocol/wire/Packet.ts"
import * as SackBlocks from "../../../src/protocol/wire/SackBlocks.ts"
import * as Arb from "../../support/Arbitraries.ts"

type Step =
  | { readonly _tag: "Receive"; readonly segment: Segment; readonly isRelative: boolean }
  | { readonly _tag: "Wait"; readonly lengthMs: number }
  | { readonly _tag: "Write"; readonly bytes: Uint8Array }
  | { readonly _tag: "Deadline" | "Read" | "Close" | "Reset" }

/** Mostly numbers near what the connection expects, at times anything. */
const segment: Arbitrary.Arbitrary<Segment> = Arbitrary.all({
  flags: Arb.element(2, 2, 2, 2, 2, 2, 1, 3, 4, 6, 8, 0, 15),
  sequence: Arb.oneOf(Arb.integer(0, 60), Arb.element(0, 1, 2, 100, 5000), Arb.unsigned(32)),
  acknowledgement: Arb.oneOf(Arb.integer(0, 60), Arb.element(0, 1, 2, 1122, 2243), Arb.unsigned(32)),
  window: Arb.element(0, 1, 2, 512, 65_535),
  payload: Arb.oneOf(
    Arb.bytes(40),
    Arbitrary.Constant(new Uint8Array(0)),
    Arbitrary.map(Arbitrary.array(Arb.sackBlock, { minLength: 1, maxLength: 4 }), SackBlocks.encode),
    Arbitrary.map(Arb.integer(1, 60), (left) => SackBlocks.encode([{ left, right: left + 30 }]))
  )
})

/** Data that a peer would take for SACK, again wherever it is cut in its pieces. */
const lookAlike = (times: number): Uint8Array => {
  const piece = SackBlocks.encode([{ left: 1, right: 31 }])
  const bytes = new Uint8Array(times * piece.length)
  for (let offset = 0; offset < bytes.length; offset += piece.length) bytes.set(piece, offset)
  return bytes
}

const steps = Arbitrary.array(
  Arb.oneOf<Step>(
    Arbitrary.map(
      Arbitrary.all({ segment, isRelative: Arb.element(true, false) }),
      (fields): Step => ({ _tag: "Receive", ...fields })
    ),
    Arbitrary.Constant<Step>({ _tag: "Deadline" }),
    Arbitrary.map(Arb.integer(1, 4000), (sizeBytes): Step => ({ _tag: "Write", bytes: new Uint8Array(sizeBytes) })),
    Arbitrary.map(Arb.integer(1, 4), (times): Step => ({ _tag: "Write", bytes: lookAlike(times) })),
    Arbitrary.map(Arb.element(0, 0.5, 10, 100, 5000), (lengthMs): Step => ({ _tag: "Wait", lengthMs })),
    Arb.element<Step>(
      { _tag: "Deadline" },
      { _tag: "Deadline" },
      { _tag: "Read" },
      { _tag: "Read" },
      { _tag: "Close" }
    ),
    Arb.element<Step>({ _tag: "Deadline" }, { _tag: "Deadline" }, { _tag: "Deadline" }, { _tag: "Reset" })
  ),
  { maxLength: 150 }
)

const config = StreamConfig.make({ receiveBytesMax: 4000, receiveSegmentsMax: 8, sendBufferBytesMax: 20_000 })

/** Drives one connection and calls `check` with what each step made it send. */
const drive = (
  options: { readonly isDialing: boolean; readonly sequence: number; readonly isHalfClose: boolean },
  steps: ReadonlyArray<Step>,
  check: (connection: Connection, step: Step, sent: ReadonlyArray<Segment>, nowMs: number) => void
): void => {
  const settings = { ...config, isHalfClose: options.isHalfClose }
  const connection = options.isDialing
    ? Connection.dialing(settings, options.sequence, 0)
    : Connection.listening(settings, options.sequence)
  let nowMs = 0
  const first = connection.drain(nowMs)
  if (options.isDialing) {
    assert.lengthOf(first, 1)
    connection.receive(answer(Flag.Syn | Flag.Ack, options.sequence + 1), nowMs)
  } else connection.receive(answer(Flag.Syn, 0), nowMs)
  for (const step of steps) {
    if (step._tag === "Receive") {
      const base = step.isRelative ? options.sequence : 0
      const acknowledgement = (step.segment.acknowledgement + base) >>> 0
      connection.receive({ ...step.segment, acknowledgement }, nowMs)
    } else if (step._tag === "Deadline" && connection.deadlineMs < Number.POSITIVE_INFINITY) {
      nowMs = Math.max(nowMs, connection.deadlineMs)
    } else if (step._tag === "Wait") nowMs += step.lengthMs
    else if (step._tag === "Write") connection.write(step.bytes, nowMs)
    else if (step._tag === "Read") connection.read()
    else if (step._tag === "Close") connection.close(nowMs)
    else if (step._tag === "Reset") connection.reset()
    connection.timeout(nowMs)
    check(connection, step, connection.drain(nowMs), nowMs)
  }
}

const answer = (flags: number, acknowledgement: number): Segment => ({
  flags,
  sequence: 0,
  acknowledgement: acknowledgement >>> 0,
  window: 4,
  payload: new Uint8Array(0)
})

const given = {
  options: Arbitrary.all({
    isDialing: Arb.element(true, false),
    sequence: Arb.element(0, 0x7fff_ffff, 0xffff_fff0),
    isHalfClose: Arb.element(false, true)
  }),
  steps
}
const runs = { arbitrary: { runs: 1000, size: 100 } }

describe("Connection: any trace", () => {
  it.prop(
    "has its deadline ahead after it was woken and drained",
    given,
    ({ options, steps }) => {
      drive(options, steps, (connection, _, __, nowMs) => {
        assert.isAbove(connection.deadlineMs, nowMs)
      })
    },
    runs
  )

  it.prop(
    "never advertises 0 in a SYN or an ACK (wire §10.3)",
    given,
    ({ options, steps }) => {
      drive(options, steps, (_, __, sent) => {
        for (const { flags, window } of sent) {
          if ((flags & (Flag.Fin | Flag.Rst)) === 0) assert.isAtLeast(window, 1)
        }
      })
    },
    runs
  )

  it.prop(
    "sends nothing that reads as SACK but SACK, and nothing beyond the largest segment (wire §10.1)",
    given,
    ({ options, steps }) => {
      let sackSent = 0
      drive(options, steps, (connection, _, sent) => {
        sackSent += sent.filter(({ payload }) => SackBlocks.looksLikeSack(payload)).length
        assert.strictEqual(sackSent, connection.stats.sackSent)
        for (const { payload } of sent) assert.isAtMost(payload.length, config.segmentBytesMax)
      })
    },
    runs
  )

  it.prop(
    "answers an RST with nothing, and a FIN|ACK with no FIN or RST of its own (wire §9.4)",
    given,
    ({ options, steps }) => {
      drive(options, steps, (_, step, sent) => {
        if (step._tag !== "Receive") return
        const { flags } = step.segment
        const isReset = (flags & (Flag.Syn | Flag.Fin | Flag.Rst)) === Flag.Rst
        const isFinAck = (flags & (Flag.Syn | Flag.Fin | Flag.Ack)) === (Flag.Fin | Flag.Ack)
        if (isReset) assert.lengthOf(sent, 0)
        if (isFinAck) for (const segment of sent) assert.strictEqual(segment.flags & (Flag.Fin | Flag.Rst), 0)
      })
    },
    runs
  )

  it.prop(
    "answers one arriving segment with few",
    given,
    ({ options, steps }) => {
      drive(options, steps, (connection, step, sent) => {
        const { congestionWindowBytes } = connection.stats
        const allowed = 8 + Math.ceil(congestionWindowBytes / 1000)
        if (step._tag === "Receive") assert.isAtMost(sent.length, allowed)
      })
    },
    runs
  )

  it.prop(
    "holds no more than twice its receive limits, and no more than its send buffer",
    given,
    ({ options, steps }) => {
      drive(options, steps, (connection) => {
        assert.isAtMost(connection.readableBytes, 2 * config.receiveBytesMax)
        assert.isAtMost(connection.stats.outOfOrderSegments, 2 * config.receiveSegmentsMax)
        assert.isAtLeast(connection.writableBytes, 0)
      })
    },
    runs
  )

  it.prop(
    "leaves the closed state never again",
    given,
    ({ options, steps }) => {
      let isClosed = false
      drive(options, steps, (connection, _, sent) => {
        if (isClosed) assert.isTrue(connection.isClosed && sent.length === 0)
        isClosed ||= connection.isClosed
      })
    },
    runs
  )
})
