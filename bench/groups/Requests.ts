/** Small requests at once over a path that loses packets: a loss on one stream must not wait in front of the others. */
import { Effect } from "effect"
import type { Figure } from "../Figure.ts"
import * as Path from "../path/Path.ts"
import * as Stations from "../path/Stations.ts"
import * as Statistics from "../Statistics.ts"
import type { Group } from "./Group.ts"

const measure = Effect.gen(function* () {
  const path = yield* Path.make
  const stations = yield* Stations.make(path)
  yield* path.shape(Path.shapeOf({ rttMs: RTT_MS, lossRate: LOSS_RATE }))
  yield* path.tcpCongestionControl("cubic")
  const times = Effect.fnUntraced(function* (sender: Stations.Sender) {
    const workload = { kind: "requests", parallel: PARALLEL, rounds: ROUNDS, bytes: BYTES } as const
    return Statistics.latency(yield* stations.measure(sender, workload))
  })
  const ours = yield* times("ours")
  const hyperdht = yield* times("hyperdht")
  const tcp = yield* times("tcp")
  const row = (name: string, of: (latency: Statistics.Latency) => number, barMs: number): Figure => ({
    name: `${PARALLEL} requests at once, ${RTT_MS} ms, ${LOSS_RATE * 100} % loss, ${name}`,
    unit: "ms",
    ours: of(ours),
    ceiling: { value: RTT_MS, of: "the path" },
    peers: { [`${PARALLEL} hyperdht connections`]: of(hyperdht), [`${PARALLEL} TCP connections`]: of(tcp) },
    bar: { kind: "atMost", value: barMs }
  })
  return [row("p50", ({ p50Ms }) => p50Ms, 105), row("p99", ({ p99Ms }) => p99Ms, 310)]
})

/** Requests that do not wait for each other. */
export const group: Group = {
  name: "requests",
  about: "50 requests at once over one tunnel, 100 ms, 2 % loss",
  seconds: 60,
  run: measure
}

const RTT_MS = 100
const LOSS_RATE = 0.02
const PARALLEL = 50
const ROUNDS = 60
const BYTES = 100
