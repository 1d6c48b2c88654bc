/** Streams between two processes of their own, by in-process nodes or through two daemons, beside TCP and hyperdht. */
import { Console, Effect } from "effect"
import * as Between from "../Between.ts"
import * as Ceiling from "../Ceiling.ts"
import type { Figure } from "../Figure.ts"
import * as Network from "../Network.ts"
import * as Peers from "../Peers.ts"
import * as Others from "../peers/Others.ts"
import type { Group } from "./Group.ts"

const run = Effect.gen(function* () {
  const network = yield* Network.make(Peers.SERVER)
  yield* Console.log("what the machine allows …")
  const before = yield* sealed
  const udp = yield* Effect.promise(() => Ceiling.udpRoundTrip(ROUNDS))
  const tcp = yield* Effect.promise(() => Ceiling.tcpFirstByte(DIALS))
  yield* Console.log("TCP and hyperdht …")
  const others = { tcp: yield* Others.tcp, hyperdht: yield* Others.hyperdht }
  yield* Console.log("through two daemons …")
  const daemons = yield* Effect.scoped(
    Effect.andThen(Effect.all([network.server.daemon, network.client.daemon]), Between.daemons(network, COUNTS))
  )
  yield* Console.log("nodes in the two processes …")
  const nodes = yield* Between.nodes(network, COUNTS)
  const ceiling = { value: (before + (yield* sealed)) / 2e6, of: `sealed ${DATAGRAM_BYTES}-byte datagrams` }
  const echo = { value: udp.p50Ms, of: "raw UDP echo" }
  const connect = { value: tcp.p50Ms, of: "TCP connect and echo" }
  const stream = { unit: "MB/s", ceiling }
  const rtt = { unit: "ms", ceiling: echo }
  const dial = { unit: "ms", ceiling: connect }
  return [
    {
      ...stream,
      name: "one stream, datagram size free, in-process nodes",
      ours: nodes.bytesPerSecond / 1e6,
      peers: { TCP: others.tcp.bytesPerSecond / 1e6, hyperdht: others.hyperdht.bytesPerSecond / 1e6 },
      bar: { kind: "atLeast", value: 600 }
    },
    { ...stream, name: "one stream, datagram size free, through two daemons", ours: daemons.bytesPerSecond / 1e6 },
    {
      ...rtt,
      name: "round trip of 64 bytes, in-process nodes, p50",
      ours: nodes.roundTrip.p50Ms,
      peers: { TCP: others.tcp.roundTrip.p50Ms, hyperdht: others.hyperdht.roundTrip.p50Ms },
      bar: { kind: "atMost", value: 2, isRatio: true }
    },
    {
      ...rtt,
      name: "round trip of 64 bytes, in-process nodes, p99",
      ours: nodes.roundTrip.p99Ms,
      ceiling: { value: udp.p99Ms, of: "raw UDP echo" },
      peers: { TCP: others.tcp.roundTrip.p99Ms, hyperdht: others.hyperdht.roundTrip.p99Ms }
    },
    {
      ...rtt,
      name: "round trip of 64 bytes, through two daemons, p50",
      ours: daemons.roundTrip.p50Ms,
      bar: { kind: "atMost", value: 4, isRatio: true }
    },
    {
      name: "small requests at once on one stream, in-process nodes",
      unit: "/s",
      ours: nodes.requestsPerSecond,
      peers: { TCP: others.tcp.requestsPerSecond, hyperdht: others.hyperdht.requestsPerSecond },
      bar: { kind: "atLeast", value: 60_000 }
    },
    {
      ...dial,
      name: "name to first byte, tunnel up, in-process, p50",
      ours: nodes.dial.p50Ms,
      bar: { kind: "atMost", value: 1 }
    },
    { ...dial, name: "name to first byte, tunnel up, daemons, p50", ours: daemons.dial.p50Ms },
    {
      ...dial,
      name: "name to first byte, tunnel down, in-process, p50",
      ours: nodes.coldDial.p50Ms,
      peers: { "hyperdht, node up": others.hyperdht.dial.p50Ms, "hyperdht, new node": others.hyperdht.coldDial.p50Ms },
      bar: { kind: "atMost", value: 10 }
    }
  ] satisfies ReadonlyArray<Figure>
})

/** Without delay or loss. */
export const group: Group = {
  name: "streams",
  about: "throughput, round trips and dials over the loopback, between two processes",
  seconds: 90,
  run
}

const sealed = Effect.promise(() => Ceiling.sealedBytesPerSecond(DATAGRAM_BYTES, CEILING_MS))

const COUNTS = { rounds: 20_000, dials: 400, coldDials: 12, transferMs: 1_500, transfers: 4, pipelineMs: 3_000 }
/** About what fits a datagram of the loopback. */
const DATAGRAM_BYTES = 60_000
const CEILING_MS = 2_000
const ROUNDS = 5_000
const DIALS = 300
