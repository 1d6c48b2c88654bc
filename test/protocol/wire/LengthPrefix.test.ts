import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as LengthPrefix from "../../../src/protocol/wire/LengthPrefix.ts"
import * as Arb from "../../support/Arbitraries.ts"
import { hex } from "../../support/Vectors.ts"

const LIMIT = 40
const Bodies = Arbitrary.array(Arb.oneOf(Arb.bytes(12), Arb.bytesOf(0), Arb.bytesOf(LIMIT)), { maxLength: 8 })
const Cuts = Arbitrary.array(Arb.element(1, 2, 3, 4, 5, 7, 50, 400), { minLength: 1, maxLength: 12 })

/** The stream in chunks whose lengths repeat. */
const chunked = (stream: Uint8Array, cuts: ReadonlyArray<number>): ReadonlyArray<Uint8Array> => {
  const chunks: Array<Uint8Array> = []
  for (let offset = 0; offset < stream.length; offset += chunks.at(-1)!.length)
    chunks.push(stream.subarray(offset, offset + cuts[chunks.length % cuts.length]!))
  return chunks
}

describe("LengthPrefix", () => {
  it.prop("gives back the bodies, however the stream is cut", { bodies: Bodies, cuts: Cuts }, ({ bodies, cuts }) => {
    const splitter = new LengthPrefix.Splitter(LIMIT)
    const stream = Bytes.concat(...bodies.map((body) => LengthPrefix.encode(body)))

    const splits = chunked(stream, cuts).map((chunk) => splitter.push(chunk))

    assert.deepStrictEqual(
      splits.flatMap(({ frames }) => frames),
      bodies
    )
    assert.isTrue(splits.every(({ exceeded }) => exceeded === undefined))
    assert.strictEqual(splitter.heldBytes, 0)
  })

  it.prop(
    "gives what precedes a length above the limit, then nothing",
    { bodies: Bodies, cuts: Cuts, over: Arb.integer(1, 0xffffff00) },
    (given) => {
      const splitter = new LengthPrefix.Splitter(LIMIT)
      const tooLong = new Uint8Array(200)
      Bytes.writeU32(tooLong, 0, LIMIT + given.over)
      const stream = Bytes.concat(...given.bodies.map((body) => LengthPrefix.encode(body)), tooLong)

      const splits = chunked(stream, given.cuts).map((chunk) => splitter.push(chunk))

      assert.deepStrictEqual(
        splits.flatMap(({ frames }) => frames),
        given.bodies
      )
      assert.deepStrictEqual(splits.at(-1)!.exceeded, {
        _tag: "LimitExceeded",
        limit: LIMIT,
        actual: LIMIT + given.over
      })
      assert.isAtMost(splitter.heldBytes, LengthPrefix.PREFIX_BYTES)
    }
  )

  it("bodies stay what they are while later chunks arrive", () => {
    const splitter = new LengthPrefix.Splitter(LIMIT)
    const [first] = [splitter.push(hex("000000")), splitter.push(hex("03aabb")), splitter.push(hex("cc000000"))][2]!
      .frames

    splitter.push(hex("03112233"))

    assert.deepStrictEqual(first, hex("aabbcc"))
  })
})
