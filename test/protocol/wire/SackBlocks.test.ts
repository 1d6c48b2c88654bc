import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Result } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as SerialNumber from "../../../src/core/data/SerialNumber.ts"
import * as SackBlocks from "../../../src/protocol/wire/SackBlocks.ts"
import * as Arb from "../../support/Arbitraries.ts"
import { hex, success } from "../../support/Vectors.ts"
import vectors from "../../vectors/wire.json" with { type: "json" }

const toBlocks = (pairs: ReadonlyArray<ReadonlyArray<number>>) =>
  pairs.map(([left, right]) => ({ left: left!, right: right! }))

const Near = Arbitrary.array(Arbitrary.all({ left: Arb.integer(0, 30), length: Arb.integer(-2, 9) }), { maxLength: 8 })

describe("SackBlocks", () => {
  for (const vector of vectors.sack.decode)
    it(`decode vector ${vector.name}`, () => {
      const payload = hex(vector.payload)

      assert.strictEqual(SackBlocks.looksLikeSack(payload), vector.is_sack)
      assert.deepStrictEqual(
        Result.getOrElse(SackBlocks.decode(payload), () => []),
        toBlocks(vector.blocks)
      )
    })

  for (const vector of vectors.sack.encode)
    it(`encode vector ${vector.name}`, () => {
      assert.strictEqual(Bytes.toHex(SackBlocks.encode(toBlocks(vector.blocks))), vector.payload)
    })

  it.prop(
    "decodes the first four blocks it encodes, whatever follows (wire §10.4)",
    { blocks: Arbitrary.array(Arb.sackBlock, { minLength: 1, maxLength: 6 }), tail: Arb.bytes(9) },
    ({ blocks, tail }) => {
      const payload = Bytes.concat(SackBlocks.encode(blocks), tail)
      assert.deepStrictEqual(success(SackBlocks.decode(payload)), blocks.slice(0, SackBlocks.BLOCKS_MAX))
    }
  )

  it.prop(
    "looks like SACK exactly when it decodes (wire §10.1)",
    { count: Arb.unsigned(8), rest: Arb.bytes(45) },
    ({ count, rest }) => {
      const payload = Bytes.concat(Bytes.fromUtf8("SACK"), Uint8Array.of(count), rest)
      assert.strictEqual(SackBlocks.looksLikeSack(payload), Result.isSuccess(SackBlocks.decode(payload)))
    }
  )

  it.prop(
    "the first four bytes alone, and the rest, never look like SACK (wire §10.1)",
    { packet: Arb.packet },
    ({ packet }) => {
      if (!SackBlocks.looksLikeSack(packet.payload)) return
      assert.isFalse(SackBlocks.looksLikeSack(packet.payload.subarray(0, 4)))
      assert.isTrue(packet.payload[4]! < 0x53)
      assert.isFalse(SackBlocks.looksLikeSack(packet.payload.subarray(4)))
    }
  )

  it.prop(
    "normalised blocks hold what the blocks held, apart and ascending, across the wrap",
    { blocks: Near, base: Arb.unsigned(32) },
    ({ base, blocks }) => {
      const at = (value: number) => SerialNumber.add(base, value)
      const held = new Set(
        blocks
          .filter(({ left, length }) => left > 0 && length > 0)
          .flatMap(({ left, length }) => Array.from({ length }, (_, i) => left + i))
      )

      const normal = SackBlocks.normalize(
        blocks.map(({ left, length }) => ({ left: at(left), right: at(left + length) })),
        base
      )

      const members = normal.flatMap(({ left, right }) =>
        Array.from({ length: SerialNumber.difference(right, left) }, (_, i) => SerialNumber.difference(left, base) + i)
      )
      assert.deepStrictEqual(
        members,
        [...held].toSorted((a, b) => a - b)
      )
      for (const [index, block] of normal.entries())
        if (index > 0) assert.isTrue(SerialNumber.isAfter(block.left, normal[index - 1]!.right))
    }
  )
})
