import { assert, describe, it } from "@effect/vitest"
import { LossDetector } from "../../../src/protocol/stream/LossDetector.ts"
import * as RttEstimator from "../../../src/protocol/stream/RttEstimator.ts"
import { SackScoreboard } from "../../../src/protocol/stream/SackScoreboard.ts"

const SIZE = 100
const limits = { minMs: 200, maxMs: 10_000, ackDelayMs: 40 }
const rtt = RttEstimator.update(RttEstimator.make(333), 40, 0)

/** Ten segments, one per millisecond from 0 on. */
const flight = () => {
  const board = new SackScoreboard()
  const loss = new LossDetector(limits)
  for (let index = 0; index < 10; index++) board.sent(index * SIZE, new Uint8Array(SIZE), index)
  loss.arm(board, rtt, true, 9)
  return { board, loss }
}

const sack = ({ board, loss }: ReturnType<typeof flight>, index: number, nowMs: number, isFull = false): number => {
  board.delivery.clear()
  board.sack(index * SIZE, (index + 1) * SIZE)
  loss.delivered(board, rtt, isFull, nowMs)
  return loss.detect(board, rtt, false, (segment) => board.lose(segment), nowMs)
}

describe("LossDetector", () => {
  it("waits a quarter of the round trip for reordering, then takes what was overtaken for lost (RFC 8985 §6.2)", () => {
    const state = flight()

    assert.strictEqual(sack(state, 1, 41), 0)
    assert.strictEqual(state.loss.deadlineMs, 0 + 40 + 10)
    assert.strictEqual(state.loss.expire(rtt, 50), "Reordering")
    assert.strictEqual(
      state.loss.detect(state.board, rtt, false, (segment) => state.board.lose(segment), 50),
      1
    )
    assert.strictEqual(state.board.firstLost?.start, 0)
  })

  it("takes a hole for lost at once when three segments beyond it have arrived (RFC 5681 §3.2)", () => {
    const state = flight()

    assert.deepStrictEqual(
      [1, 2, 3].map((index) => sack(state, index, 40 + index)),
      [0, 0, 1]
    )
  })

  it("waits also after three where the path has reordered (RFC 8985 §6.2 step 4)", () => {
    const state = flight()
    sack(state, 3, 43)
    sack(state, 1, 43.1)

    assert.strictEqual(sack(state, 4, 44), 0)
    assert.strictEqual(state.board.lostSegments, 0)
  })

  it("does not take a late report for reordering when the SACK before had no room for it", () => {
    const state = flight()
    sack(state, 3, 43, true)
    sack(state, 1, 43.1)

    assert.strictEqual(sack(state, 4, 44), 2)
  })

  it("never takes the segment sent last for lost by acknowledgements alone", () => {
    const state = flight()
    for (let index = 0; index < 9; index++) sack(state, index, 60 + index)

    assert.strictEqual(state.board.lostSegments, 0)
    assert.strictEqual(state.board.inTransitSegments, 1)
  })

  it("probes the tail after two round trips, once, and then falls back on the timeout (RFC 8985 §7.2)", () => {
    const { board, loss } = flight()

    assert.strictEqual(loss.deadlineMs, 9 + 80)
    assert.strictEqual(loss.expire(rtt, 89), "Probe")
    loss.arm(board, rtt, false, 89)
    assert.strictEqual(loss.deadlineMs, 89 + 200)
    assert.strictEqual(loss.expire(rtt, 289), "Timeout")
  })

  it("doubles the timeout up to its limit, and starts again at progress (RFC 6298 §5.5)", () => {
    const { board, loss } = flight()
    loss.expire(rtt, 89)
    const gaps: Array<number> = []
    for (let nowMs = loss.deadlineMs, last = 89; gaps.length < 8; nowMs = loss.deadlineMs) {
      assert.strictEqual(loss.expire(rtt, nowMs), "Timeout")
      gaps.push(nowMs - last)
      last = nowMs
    }
    assert.deepStrictEqual(gaps, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000])

    board.delivery.clear()
    board.acknowledge(SIZE)
    loss.delivered(board, rtt, false, 50_000)
    loss.arm(board, rtt, true, 50_000)
    assert.isAtMost(loss.deadlineMs, 50_200)
  })

  it("knows only the first hole of a peer that does not tell what it holds (RFC 6582)", () => {
    const { board, loss } = flight()
    const [first] = [board.first]
    if (first !== undefined) board.lose(first)
    if (first !== undefined) board.resent(first, 50)
    board.delivery.clear()
    board.acknowledge(4 * SIZE)
    loss.delivered(board, rtt, false, 90)

    assert.strictEqual(
      loss.detect(board, rtt, true, (segment) => board.lose(segment), 90),
      1
    )
    assert.strictEqual(board.firstLost?.start, 4 * SIZE)
  })

  it("probes a tail also inside a recovery (RFC 9002 §6.2)", () => {
    const state = flight()
    for (const index of [1, 2, 3]) sack(state, index, 43)
    const { firstLost } = state.board
    if (firstLost !== undefined) state.board.resent(firstLost, 43)
    state.loss.arm(state.board, rtt, true, 43)

    assert.strictEqual(state.loss.expire(rtt, 43 + 80), "Probe")
  })

  it("awaits nothing when nothing is outstanding", () => {
    const { board, loss } = flight()
    board.acknowledge(10 * SIZE)
    loss.arm(board, rtt, true, 60)

    assert.strictEqual(loss.deadlineMs, Number.POSITIVE_INFINITY)
  })
})
