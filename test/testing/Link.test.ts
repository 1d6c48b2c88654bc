import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Link from "../../src/testing/Link.ts"
import * as SeededRandom from "../../src/testing/SeededRandom.ts"

const Seed = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000_000 }))

/** What becomes of `count` datagrams, one every `everyMs`. */
const send = (link: Partial<Link.Link>, count: number, everyMs: number, payloadBytes = 972, seed = 1) => {
  const random = SeededRandom.make(seed)
  const state = Link.idle()
  return Array.from({ length: count }, (_, index) =>
    Link.transmit({ ...Link.PERFECT, ...link }, state, payloadBytes, index * everyMs, random)
  )
}

const lost = (fates: ReadonlyArray<Link.Fate>, reason: Link.LossReason) =>
  fates.filter((fate) => fate._tag === "Lost" && fate.reason === reason).length

describe("Link", () => {
  it("a link with a rate sends one datagram after the other, headers included", () => {
    const fates = send({ bitsPerSecond: 8_000_000, delayMs: 10 }, 3, 0)

    assert.deepStrictEqual(
      fates.map((fate) => (fate._tag === "Arrives" ? fate.delaysMs : [])),
      [[11], [12], [13]]
    )
  })

  it("what does not fit into the queue is lost at its tail", () => {
    const fates = send({ bitsPerSecond: 8_000_000, queueBytes: 5000 }, 10, 0)

    assert.deepStrictEqual(
      fates.map(({ _tag }) => _tag),
      [...Array.from({ length: 5 }, () => "Arrives"), ...Array.from({ length: 5 }, () => "Lost")]
    )
    assert.strictEqual(lost(fates, "QueueFull"), 5)
  })

  it("a queue empties with time", () => {
    assert.strictEqual(lost(send({ bitsPerSecond: 8_000_000, queueBytes: 2000 }, 1000, 1), "QueueFull"), 0)
  })

  it("larger packets than the MTU are lost, those of its size are not", () => {
    assert.strictEqual(lost(send({ mtuBytes: 1500 }, 1, 0, 1472), "TooLarge"), 0)
    assert.strictEqual(lost(send({ mtuBytes: 1500 }, 1, 0, 1473), "TooLarge"), 1)
  })

  it.prop("bursts lose as many as their rates say, and together (Gilbert–Elliott)", { seed: Seed }, ({ seed }) => {
    const bursts = { beginRate: 0.01, endRate: 0.2, lossRate: 1 }
    const fates = send({ bursts }, 10_000, 1, 100, seed)
    const isLost = fates.map(({ _tag }) => _tag === "Lost")
    const losses = isLost.filter(Boolean).length
    const runs = isLost.filter((is, index) => is && isLost[index - 1] !== true).length

    assert.closeTo(losses / fates.length, 0.01 / 0.21, 0.035)
    assert.closeTo(losses / runs, 5, 2.5)
  })

  it.prop("never sends back in time, and never more than two copies", { seed: Seed }, ({ seed }) => {
    const link = { delayMs: 3, jitterMs: 2, duplicationRate: 0.3, reorderRate: 0.3, bitsPerSecond: 1_000_000 }
    for (const fate of send(link, 200, 2, 100, seed)) {
      assert.strictEqual(fate._tag, "Arrives")
      if (fate._tag === "Arrives") {
        assert.isTrue(fate.delaysMs.length <= 2 && fate.delaysMs.every((delayMs) => delayMs >= link.delayMs))
      }
    }
  })
})
