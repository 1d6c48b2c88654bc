/** Two flows through one queue: two nodes of ours, and one of ours beside TCP CUBIC. */
import { Console, Effect } from "effect"
import type { Figure } from "../Figure.ts"
import * as Path from "../path/Path.ts"
import * as Stations from "../path/Stations.ts"
import type { Group } from "./Group.ts"

const measure = Effect.gen(function* () {
  const path = yield* Path.make
  const stations = yield* Stations.make(path)
  yield* path.tcpCongestionControl("cubic")
  const figures: Array<Figure> = []
  for (const mbitPerSecond of [20, 100]) {
    for (const queueProducts of [0.5, 1, 4]) {
      yield* Console.log(`${mbitPerSecond} Mbit/s, ${queueProducts} BDP …`)
      yield* path.shape(Path.shapeOf({ rttMs: RTT_MS, lossRate: 0, bitsPerSecond: mbitPerSecond * 1e6, queueProducts }))
      const rates = Effect.fnUntraced(function* (senders: ReadonlyArray<Stations.Sender>) {
        const flow = { kind: "flow", skipMs: SKIP_MS, forMs: FOR_MS } as const
        const results = yield* Effect.forEach(senders, (sender) => stations.measure(sender, flow), {
          concurrency: "unbounded"
        })
        return results.map(([bytesPerSecond = Number.NaN]) => (bytesPerSecond * 8) / 1e6)
      })
      const where = `${mbitPerSecond} Mbit/s, ${queueProducts} BDP`
      const [ours, tcp] = [yield* rates(["ours", "rival"]), yield* rates(["ours", "tcp"])]
      figures.push(...rows(`two of ours, ${where}`, ours, mbitPerSecond))
      figures.push(...rows(`ours and TCP CUBIC, ${where}`, tcp, mbitPerSecond))
    }
  }
  return figures
})

const rows = (name: string, rates: ReadonlyArray<number>, mbitPerSecond: number): ReadonlyArray<Figure> => {
  const shares = Object.fromEntries(rates.map((rate, index) => [`${index === 0 ? "first" : "second"} Mbit/s`, rate]))
  const least = Math.min(...rates) / (mbitPerSecond / 2)
  return [
    { name: `${name}: Jain's index`, unit: "", ours: jain(rates), peers: shares, bar: { kind: "atLeast", value: 0.8 } },
    { name: `${name}: least share of the fair one`, unit: "", ours: least, bar: { kind: "atLeast", value: 0.5 } }
  ]
}

/** 1 if all are equal, 1/n if one has everything. */
const jain = (shares: ReadonlyArray<number>): number =>
  shares.reduce((sum, share) => sum + share, 0) ** 2 /
  (shares.length * shares.reduce((sum, share) => sum + share ** 2, 0))

/** How a bottleneck is shared. */
export const group: Group = {
  name: "fairness",
  about: "two flows through 20 and 100 Mbit/s, 30 ms, queues of 0.5, 1 and 4 products of bandwidth and delay",
  seconds: 290,
  run: measure
}

const RTT_MS = 30
/** Both have started by then. */
const SKIP_MS = 2_000
const FOR_MS = 20_000
