/** What a bulk transfer does to a round trip beside it: on the same tunnel, or on another connection of TCP and hyperdht. */
import { Console, Effect } from "effect"
import type { Figure } from "../Figure.ts"
import * as Path from "../path/Path.ts"
import * as Stations from "../path/Stations.ts"
import * as Statistics from "../Statistics.ts"
import type { Group } from "./Group.ts"

const measure = Effect.gen(function* () {
  const loopback = yield* Effect.scoped(Effect.flatMap(Path.loopback(LOOPBACK_MTU_BYTES), over("loopback")))
  yield* Console.log("20 Mbit/s …")
  const path = yield* Path.make
  yield* path.shape(Path.shapeOf({ rttMs: 30, bitsPerSecond: 20e6, queueProducts: 1 }))
  yield* path.tcpCongestionControl("cubic")
  return [...loopback, ...(yield* over("20 Mbit/s, 30 ms, queue of one BDP")(path))]
})

const over = (name: string) =>
  Effect.fnUntraced(function* (hosts: Path.Hosts) {
    const stations = yield* Stations.make(hosts)
    const find = Effect.fnUntraced(function* (sender: Stations.Sender) {
      const times = yield* stations.measure(sender, { kind: "beside", skipMs: 2_000, times: TIMES })
      return { idle: Statistics.latency(times.slice(0, TIMES)), busy: Statistics.latency(times.slice(TIMES)) }
    })
    const [ours, hyperdht, tcp] = [yield* find("ours"), yield* find("hyperdht"), yield* find("tcp")]
    return [
      {
        name: `ping beside a bulk transfer, ${name}, p50`,
        unit: "ms",
        ours: ours.busy.p50Ms,
        ceiling: { value: ours.idle.p50Ms, of: "without the transfer" },
        peers: { hyperdht: hyperdht.busy.p50Ms, "TCP CUBIC": tcp.busy.p50Ms },
        bar: { kind: "atMost", value: 3, isRatio: true }
      }
    ] satisfies ReadonlyArray<Figure>
  })

/** Latency under load. */
export const group: Group = {
  name: "ping",
  about: "a ping on a tunnel that is busy, beside one that is not",
  seconds: 60,
  run: measure
}

const LOOPBACK_MTU_BYTES = 65_536
const TIMES = 150
