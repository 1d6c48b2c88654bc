/** Renewal of keys under traffic in both directions: no packet is lost but the one that the line loses. */
import { assert, describe, it } from "@effect/vitest"
import { TunnelLine } from "../../support/TunnelLine.ts"
import { established, type Options, type Station } from "../../support/TunnelStation.ts"

const ROUND_TRIP_MS = 20
const TRAFFIC_MS = 120

interface Outcome {
  readonly frames: number
  readonly missing: number
  readonly renewals: number
  readonly expired: number
}

/** Both speak each millisecond while `renew` happens; the frame `lost` after that is lost, none when it is negative. */
const outcome = (
  options: Partial<Options>,
  renew: (stations: readonly [Station, Station]) => void,
  lost: number
): Outcome => {
  const stations = established(options, options)
  let frames = 0
  let isCounting = false
  const line = new TunnelLine({
    stations,
    roundTripMs: ROUND_TRIP_MS,
    nowMs: 10_000,
    isLost: () => isCounting && frames++ === lost
  })
  const sent: readonly [Array<string>, Array<string>] = [[], []]
  let sequence = 0
  const speak = () => {
    for (const [index, station] of stations.entries()) {
      const text = `${sequence++}`
      assert.isTrue(station.send(text, line.nowMs))
      sent[index]!.push(text)
    }
  }
  line.run(ROUND_TRIP_MS, speak)
  isCounting = true
  renew(stations)
  for (const station of stations) station.flush(line.nowMs)
  line.run(TRAFFIC_MS, speak)
  // Frames of the renewal itself may be repeated by then; what was sent has arrived, or never will.
  line.run(ROUND_TRIP_MS)
  const [a, b] = stations
  const missing = (by: Station, texts: ReadonlyArray<string>) => texts.length - by.delivered.length
  for (const station of stations) assert.strictEqual(new Set(station.delivered).size, station.delivered.length)
  return {
    frames,
    missing: missing(a, sent[1]) + missing(b, sent[0]),
    renewals: stations.flatMap(({ events }) => events.filter((event) => event === "Established")).length,
    expired:
      a.tunnel.counters.expired + b.tunnel.counters.expired + a.tunnel.counters.refused + b.tunnel.counters.refused
  }
}

const assertNothingElseLost = (
  options: Partial<Options>,
  renew: (stations: readonly [Station, Station]) => void,
  renewalsMin: number
): void => {
  const whole = outcome(options, renew, -1)
  assert.deepStrictEqual([whole.missing, whole.expired], [0, 0])
  assert.isAtLeast(whole.renewals, renewalsMin)
  for (let lost = 0; lost < whole.frames; lost++) {
    const { expired, missing } = outcome(options, renew, lost)
    assert.isAtMost(missing, 1, `frame ${lost} lost`)
    assert.strictEqual(expired, 0, `frame ${lost} lost`)
  }
}

describe("renewal of keys under traffic, whichever one frame is lost", () => {
  it("loses nothing else when one side renews, as after a day (wire §6.1)", () => {
    assertNothingElseLost({}, ([a]) => a.renew(10_000 + ROUND_TRIP_MS), 2)
  })

  it("loses nothing else when both renew at once", () => {
    assertNothingElseLost(
      {},
      (stations) => {
        for (const station of stations) station.renew(10_000 + ROUND_TRIP_MS)
      },
      2
    )
  })

  it("loses nothing else when the frames of the keys are used up on both sides", () => {
    // An eighth of the lifetime is left for the exchange: more frames than two round trips bring.
    assertNothingElseLost({ config: { keyLifetimeFrames: 90 } }, () => {}, 2)
  })
})
