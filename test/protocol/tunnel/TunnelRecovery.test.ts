/**
 * How soon keys are agreed, in round trips of virtual time, whichever one frame of the exchange is lost: first contact,
 * and after either side has lost them.
 */
import { assert, describe, it } from "@effect/vitest"
import { TunnelLine } from "../../support/TunnelLine.ts"
import { established, Station } from "../../support/TunnelStation.ts"

const ROUND_TRIP_MS = 40
/** Each speaker says something this often. */
const EVERY_MS = 1

/** Who has something to say. */
type Speaker = "a" | "b" | "both"

interface Outcome {
  /** Round trips from the first frame of the exchange until both have proven keys and each speaker has been heard. */
  readonly roundTrips: number
  /** Frames on the line until then. */
  readonly frames: number
}

/** `lost` counts the frames of the exchange from 0; none is lost when it is negative. */
const outcome = (stations: readonly [Station, Station], speaker: Speaker, startMs: number, lost: number): Outcome => {
  const [a, b] = stations
  let begunAtMs: number | undefined
  const isExchange = (station: Station) => station.events.includes("SendKeyExchange")
  let index = 0
  const line = new TunnelLine({
    stations,
    roundTripMs: ROUND_TRIP_MS,
    nowMs: startMs,
    isLost: () => {
      if (begunAtMs === undefined) return false
      index += 1
      return index - 1 === lost
    }
  })
  const livesBefore = stations.map(({ tunnel }) => tunnel.lives)
  const isHeard = (by: Station, text: string) => by.delivered.some((delivered) => delivered.startsWith(text))
  const isDone = () =>
    (speaker === "a" || isHeard(a, "new b")) &&
    (speaker === "b" || isHeard(b, "new a")) &&
    stations.every(({ tunnel }, index) => tunnel.lives === livesBefore[index]! + 1)
  let sequence = 0
  for (let elapsedMs = 0; elapsedMs < 60_000; elapsedMs += 1) {
    if (elapsedMs % EVERY_MS === 0) {
      if (speaker !== "b") a.send(`new a ${sequence++}`, line.nowMs)
      if (speaker !== "a") b.send(`new b ${sequence++}`, line.nowMs)
    }
    if (begunAtMs === undefined && stations.some(isExchange)) begunAtMs = line.nowMs
    line.run(1)
    if (begunAtMs === undefined && stations.some(isExchange)) begunAtMs = line.nowMs
    if (begunAtMs !== undefined && isDone())
      return { roundTrips: (line.nowMs - begunAtMs) / ROUND_TRIP_MS, frames: index }
  }
  return assert.fail(`never agreed, frame ${lost} lost`)
}

/** The worst over the loss of each frame of the exchange, as many as there are without loss. */
const worst = (make: () => readonly [Station, Station], speaker: Speaker, startMs: number): number => {
  const whole = outcome(make(), speaker, startMs, -1)
  const lossy = Array.from({ length: whole.frames }, (_, lost) => outcome(make(), speaker, startMs, lost).roundTrips)
  return Math.max(whole.roundTrips, ...lossy)
}

/** And the turns that a speaker waits for. */
const TWO_ROUND_TRIPS = 2 + (2 * EVERY_MS) / ROUND_TRIP_MS

describe("agreeing on keys, whichever one frame is lost", () => {
  for (const speaker of ["a", "b", "both"] as const) {
    it(`takes two round trips at most at first contact, when ${speaker} speaks first`, () => {
      const make = () => [new Station({ node: 1, peer: 2 }), new Station({ node: 2, peer: 1 })] as const

      assert.isAtMost(worst(make, speaker, 0), TWO_ROUND_TRIPS)
    })

    for (const restarted of [0, 1] as const) {
      it(`takes two round trips at most after a restart of ${"ab"[restarted]}, when ${speaker} speaks first`, () => {
        const make = () => {
          const stations = established()
          stations[restarted].restart()
          for (const station of stations) station.takeEvents()
          return stations
        }

        assert.isAtMost(worst(make, speaker, 10_000), TWO_ROUND_TRIPS)
      })
    }
  }
})
