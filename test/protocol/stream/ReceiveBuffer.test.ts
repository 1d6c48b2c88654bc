import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import { ReceiveBuffer } from "../../../src/protocol/stream/ReceiveBuffer.ts"
import * as Arb from "../../support/Arbitraries.ts"
import { pattern } from "../../support/StreamPair.ts"
import { hex } from "../../support/Vectors.ts"
import vectors from "../../vectors/wire.json" with { type: "json" }

const LENGTH = 60
const runs = { arbitrary: { runs: 1000 } }
const source = pattern(LENGTH)
const START = 1000
const limits = { bytesMax: 4096, segmentsMax: 64, segmentBytesAssumed: 16, segmentBytesMin: 1 }
const tight = { bytesMax: 24, segmentsMax: 4, segmentBytesAssumed: 8, segmentBytesMin: 1 }

/** Any piece of the source, or a read. */
const steps = Arbitrary.array(
  Arb.oneOf<{ readonly from: number; readonly length: number } | "read">(
    Arbitrary.all({ from: Arb.integer(0, LENGTH - 1), length: Arb.integer(0, 12) }),
    Arbitrary.Constant("read" as const)
  ),
  { maxLength: 80 }
)

const make = (config: typeof limits): ReceiveBuffer => {
  const buffer = new ReceiveBuffer(config)
  buffer.synchronize(START)
  return buffer
}

const readAll = (buffer: ReceiveBuffer): Uint8Array => {
  const pieces: Array<Uint8Array> = []
  for (let piece = buffer.read(); piece !== undefined; piece = buffer.read()) pieces.push(piece)
  return Bytes.concat(...pieces)
}

describe("ReceiveBuffer", () => {
  it.prop(
    "delivers each byte once and in order, like a model that remembers single bytes",
    { steps },
    ({ steps }) => {
      const buffer = make(limits)
      const held = new Set<number>()
      let next = 0
      let read: Uint8Array = new Uint8Array(0)
      for (const step of steps) {
        if (step === "read") {
          read = Bytes.concat(read, buffer.read() ?? new Uint8Array(0))
          continue
        }
        const end = Math.min(LENGTH, step.from + step.length)
        buffer.receive(START + step.from, source.slice(step.from, end))
        for (let index = step.from; index < end; index++) held.add(index)
        while (held.has(next)) next += 1

        assert.strictEqual(buffer.next, START + next)
      }
      read = Bytes.concat(read, readAll(buffer))

      assert.deepStrictEqual(read, source.slice(0, next))
    },
    runs
  )

  it.prop(
    "reports ranges that are disjoint, ascending, beyond what is acknowledged, and held",
    { steps },
    ({ steps }) => {
      const buffer = make(limits)
      const held = new Set<number>()
      for (const step of steps) {
        if (step === "read") continue
        const end = Math.min(LENGTH, step.from + step.length)
        buffer.receive(START + step.from, source.slice(step.from, end))
        for (let index = step.from; index < end; index++) held.add(START + index)

        let previous = buffer.next
        for (const range of buffer.heldRanges(4)) {
          assert.isAbove(range.start, previous)
          assert.isAbove(range.end, range.start)
          for (let position = range.start; position < range.end; position++) assert.isTrue(held.has(position))
          assert.isFalse(held.has(range.start - 1) || held.has(range.end))
          previous = range.end
        }
      }
    },
    runs
  )

  it.prop(
    "stays within twice its limits and loses nothing it has acknowledged",
    { steps },
    ({ steps }) => {
      const buffer = make(tight)
      let read: Uint8Array = new Uint8Array(0)
      for (const step of steps) {
        if (step === "read") read = Bytes.concat(read, buffer.read() ?? new Uint8Array(0))
        else buffer.receive(START + step.from, source.slice(step.from, Math.min(LENGTH, step.from + step.length)))

        assert.isAtMost(buffer.readableBytes, tight.bytesMax)
        assert.isAtMost(buffer.heldSegments, 2 * tight.segmentsMax)
      }
      const acknowledged = buffer.next - START
      read = Bytes.concat(read, readAll(buffer))

      assert.isAtLeast(read.length, acknowledged)
      assert.deepStrictEqual(read, source.slice(0, read.length))
    },
    runs
  )

  it("delivers what the reference trace sends, and trims the overlap that the reference discards (wire §10.2)", () => {
    const buffer = new ReceiveBuffer(limits)
    buffer.synchronize(1)
    for (const step of vectors.reassembly_trace.steps) {
      buffer.receive(step.seq, new TextEncoder().encode(step.data))
    }

    assert.strictEqual(new TextDecoder().decode(readAll(buffer)), "abcdefghijklmnopqrstuvwx")
    assert.strictEqual(buffer.next, 25)
    assert.deepStrictEqual(buffer.heldRanges(4), [])
    assert.strictEqual(hex(vectors.reassembly_trace.steps[1]!.sack_payload).length, 13)
  })

  it("never splits nor merges what came as one segment (node §1.5)", () => {
    const buffer = make(limits)
    for (const [from, to] of [
      [4, 9],
      [9, 11],
      [0, 4],
      [11, 20]
    ] as const) {
      buffer.receive(START + from, source.slice(from, to))
    }

    assert.deepStrictEqual(
      [1, 2, 3, 4].map(() => buffer.read()?.length),
      [4, 5, 2, 9]
    )
  })

  it("holds an in-order segment selectively while the reader is behind, and acknowledges it when read (wire §10.3)", () => {
    const buffer = make(tight)
    for (let index = 0; index < 4; index++) buffer.receive(START + index * 8, source.slice(index * 8, index * 8 + 8))

    assert.strictEqual(buffer.next, START + 24)
    assert.strictEqual(buffer.freeSegments, 0)
    assert.isFalse(buffer.hasHole)
    assert.deepStrictEqual(buffer.heldRanges(4), [{ start: START + 24, end: START + 32 }])
    buffer.read()
    assert.strictEqual(buffer.next, START + 32)
  })

  it("measures the window by the largest segment seen (architecture, decision 7)", () => {
    const buffer = make({ bytesMax: 1000, segmentsMax: 100, segmentBytesAssumed: 100, segmentBytesMin: 10 })
    assert.strictEqual(buffer.freeSegments, 10)

    buffer.receive(START, source.slice(0, 20))
    assert.strictEqual(buffer.freeSegments, 49)
    buffer.receive(START + 20, source.slice(20, 60))
    assert.strictEqual(buffer.freeSegments, 23)
  })

  it("tells of the ranges that changed last when there are more than fit (RFC 2018 §4)", () => {
    const buffer = make(limits)
    for (let index = 1; index < 8; index++) buffer.receive(START + index * 4, source.slice(index * 4, index * 4 + 1))
    buffer.receive(START + 17, source.slice(17, 18))

    assert.deepStrictEqual(
      buffer.heldRanges(4).map(({ end, start }) => [start - START, end - START]),
      [
        [4, 5],
        [16, 18],
        [24, 25],
        [28, 29]
      ]
    )
  })
})
