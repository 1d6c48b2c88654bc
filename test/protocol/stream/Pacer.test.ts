import { assert, describe, it } from "@effect/vitest"
import { windowPacing } from "../../../src/protocol/stream/CongestionController.ts"
import { Pacer } from "../../../src/protocol/stream/Pacer.ts"
import * as Arb from "../../support/Arbitraries.ts"

const SEGMENT = 1000

/** Sends as much as the pacer allows until `untilMs`, waking when it says; returns the instants. */
const send = (bytesPerMs: number, untilMs: number): ReadonlyArray<number> => {
  const pacer = new Pacer(SEGMENT)
  const times: Array<number> = []
  for (let nowMs = 0; nowMs < untilMs; nowMs = pacer.openAtMs) {
    pacer.refill(bytesPerMs, nowMs)
    while (pacer.isOpen) {
      pacer.sent(SEGMENT)
      times.push(nowMs)
    }
    assert.isAbove(pacer.openAtMs, nowMs)
  }
  return times
}

describe("Pacer", () => {
  it("begins with ten segments (RFC 6928)", () => {
    assert.lengthOf(
      send(windowPacing(32 * SEGMENT, true, 100), 50).filter((atMs) => atMs === 0),
      10
    )
  })

  it("sends one and a quarter windows per round trip, two in slow start (RFC 9002 §7.7)", () => {
    assert.closeTo(send(windowPacing(100 * SEGMENT, false, 100), 1000).length, 1250 + 10, 4)
    assert.closeTo(send(windowPacing(100 * SEGMENT, true, 100), 1000).length, 2000 + 10, 4)
  })

  it.prop(
    "never sends more than 256 segments at once, and always wakes again",
    {
      window: Arb.element(2, 10, 1000, 16_000),
      rttMs: Arb.element(0.001, 0.1, 1, 30, 5000),
      isSlowStart: Arb.element(true, false)
    },
    ({ isSlowStart, rttMs, window }) => {
      const times = send(windowPacing(window * SEGMENT, isSlowStart, rttMs), Math.min(rttMs, 5))
      const bursts = new Map<number, number>()
      for (const atMs of times) bursts.set(atMs, (bursts.get(atMs) ?? 0) + 1)

      assert.isAtMost(Math.max(...bursts.values()), 256)
    }
  )

  it("makes up for a timer that fires late, but not for more than eight milliseconds", () => {
    const pacer = new Pacer(SEGMENT)
    pacer.refill(4 * SEGMENT, 0)
    while (pacer.isOpen) pacer.sent(SEGMENT)
    const sentAt = (nowMs: number): number => {
      pacer.refill(4 * SEGMENT, nowMs)
      let count = 0
      for (; pacer.isOpen; count++) pacer.sent(SEGMENT)
      return count
    }

    assert.strictEqual(sentAt(5), 20)
    assert.strictEqual(sentAt(1000), 32)
  })

  it("does not save up more than a burst while idle", () => {
    const pacer = new Pacer(SEGMENT)
    pacer.refill(250, 0)
    pacer.refill(250, 60_000)
    let count = 0
    for (; pacer.isOpen; count++) pacer.sent(SEGMENT)

    assert.strictEqual(count, 10)
  })
})
