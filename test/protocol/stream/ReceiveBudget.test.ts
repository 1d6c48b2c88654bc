import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import { RESERVED_BYTES, ReceiveBudget } from "../../../src/protocol/stream/ReceiveBudget.ts"
import { ReceiveBuffer } from "../../../src/protocol/stream/ReceiveBuffer.ts"
import { integer } from "../../support/Arbitraries.ts"

const SEGMENT_BYTES = 1000
const STREAM_BYTES_MAX = 4 << 20

const buffer = (budget: ReceiveBudget) =>
  new ReceiveBuffer({
    bytesMax: STREAM_BYTES_MAX,
    segmentsMax: 65_536,
    segmentBytesAssumed: SEGMENT_BYTES,
    segmentBytesMin: SEGMENT_BYTES,
    budget
  })

/** The peer sends whatever the window allows, and nobody reads. */
const fill = (stream: ReceiveBuffer): void => {
  while (stream.freeSegments > 0) stream.receive(stream.next, new Uint8Array(SEGMENT_BYTES))
}

describe("ReceiveBudget", () => {
  it("a stream alone has its own limit, and many together what is left", () => {
    const budget = new ReceiveBudget(10 << 20)
    const streams = Array.from({ length: 100 }, () => buffer(budget))
    assert.strictEqual(streams[0]!.freeSegments, Math.floor(STREAM_BYTES_MAX / SEGMENT_BYTES))
    for (const stream of streams) fill(stream)
    assert.isAtMost(budget.heldBytes, (10 << 20) + streams.length * (RESERVED_BYTES + SEGMENT_BYTES))
  })

  it("readers that are behind never stop the stream of one who reads", () => {
    const budget = new ReceiveBudget(1 << 20)
    for (let index = 0; index < 50; index++) fill(buffer(budget))
    assert.isAbove(budget.heldBytes, 1 << 20)
    const reading = buffer(budget)
    for (let round = 0; round < 1000; round++) {
      assert.isAbove(reading.freeSegments, 1)
      assert.strictEqual(reading.receive(reading.next, new Uint8Array(SEGMENT_BYTES)), "Delivered")
      assert.isDefined(reading.read())
    }
  })

  it("a datagram as large as the loopback's still fits when nothing is left", () => {
    const budget = new ReceiveBudget(0)
    const stream = buffer(budget)
    assert.strictEqual(stream.receive(0, new Uint8Array(65_400)), "Delivered")
    stream.read()
    assert.strictEqual(stream.freeSegments, 1)
  })

  it.prop(
    "holds exactly what the streams hold, whatever comes in which order, and nothing once they are gone",
    { steps: Arbitrary.array(integer(0, 9999), { maxLength: 200 }) },
    ({ steps }) => {
      const budget = new ReceiveBudget(20_000)
      const streams = [buffer(budget), buffer(budget)]
      for (const step of steps) {
        const stream = streams[step % 2]!
        const kind = Math.floor(step / 2) % 4
        const position = Math.max(0, stream.next + ((step % 7) - 1) * 500)
        if (kind === 0) stream.read()
        else stream.receive(position, new Uint8Array(1 + (step % SEGMENT_BYTES)))
      }
      let readable = 0
      for (const stream of streams) {
        stream.end()
        readable += stream.readableBytes
      }
      assert.strictEqual(budget.heldBytes, readable)
      for (const stream of streams) stream.release()
      assert.strictEqual(budget.heldBytes, 0)
    }
  )
})
