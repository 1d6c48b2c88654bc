import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as EventFrame from "../../../src/protocol/wire/EventFrame.ts"
import * as Arb from "../../support/Arbitraries.ts"
import { hex } from "../../support/Vectors.ts"
import vectors from "../../vectors/node.json" with { type: "json" }

const one = (bytes: Uint8Array) => new EventFrame.EventFrameSplitter().push(bytes)

const frame = Arbitrary.all({ topic: Arb.bytes(20), payload: Arb.bytes(60) })

describe("EventFrame", () => {
  for (const vector of vectors.event_stream.frames)
    it(`vector ${vector.name}`, () => {
      const { frames } = one(hex(vector.hex))

      const [topic, payload] = [Bytes.fromUtf8(vector.topic), Bytes.fromUtf8(vector.payload_utf8)]
      assert.deepStrictEqual(frames, [{ topic, payload }])
      assert.strictEqual(Bytes.toHex(EventFrame.encode(topic, payload)), vector.hex)
    })

  it.prop(
    "gives the same frames however the stream is cut (node §5)",
    { frames: Arbitrary.array(frame), size: Arb.integer(1, 30) },
    ({ frames, size }) => {
      const bytes = Bytes.concat(...frames.map(({ payload, topic }) => EventFrame.encode(topic, payload)))
      const splitter = new EventFrame.EventFrameSplitter()
      const found: Array<EventFrame.EventFrame> = []
      for (let at = 0; at < bytes.length; at += size) found.push(...splitter.push(bytes.subarray(at, at + size)).frames)

      assert.deepStrictEqual(found, frames)
      assert.strictEqual(splitter.frameBytes, 0)
    }
  )

  it("refuses a topic or a payload that is too long as soon as its length is there", () => {
    assert.deepInclude(one(hex("0401")).exceeded, { _tag: "LimitExceeded", limit: 1024, actual: 1025 })
    const long = one(hex("000161ffffffff"))
    assert.deepInclude(long.exceeded, { _tag: "LimitExceeded", limit: 16 << 20, actual: 0xffffffff })
    const splitter = new EventFrame.EventFrameSplitter()
    let exceeded: unknown
    for (const byte of hex("000161ffffffff")) exceeded = splitter.push(Uint8Array.of(byte)).exceeded ?? exceeded
    assert.deepStrictEqual(exceeded, long.exceeded)
  })

  it("allocates for what has come, not for what was announced", () => {
    const splitter = new EventFrame.EventFrameSplitter()
    splitter.push(hex("00016101000000"))
    assert.strictEqual(splitter.frameBytes, 7 + (16 << 20))
    splitter.push(new Uint8Array(10))
    assert.strictEqual(splitter.frameBytes, 7 + (16 << 20))
  })
})
