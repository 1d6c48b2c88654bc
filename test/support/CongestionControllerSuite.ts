/** What every congestion controller must do, whatever its curve, and what those must that know only their window. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import {
  type Acknowledgement,
  type CongestionController,
  type CongestionSizes,
  type SegmentLoss,
  WINDOW_BYTES_MAX,
  WINDOW_SEGMENTS_MIN
} from "../../src/protocol/stream/CongestionController.ts"
import { SentSegment } from "../../src/protocol/stream/SentSegment.ts"
import * as Arb from "./Arbitraries.ts"

const SEGMENT = 1000
const RTT_MS = 50
const sizes: CongestionSizes = { segmentBytes: SEGMENT, initialWindowBytes: 10 * SEGMENT, seed: 1 }

/** The acknowledgement of `bytes`, on a path that delivers one window per round trip. */
export const acknowledgement = (
  self: CongestionController,
  bytes: number,
  options: Partial<Omit<Acknowledgement, "rate">> & { readonly rate?: Partial<Acknowledgement["rate"]> } = {}
): Acknowledgement => ({
  bytes,
  bytesInFlight: Math.max(0, self.congestionWindow - bytes),
  isWindowLimited: true,
  isInRecovery: false,
  rttMs: RTT_MS,
  smoothedRttMs: RTT_MS,
  ...options,
  rate: {
    delivered: self.congestionWindow,
    bytesPerMs: self.congestionWindow / RTT_MS,
    priorDelivered: 0,
    inFlightAtSend: self.congestionWindow,
    lost: 0,
    isAppLimited: options.isWindowLimited === false,
    totalDelivered: bytes,
    ...options.rate
  }
})

const events = Arbitrary.array(
  Arbitrary.all({
    kind: Arb.element("Acknowledged", "Acknowledged", "Acknowledged", "Idle", "Congested", "TimedOut", "Lost", "Other"),
    bytes: Arb.element(1, SEGMENT, 2 * SEGMENT, 40 * SEGMENT, 4_000_000),
    waitMs: Arb.element(0, 1, RTT_MS, 10_000)
  }),
  { maxLength: 80 }
)

const lost = (self: CongestionController, bytes: number, isQueued: boolean): SegmentLoss => {
  const segment = new SentSegment(bytes, new Uint8Array(SEGMENT), 0)
  segment.inFlightAtSend = self.congestionWindow
  return { segment, lost: bytes, isQueued, totalDelivered: bytes }
}

/** Feeds one event of a trace. */
const feed = (
  self: CongestionController,
  { bytes, kind }: { readonly kind: string; readonly bytes: number },
  totalDelivered: number,
  nowMs: number
): void => {
  if (kind === "Congested") self.congested(bytes, nowMs)
  else if (kind === "TimedOut") self.timedOut(bytes, nowMs)
  else if (kind === "Lost") self.lost(lost(self, bytes, bytes > SEGMENT), nowMs)
  else if (kind !== "Other") {
    const rate = { totalDelivered, priorDelivered: totalDelivered - bytes }
    self.acknowledged(acknowledgement(self, bytes, { isWindowLimited: kind === "Acknowledged", rate }), nowMs)
  } else if (bytes === 1) self.undo(nowMs)
  else if (bytes === SEGMENT) self.recovered(nowMs)
  else self.resumed(nowMs)
}

/** One round trip in which the whole window is acknowledged, two segments at a time. */
const roundTrip = (self: CongestionController, nowMs: number): number => {
  const window = self.congestionWindow
  const rate = { delivered: window, bytesPerMs: window / RTT_MS }
  for (let bytes = 2 * SEGMENT; bytes <= window; bytes += 2 * SEGMENT) {
    self.acknowledged(acknowledgement(self, 2 * SEGMENT, { rate: { ...rate, totalDelivered: bytes } }), nowMs)
  }
  return nowMs + RTT_MS
}

