import { assert, describe, it } from "@effect/vitest"
import { Bbr } from "../../../src/protocol/stream/Bbr.ts"
import { BbrBandwidth } from "../../../src/protocol/stream/BbrBandwidth.ts"
import { BbrProbing } from "../../../src/protocol/stream/BbrProbing.ts"
import { SentSegment } from "../../../src/protocol/stream/SentSegment.ts"
import { acknowledgement, behavesAsController } from "../../support/CongestionControllerSuite.ts"

behavesAsController("Bbr", (sizes) => new Bbr(sizes))

const SEGMENT = 1000
const RTT_MS = 30
/** 100 segments per round trip. */
const BYTES_PER_MS = (100 * SEGMENT) / RTT_MS
const PRODUCT = BYTES_PER_MS * RTT_MS

/** A path that carries one product of bandwidth and delay, and what a flow has delivered over it. */
const newPath = () => ({ product: PRODUCT, totalDelivered: 0, nowMs: 0 })

/** One round on a path that answers after `rttMs`. */
const roundTrip = (self: Bbr, path: ReturnType<typeof newPath>, rttMs = RTT_MS): void => {
  path.nowMs += rttMs
  const bytes = Math.min(self.congestionWindow, path.product)
  const rate = { totalDelivered: path.totalDelivered + bytes, priorDelivered: path.totalDelivered }
  path.totalDelivered += bytes
  const told = { rttMs, bytesInFlight: bytes, rate: { ...rate, bytesPerMs: bytes / RTT_MS } }
  self.acknowledged(acknowledgement(self, bytes, told), path.nowMs)
}

/** So many rounds; returns the states gone through. */
const rounds = (self: Bbr, count: number, rttMs: (nowMs: number) => number = () => RTT_MS): ReadonlyArray<string> => {
  const states: Array<string> = []
  const path = newPath()
  for (let round = 0; round < count; round++) {
    roundTrip(self, path, rttMs(path.nowMs))
    if (states.at(-1) !== self.state) states.push(self.state)
  }
  return states
}

/** Rounds until the flow is in a state. */
const until = (self: Bbr, path: ReturnType<typeof newPath>, state: Bbr["state"]): number => {
  for (let count = 0; count < 1000; count++) {
    if (self.state === state) return count
    roundTrip(self, path)
  }
  throw new Error(`${state} is not reached`)
}

/** A tenth of what was in flight is lost to a queue. */
const overflow = (self: Bbr, { nowMs, totalDelivered }: ReturnType<typeof newPath>): void => {
  const segment = new SentSegment(totalDelivered, new Uint8Array(SEGMENT), nowMs)
  segment.inFlightAtSend = self.congestionWindow
  self.lost({ segment, lost: self.congestionWindow / 10, isQueued: true, totalDelivered }, nowMs)
}

const make = () => new Bbr({ segmentBytes: SEGMENT, initialWindowBytes: 10 * SEGMENT, seed: 1 })

describe("Bbr", () => {
  it("goes from Startup into the cycle of ProbeBW (draft-ietf-ccwg-bbr §5.1.1)", () => {
    // This path never has a queue, so that Drain and the first Down are over as soon as they begin.
    assert.deepStrictEqual(rounds(make(), 80).slice(0, 6), ["Startup", "Cruise", "Refill", "Up", "Down", "Cruise"])
  })

  it("keeps about twice the product of bandwidth and delay for its window, and paces at the bandwidth (§5.6)", () => {
    const self = make()
    rounds(self, 12)

    assert.isAtMost(self.congestionWindow, 3 * PRODUCT)
    assert.isAtLeast(self.congestionWindow, PRODUCT)
    assert.closeTo(self.pacingBytesPerMs(RTT_MS), BYTES_PER_MS, 0.3 * BYTES_PER_MS)
  })

  it("drains for the path's delay when five seconds have shown no lower one (§5.3.4)", () => {
    assert.include(
      rounds(make(), 200, (nowMs) => (nowMs < 100 ? RTT_MS : RTT_MS + 5)),
      "ProbeRtt"
    )
  })

  it("goes on probing while only its own bound keeps the rate from growing (§5.3.3.6 BBRIsTimeToGoDown)", () => {
    const self = make()
    const path = newPath()
    until(self, path, "Up")
    overflow(self, path)
    // Somebody leaves, and there is room for eight times as much.
    path.product *= 8
    const before = self.congestionWindow
    until(self, path, "Up")
    until(self, path, "Down")

    // By 1, 2, 4, … segments each round it is found in one probe.
    assert.isAtLeast(self.congestionWindow, 4 * before)
  })

  it("probes again after 63 rounds, or as many as Reno needs after a probe that lost too much (decision 0024)", () => {
    const waits = [false, true].map((isLost) =>
      [20, 100, 1000].map((segments) => {
        const probing = new BbrProbing({ segmentBytes: SEGMENT, initialWindowBytes: SEGMENT, seed: 1 })
        const bandwidth = new BbrBandwidth()
        probing.up(bandwidth, segments * SEGMENT, 1, 0)
        if (isLost) probing.contested()
        probing.down(bandwidth, 0)
        // Round trips of 10 ms; the time is up after two to three seconds, or four more.
        while (!probing.isDue(bandwidth, segments * SEGMENT, bandwidth.rounds * 10)) bandwidth.rounds += 1
        return bandwidth.rounds
      })
    )

    const [[few = 0, some = 0, many = 0] = [], contested = []] = waits
    assert.closeTo(few, 20, 1)
    assert.closeTo(some, 63, 1)
    assert.strictEqual(many, some)
    assert.strictEqual(contested[0], few)
    assert.closeTo(contested[1] ?? 0, 100, 1)
    assert.isTrue((contested[2] ?? 0) > 600 && (contested[2] ?? 0) <= 701)
  })
})
