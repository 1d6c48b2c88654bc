/** 5 MB over a path that takes time and loses packets, from dialling to the answer to the last byte. */
import { Console, Effect } from "effect"
import type { Figure } from "../Figure.ts"
import * as Path from "../path/Path.ts"
import * as Stations from "../path/Stations.ts"
import * as Statistics from "../Statistics.ts"
import type { Group } from "./Group.ts"

const measure = Effect.gen(function* () {
  const path = yield* Path.make
  const stations = yield* Stations.make(path)
  const figures: Array<Figure> = []
  for (const { barS, lossRate, rttMs } of CASES) {
    yield* path.shape(Path.shapeOf({ rttMs, lossRate }))
    yield* Console.log(`${rttMs} ms, ${lossRate * 100} % …`)
    const seconds = Effect.fnUntraced(function* (sender: Stations.Sender, times: number, isCold: boolean) {
      const upload = { kind: "upload", bytes: BYTES, times, isCold } as const
      const results = yield* stations.measure(sender, upload)
      // The first one of several also pays for the compiler; an agent runs for days.
      return Statistics.median(times === 1 ? results : results.slice(1)) / 1000
    })
    const up = yield* seconds("ours", TIMES, false)
    const down = yield* seconds("ours", TIMES, true)
    const hyperdht = yield* seconds("hyperdht", TIMES, true)
    yield* path.tcpCongestionControl("bbr")
    const bbr = yield* seconds("tcp", TIMES, true)
    yield* path.tcpCongestionControl("cubic")
    // Minutes each where it loses.
    const cubic = yield* seconds("tcp", lossRate === 0 ? TIMES : 1, true)
    const peers = { hyperdht, "TCP BBR": bbr, "TCP CUBIC": cubic }
    const name = `5 MB, ${rttMs} ms, ${lossRate * 100} % loss`
    figures.push(
      { name: `${name}, tunnel up`, unit: "s", ours: up, peers, bar: { kind: "atMost", value: barS } },
      { name: `${name}, tunnel down`, unit: "s", ours: down, peers: { hyperdht } }
    )
  }
  return figures
})

/** The lossy rows of the benchmark. */
export const group: Group = {
  name: "loss",
  about: "5 MB over 30 and 214 ms at 0, 0.5 and 2 % loss, beside hyperdht and TCP on the same path",
  seconds: 480,
  run: measure
}

const BYTES = 5_000_000
const TIMES = 6
/** The bars of the architecture page, the dial included. */
const CASES = [
  { rttMs: 30, lossRate: 0, barS: 0.29 },
  { rttMs: 30, lossRate: 0.005, barS: 0.34 },
  { rttMs: 30, lossRate: 0.02, barS: 0.4 },
  { rttMs: 214, lossRate: 0, barS: 2 },
  { rttMs: 214, lossRate: 0.005, barS: 2.3 },
  { rttMs: 214, lossRate: 0.02, barS: 3 }
]
