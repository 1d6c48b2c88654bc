import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as EventLog from "../../../src/protocol/mcp/EventLog.ts"
import * as SseText from "../../../src/protocol/mcp/SseText.ts"

const Sizes = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9_000_000 })))
const Natural = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 999_999_999 }))

describe("EventLog", () => {
  it.prop(
    "keeps the newest events, in order, and stays within its bounds (mcp §6.5)",
    { sizes: Sizes },
    ({ sizes }) => {
      const log = new EventLog.EventLog()
      const sample = new Uint8Array(9_000_000)
      for (const size of sizes) {
        log.append(sample.subarray(0, size))
        assert.isTrue(log.sizeBytes <= 4_194_304 || log.after(0).length === 1)
      }
      const kept = log.after(0).map(({ seq }) => seq)
      assert.deepStrictEqual(
        kept,
        kept.map((_, index) => sizes.length - kept.length + 1 + index)
      )
      assert.strictEqual(log.bytesAfter(0), log.sizeBytes)
      assert.strictEqual(log.lastSeq, sizes.length)
    }
  )

  it("keeps at most a thousand events", () => {
    const log = new EventLog.EventLog()
    for (let count = 0; count < 1500; count++) log.append(Bytes.empty)
    assert.strictEqual(log.after(0).length, 1000)
    assert.deepStrictEqual(
      log.after(1499).map(({ seq }) => seq),
      [1500]
    )
  })

  it.prop("an id leads back to its stream and number", { stream: Natural, seq: Natural }, ({ seq, stream }) => {
    assert.deepStrictEqual(EventLog.parseId(EventLog.formatId(Math.abs(stream), Math.abs(seq))), {
      stream: Math.abs(stream),
      seq: Math.abs(seq)
    })
  })
})

describe("SseText", () => {
  it("is what the recorded servers write (mcp §2.3)", () => {
    assert.strictEqual(
      Bytes.toUtf8(SseText.message(Bytes.fromUtf8("{}"), "1-2")),
      "event: message\nid: 1-2\ndata: {}\n\n"
    )
    assert.strictEqual(Bytes.toUtf8(SseText.priming("1-0", 1000)), "id: 1-0\nretry: 1000\ndata: \n\n")
  })
})