/** Registers what holds for every implementation. */
export const behavesAsController = (name: string, make: (sizes: CongestionSizes) => CongestionController): void => {
  describe(`${name}: congestion control`, () => {
    it.prop(
      "keeps its window between two segments and the greatest window, and a rate above nothing (RFC 9002 §7.2)",
      { events },
      ({ events }) => {
        const self = make(sizes)
        let nowMs = 0
        let totalDelivered = 0
        for (const event of events) {
          nowMs += event.waitMs
          totalDelivered += event.bytes
          feed(self, event, totalDelivered, nowMs)

          assert.isAtLeast(self.congestionWindow, WINDOW_SEGMENTS_MIN * SEGMENT)
          assert.isAtMost(self.congestionWindow, WINDOW_BYTES_MAX)
          assert.isAtLeast(self.slowStartThreshold, WINDOW_SEGMENTS_MIN * SEGMENT)
          assert.isAbove(self.pacingBytesPerMs(RTT_MS), 0)
        }
      }
    )

    it.prop("never grows by a congestion, a loss or a timeout", { events }, ({ events }) => {
      const self = make(sizes)
      let nowMs = 0
      for (const event of events) {
        const before = self.congestionWindow
        nowMs += event.waitMs
        feed(self, event, nowMs * SEGMENT, nowMs)
        if (["Congested", "Lost", "TimedOut"].includes(event.kind)) assert.isAtMost(self.congestionWindow, before)
      }
    })

    it("doubles per round trip in slow start (RFC 5681 §3.1)", () => {
      const self = make(sizes)
      roundTrip(self, 0)

      assert.strictEqual(self.congestionWindow, 20 * SEGMENT)
    })

    it("does not grow while the window is not what holds the sender back (RFC 7661 §4.1)", () => {
      const self = make(sizes)
      for (let count = 0; count < 1000; count++) {
        self.acknowledged(acknowledgement(self, SEGMENT, { isWindowLimited: false }), count)
      }

      assert.isAtMost(self.congestionWindow, 10 * SEGMENT)
    })

    it("starts from the least window after a timeout, and undo takes it back (RFC 4015 §3)", () => {
      const self = make(sizes)
      self.timedOut(10 * SEGMENT, 0)
      assert.strictEqual(self.congestionWindow, WINDOW_SEGMENTS_MIN * SEGMENT)

      self.undo(0)
      assert.strictEqual(self.congestionWindow, 10 * SEGMENT)
      assert.strictEqual(self.slowStartThreshold, Number.POSITIVE_INFINITY)
    })
  })
}

/** Registers what else holds for those which know nothing of the path but losses. */
export const behavesAsWindowController = (
  name: string,
  make: (sizes: CongestionSizes) => CongestionController
): void => {
  behavesAsController(name, make)

  describe(`${name}: congestion control by loss`, () => {
    it.prop("never shrinks by an acknowledgement", { events }, ({ events }) => {
      const self = make(sizes)
      let nowMs = 0
      for (const event of events) {
        const before = self.congestionWindow
        nowMs += event.waitMs
        feed(self, event, nowMs * SEGMENT, nowMs)
        if (event.kind === "Acknowledged") assert.isAtLeast(self.congestionWindow, before)
      }
    })

    it("grows by no more than half a window per round trip after a congestion", () => {
      const self = make({ ...sizes, initialWindowBytes: 100 * SEGMENT })
      self.congested(100 * SEGMENT, 0)
      let nowMs = 0
      for (let round = 0; round < 100; round++) {
        const before = self.congestionWindow
        nowMs = roundTrip(self, nowMs)
        assert.isAtMost(self.congestionWindow, 1.5 * before + 2 * SEGMENT)
      }
      assert.isAbove(self.congestionWindow, 100 * SEGMENT)
    })

    it("does not grow while it repairs losses (RFC 6675 §5)", () => {
      const self = make(sizes)
      self.congested(10 * SEGMENT, 0)
      const before = self.congestionWindow
      self.acknowledged(acknowledgement(self, 4 * SEGMENT, { isInRecovery: true }), RTT_MS)

      assert.strictEqual(self.congestionWindow, before)
    })
  })
}
