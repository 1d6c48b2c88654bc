import { assert, describe, it } from "@effect/vitest"
import { advertisable, ReceiveWindow, SendWindow } from "../../../src/protocol/stream/FlowControl.ts"

const make = (isZeroWindowClosed = false) =>
  new SendWindow({ peerSlotBytes: 4096, isZeroWindowClosed, probeMinMs: 500, probeMaxMs: 30_000 })

describe("SendWindow", () => {
  it("obeys the slots and the bytes of the window (wire §10.3)", () => {
    const window = make()
    window.update(2, 0, true)

    assert.isTrue(window.canSend(1, 1000, 4096))
    assert.isFalse(window.canSend(2, 10, 10))
    assert.isFalse(window.canSend(1, 4097, 4096))
  })

  it("ignores the window of an older segment (RFC 9293 §3.10.7.4)", () => {
    const window = make()
    window.update(5, 100, true)
    window.update(9, 99, false)
    assert.strictEqual(window.segments, 5)

    window.update(7, 100, false)
    assert.strictEqual(window.segments, 7)
  })

  it("believes a 0 that acknowledges data, and any 0 of a peer that means it (wire §10.3)", () => {
    const unknown = make()
    unknown.update(5, 0, true)
    unknown.update(0, 0, false)
    assert.strictEqual(unknown.segments, 5)
    unknown.update(0, 0, true)
    assert.strictEqual(unknown.segments, 0)

    const later = make(true)
    later.update(5, 0, true)
    later.update(0, 0, false)
    assert.strictEqual(later.segments, 0)
  })

  it("probes after 500 ms, doubling to 30 s, first by empty segments (wire §10.3)", () => {
    const window = make()
    window.blocked(0)
    const probes: Array<readonly [number, string]> = []
    for (let count = 0; count < 9; count++) {
      const nowMs = window.deadlineMs
      probes.push([nowMs, window.expire(nowMs)])
      window.blocked(nowMs)
    }

    assert.deepStrictEqual(probes, [
      [500, "Empty"],
      [1500, "Empty"],
      [3500, "Data"],
      [7500, "Data"],
      [15_500, "Data"],
      [31_500, "Data"],
      [61_500, "Data"],
      [91_500, "Data"],
      [121_500, "Data"]
    ])
    window.unblocked()
    assert.strictEqual(window.deadlineMs, Number.POSITIVE_INFINITY)
  })
})

describe("ReceiveWindow", () => {
  it("never puts 0 on the wire, nor more than 16 bits (wire §10.3)", () => {
    assert.deepStrictEqual([0, 1, 70_000].map(advertisable), [1, 1, 65_535])
  })

  it("calls for an update when it reopens from 1 to 2, or by half of it (RFC 9293 §3.8.6.2.2)", () => {
    const window = new ReceiveWindow()
    window.advertise(1)
    assert.deepStrictEqual(
      [1, 2].map((free) => window.isUpdateDue(free, 100)),
      [false, true]
    )

    window.advertise(20)
    assert.deepStrictEqual(
      [69, 70].map((free) => window.isUpdateDue(free, 100)),
      [false, true]
    )
  })

  it("answers probes while nearly closed or grown, at most every 200 ms, ever more rarely (wire §10.3)", () => {
    const window = new ReceiveWindow()
    window.advertise(100)
    assert.isFalse(window.isProbeAnswered(100, 0))
    assert.isTrue(window.isProbeAnswered(101, 0))

    window.advertise(1)
    const answers = [200, 399, 600, 900, 1400].map((nowMs) => window.isProbeAnswered(1, nowMs))
    assert.deepStrictEqual(answers, [true, false, true, false, true])
  })
})
