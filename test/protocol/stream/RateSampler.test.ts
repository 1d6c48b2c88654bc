import { assert, describe, it } from "@effect/vitest"
import { RateSampler } from "../../../src/protocol/stream/RateSampler.ts"
import { SackScoreboard } from "../../../src/protocol/stream/SackScoreboard.ts"
import type { SentSegment } from "../../../src/protocol/stream/SentSegment.ts"
import * as Arb from "../../support/Arbitraries.ts"

const SIZE = 1000
const RTT_MS = 40

/** A sender whose segments are acknowledged when told. */
const make = () => {
  const board = new SackScoreboard()
  const sampler = new RateSampler()
  let next = 0
  const send = (nowMs: number): SentSegment => {
    const segment = board.sent(next, new Uint8Array(SIZE), nowMs)
    next += SIZE
    sampler.sent(segment, board.bytesInFlight, nowMs)
    return segment
  }
  const acknowledge = (segment: SentSegment, nowMs: number) => {
    board.delivery.clear()
    board.sack(segment.start, segment.end)
    return sampler.acknowledged(board.delivery, RTT_MS, nowMs)
  }
  return { board, sampler, send, acknowledge }
}

describe("RateSampler", () => {
  it.prop(
    "measures the bottleneck, whatever bunches acknowledgements (draft-ietf-ccwg-bbr §4.1.1)",
    { spacingMs: Arb.element(0.05, 1, 3), batch: Arb.element(1, 2, 7, 16) },
    ({ batch, spacingMs }) => {
      const { acknowledge, send } = make()
      // 64 in flight at the rate of the path; each acknowledgement waits for the rest of its batch.
      const spread = Math.max(spacingMs, RTT_MS / 64)
      const sent: Array<SentSegment> = []
      let best = 0
      for (let index = 0; index < 640; index++) {
        const nowMs = index * spread
        sent.push(send(nowMs))
        const arrived = index - 63
        if (arrived < 0 || arrived % batch !== batch - 1) continue
        for (let back = batch - 1; back >= 0; back--) {
          const sample = acknowledge(sent[arrived - back]!, nowMs)
          if (arrived > 128) best = Math.max(best, sample.bytesPerMs)
        }
      }

      assert.closeTo(best, SIZE / spread, (0.03 + batch / 64) * (SIZE / spread))
    }
  )

  it("believes the longer of the time to send and the time to be acknowledged (§4.1.1.3)", () => {
    const { acknowledge, send } = make()
    const segments = [0, 10, 20, 30].map((nowMs) => send(nowMs))
    // Acknowledged all at once: four segments took 30 ms to send, and 70 ms to be acknowledged.
    const rates = segments.map((segment) => acknowledge(segment, 70).bytesPerMs)

    assert.closeTo(rates[3]!, (4 * SIZE) / 70, 1e-9)
  })

  it("gives no rate for an interval shorter than a round trip: that was an earlier transmission", () => {
    const { acknowledge, send } = make()
    const segment = send(0)

    assert.strictEqual(acknowledge(segment, RTT_MS - 1).bytesPerMs, 0)
  })

  it("marks what is sent between running out of data and its acknowledgement (§4.1.2.4)", () => {
    const { acknowledge, board, sampler, send } = make()
    const before = send(0)
    sampler.limited(board.bytesInFlight)
    const during = send(1)
    assert.isFalse(acknowledge(before, RTT_MS).isAppLimited)
    assert.isTrue(sampler.isAppLimited)
    assert.isTrue(acknowledge(during, RTT_MS + 1).isAppLimited)

    assert.isFalse(acknowledge(send(RTT_MS + 1), 2 * RTT_MS + 1).isAppLimited)
  })

  it("does not count a pause into the rate", () => {
    const { acknowledge, send } = make()
    acknowledge(send(0), RTT_MS)

    assert.closeTo(acknowledge(send(10_000), 10_000 + RTT_MS).bytesPerMs, SIZE / RTT_MS, 1e-9)
  })

  it("counts losses since a segment was sent, by their weight", () => {
    const { acknowledge, board, sampler, send } = make()
    const [first, second, third] = [send(0), send(1), send(2)]
    board.lose(first)
    assert.strictEqual(sampler.lost(first, 1), SIZE)
    board.lose(second)
    assert.strictEqual(sampler.lost(second, 0.2), 1.2 * SIZE)

    assert.strictEqual(acknowledge(third, RTT_MS + 2).lost, 1.2 * SIZE)
    assert.strictEqual(acknowledge(send(RTT_MS + 2), 2 * RTT_MS + 2).lost, 0)
  })
})
