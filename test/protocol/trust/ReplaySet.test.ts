import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as ReplaySet from "../../../src/protocol/trust/ReplaySet.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"

const limits = { entriesMax: 5, perNodeMax: 2, lifeMs: 1000 }
const Seen = Schema.Array(
  Schema.Struct({
    digest: Schema.Literals(["a", "b", "c", "d", "e", "f", "g"]),
    node: Schema.Literals([1, 2, 3, 4]),
    stepMs: Schema.Literals([0, 1, 400, 999, 1000])
  })
)

describe("ReplaySet", () => {
  it("counts each message once within ten minutes (node §2.2)", () => {
    const set = ReplaySet.make()
    const record = (nowMs: number) => ReplaySet.record(set, "digest", NodeId(1), nowMs)

    assert.deepStrictEqual([record(0), record(599_999), record(600_000)], ["Fresh", "Replayed", "Fresh"])
  })

  it("holds 8192 messages, 64 of one sender, and refuses more (node §2.2)", () => {
    const set = ReplaySet.make()
    const results = Array.from({ length: 65 }, (_, i) => ReplaySet.record(set, `one/${i}`, NodeId(1), 0))
    for (let i = 64; i < 8192; i++) ReplaySet.record(set, `many/${i}`, NodeId(i), 0)

    assert.strictEqual(results[63], "Fresh")
    assert.strictEqual(results[64], "TooMany")
    assert.strictEqual(set.entries.size, 8192)
    assert.strictEqual(ReplaySet.record(set, "late", NodeId(9000), 0), "TooMany")
    assert.strictEqual(ReplaySet.record(set, "later", NodeId(9000), 600_000), "Fresh")
  })

  it.prop("agrees with a list that is searched", { seen: Seen }, ({ seen }) => {
    const set = ReplaySet.make(limits)
    let model: ReadonlyArray<{ readonly digest: string; readonly node: number; readonly atMs: number }> = []
    let nowMs = 0
    for (const { digest, node, stepMs } of seen) {
      nowMs += stepMs
      model = model.filter(({ atMs }) => nowMs - atMs < limits.lifeMs)
      const isFull =
        model.length >= limits.entriesMax || model.filter((e) => e.node === node).length >= limits.perNodeMax
      const expected = model.some((e) => e.digest === digest) ? "Replayed" : isFull ? "TooMany" : "Fresh"
      if (expected === "Fresh") model = [...model, { digest, node, atMs: nowMs }]

      assert.strictEqual(ReplaySet.record(set, digest, NodeId(node), nowMs), expected)
      assert.strictEqual(set.entries.size, model.length)
    }
  })
})
