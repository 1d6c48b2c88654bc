import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import { SendBuffer } from "../../../src/protocol/stream/SendBuffer.ts"
import * as SackBlocks from "../../../src/protocol/wire/SackBlocks.ts"
import * as Arb from "../../support/Arbitraries.ts"

const MAX = 40
const runs = { arbitrary: { runs: 500 } }
const lookAlike = SackBlocks.encode([{ left: 1, right: 2 }])

/** Writes and cuts in any order: a number cuts so many segments. Sizes around the limit, and look-alikes of SACK. */
const steps = Arbitrary.array(
  Arb.oneOf<Uint8Array | number>(
    Arb.bytes(12),
    Arbitrary.flatMap(Arb.element(MAX - 1, MAX, MAX + 1, 2 * MAX, 5 * MAX + 3), Arb.bytesOf),
    Arbitrary.map(Arb.bytes(30), (rest) => Bytes.concat(lookAlike, rest)),
    Arb.integer(1, 4)
  ),
  { maxLength: 40 }
)

const run = (input: ReadonlyArray<Uint8Array | number>) => {
  const buffer = new SendBuffer(MAX)
  const written: Array<Uint8Array> = []
  const segments: Array<Uint8Array> = []
  const cut = () => {
    const segment = buffer.take()
    if (segment !== undefined) segments.push(segment)
    return segment !== undefined
  }
  for (const step of input) {
    if (typeof step === "number") for (let count = 0; count < step; count++) cut()
    else {
      buffer.append(step, 0)
      written.push(step)
    }
  }
  while (cut()) {}
  return { buffer, written, segments }
}

describe("SendBuffer", () => {
  it.prop(
    "gives every byte once and in order, whatever is written and cut when",
    { steps },
    ({ steps }) => {
      const { buffer, segments, written } = run(steps)

      assert.deepStrictEqual(Bytes.concat(...segments), Bytes.concat(...written))
      assert.strictEqual(buffer.length, 0)
    },
    runs
  )

  it.prop(
    "cuts no segment beyond the limit, none empty, and none that reads as SACK (wire §10.1)",
    { steps },
    ({ steps }) => {
      for (const segment of run(steps).segments) {
        assert.isAtLeast(segment.length, 1)
        assert.isAtMost(segment.length, MAX)
        assert.isFalse(SackBlocks.looksLikeSack(segment))
      }
    },
    runs
  )

  it.prop(
    "gives every byte once and in order when segments are cut shorter than they would be, as a tail probe is",
    { writes: Arbitrary.array(Arb.bytes(30), { maxLength: 20 }), bytesMax: Arb.integer(1, MAX) },
    ({ bytesMax, writes }) => {
      const buffer = new SendBuffer(MAX)
      for (const bytes of writes) buffer.append(bytes, 0)
      // Later writes are not joined to chunks that have become as large as a segment: there are several.
      buffer.resize(2 * MAX)
      const segments: Array<Uint8Array> = []
      for (let cut = buffer.take(bytesMax); cut !== undefined; cut = buffer.take(bytesMax)) {
        assert.isAtMost(cut.length, bytesMax)
        segments.push(cut)
      }

      assert.deepStrictEqual(Bytes.concat(...segments), Bytes.concat(...writes))
    },
    runs
  )

  it.prop(
    "never cuts a write that fits a segment (node §1.5)",
    { writes: Arbitrary.array(Arbitrary.flatMap(Arb.integer(1, MAX), Arb.bytesOf), { maxLength: 30 }) },
    ({ writes }) => {
      const ends = new Set<number>()
      let position = 0
      for (const segment of run(writes).segments) {
        position += segment.length
        ends.add(position)
      }
      let start = 0
      for (const write of writes) {
        const end = start + write.length
        for (let inside = start + 1; inside < end; inside++) assert.isFalse(ends.has(inside))
        start = end
      }
    },
    runs
  )

  it("keeps what was cut as it was, whatever is written afterwards", () => {
    const buffer = new SendBuffer(MAX)
    buffer.append(Uint8Array.of(1, 2), 0)
    buffer.append(Uint8Array.of(3), 0)
    const segment = buffer.take()

    buffer.append(Uint8Array.of(9, 9, 9), 0)

    assert.deepStrictEqual(segment, Uint8Array.of(1, 2, 3))
  })

  it("sends the first four bytes of a look-alike of SACK alone (wire §10.1)", () => {
    const buffer = new SendBuffer(MAX)
    buffer.append(lookAlike, 0)

    assert.deepStrictEqual([buffer.take(), buffer.take()], [lookAlike.slice(0, 4), lookAlike.slice(4)])
  })

  it("knows the age of its oldest byte", () => {
    const buffer = new SendBuffer(MAX)
    buffer.append(Uint8Array.of(1), 5)
    buffer.append(Uint8Array.of(2), 7)

    assert.strictEqual(buffer.waitingSinceMs, 5)
    buffer.take()
    assert.strictEqual(buffer.waitingSinceMs, Number.POSITIVE_INFINITY)
  })

  it("merges byte-wise writes into few segments", () => {
    const buffer = new SendBuffer(MAX)
    for (let count = 0; count < 10 * MAX; count++) buffer.append(Uint8Array.of(count), 0)

    const lengths: Array<number> = []
    for (let segment = buffer.take(); segment !== undefined; segment = buffer.take()) lengths.push(segment.length)

    assert.deepStrictEqual(lengths, new Array(10).fill(MAX))
  })
})
