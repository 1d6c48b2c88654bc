/** One stream where a datagram has 1400 bytes, as on Ethernet: a loopback that carries no more. */
import { Effect, Schema } from "effect"
import * as Between from "../Between.ts"
import * as Ceiling from "../Ceiling.ts"
import * as Children from "../Children.ts"
import type { Figure } from "../Figure.ts"
import * as Network from "../Network.ts"
import { SERVER } from "../Peers.ts"
import * as Path from "../path/Path.ts"
import * as Stations from "../path/Stations.ts"
import * as Others from "../peers/Others.ts"
import type { Group } from "./Group.ts"

const measure = Effect.gen(function* () {
  const { client } = yield* Path.loopback(DATAGRAM_BYTES + Path.HEADER_BYTES)
  const network = yield* Network.make(SERVER)
  const options = yield* Stations.rendezvous(client, network.rendezvous)
  const before = yield* ceiling(client)
  const others = yield* Others.bytesPerSecond(client.enter)
  const ours = yield* Between.nodes(network, COUNTS, { enter: client.enter, options })
  const after = yield* ceiling(client)
  return [
    {
      name: `one stream, ${DATAGRAM_BYTES}-byte datagrams, in-process nodes`,
      unit: "MB/s",
      ours: ours.bytesPerSecond / 1e6,
      ceiling: { value: (before + after) / 2e6, of: "the same sealed, without reliability" },
      peers: { hyperdht: others.hyperdht / 1e6, TCP: others.tcp / 1e6 },
      bar: { kind: "atLeast", value: 0.82, isRatio: true }
    }
  ] satisfies ReadonlyArray<Figure>
})

const ceiling = ({ enter }: Path.Host) =>
  Children.start([...enter, process.execPath, Ceiling.PROGRAM, "seal", String(DATAGRAM_BYTES)]).pipe(
    Effect.flatMap(Children.message),
    Effect.flatMap(Schema.decodeUnknownEffect(Schema.Number)),
    Effect.scoped
  )

/** What a network without jumbo frames allows. */
export const group: Group = {
  name: "datagrams",
  about: "throughput of one stream with datagrams of 1400 bytes, between two processes",
  seconds: 40,
  run: measure
}

const DATAGRAM_BYTES = 1400
const COUNTS = { rounds: 0, dials: 0, coldDials: 0, transferMs: 2_000, transfers: 5, pipelineMs: 0 }
