import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { BirthdayDesk } from "../../../src/actors/node/BirthdayDesk.ts"
import { BirthdayStation } from "../../../src/actors/node/BirthdayStation.ts"
import type { NodeContext } from "../../../src/actors/node/NodeContext.ts"
import { PeerBirthday } from "../../../src/actors/node/PeerBirthday.ts"
import { PeerPaths } from "../../../src/actors/node/PeerPaths.ts"
import type { SideSockets } from "../../../src/actors/node/SideSockets.ts"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import { defaults } from "../../../src/nat/Birthday.ts"
import type { Dependence, NatReport } from "../../../src/nat/NatReport.ts"
import * as Path from "../../../src/nat/Path.ts"
import * as Address from "../../../src/protocol/wire/Address.ts"
import { BirthdayMessage, decode } from "../../../src/protocol/wire/BirthdayMessage.ts"
import * as Packet from "../../../src/protocol/wire/Packet.ts"

const PEER = Address.NodeId(2)
const OWN = { host: "198.51.100.9", port: 5000 }
const BEACON = { host: "203.0.113.9", port: 9001 }
const HOST = "198.51.100.7"

const reportOf = (mapping: Dependence): NatReport => ({
  ...{ local: { host: "192.168.1.2", port: 4000 }, mapped: OWN, isTranslated: true, mapping, beacons: [] },
  ...{ filtering: "AddressAndPortDependent", isHairpinning: false, ports: { _tag: "Random" } }
})

/** A node behind a translator of that mapping with a peer by relay and an open stream; what it says and where it sends. */
const make = (mapping: Dependence = "EndpointIndependent", { desk = new BirthdayDesk(), isTrusted = true } = {}) => {
  const station = new BirthdayStation({
    // Nobody opens sockets here.
    sides: {} as SideSockets,
    nat: { knowledge: { report: reportOf(mapping), lifetime: undefined }, discover: Effect.die("known already") },
    mapping: { endpoint: OWN },
    desk,
    beacon: BEACON,
    addresses: () => ["192.168.1.2"]
  })
  const sent: Array<string> = []
  const punches: Array<string> = []
  const context: Partial<NodeContext> = {
    ...{ address: Address.make(0, 1), beacon: BEACON, birthday: station, crypto: NativeCrypto.crypto },
    isTrusted: () => isTrusted,
    report: () => {},
    socket: {
      ...{
        local: OWN,
        counters: { sentDatagrams: 0, sentBytes: 0, receivedDatagrams: 0, receivedBytes: 0, sendErrors: 0 }
      },
      onBatch: () => {},
      send: (_, to) => void (to === BEACON ? punches : sent).push(`${to.host}:${to.port}`),
      mtuTowards: () => Effect.succeed(1500)
    }
  }
  const paths = new PeerPaths(context as NodeContext, PEER)
  paths.selector.opened(Path.relay, 0)
  const said: Array<BirthdayMessage> = []
  const birthday = new PeerBirthday({
    ...{ context: context as NodeContext, node: PEER, paths, hasStreams: () => true, tell: () => true },
    send: (packet) => void said.push(Result.getOrThrow(decode(packet.payload))),
    seal: (packet) => Packet.encode(packet)
  })
  birthday.announced(true)
  const ask = (host = HOST, nowMs = 0) =>
    birthday.received(BirthdayMessage.Asked({ round: 1, place: { host, port: 4000 } }), nowMs)
  const opened = (nowMs: number) => birthday.received(BirthdayMessage.Opened({ round: 1, sockets: 256 }), nowMs)
  /** The time of the peer's words, a second apart. */
  const play = (seconds: number) => {
    for (let ms = 0; ms < seconds * 1_000; ms += 25) {
      if (ms % 1_000 === 0) opened(ms)
      birthday.run(true, ms)
    }
  }
  return { ask, birthday, opened, play, punches, said, sent, station }
}

const reasons = (said: ReadonlyArray<BirthdayMessage>) =>
  said.flatMap((message) => (message._tag === "Declined" ? [message.reason] : [message._tag]))

describe("PeerBirthday (security rule 7)", () => {
  it("guesses ports of the host where the beacon placed the peer, of no other, and no more than its budget", () => {
    const { ask, play, said, sent, station } = make()
    ask()
    station.placed.punched({ host: HOST, port: 4000 }, 0)
    play(15)

    assert.deepStrictEqual(reasons(said), ["Agreed", "Ended"])
    assert.strictEqual(sent.length, defaults.guesses)
    assert.strictEqual(new Set(sent).size, defaults.guesses)
    assert.isTrue(sent.every((to) => to.startsWith(`${HOST}:`)))
  })

  it("sends nothing where only the peer says that it is, and asks the beacon", () => {
    const { ask, play, punches, sent, station } = make()
    ask()
    station.placed.punched({ host: "198.51.100.8", port: 4000 }, 0)
    play(15)

    assert.deepStrictEqual(sent, [])
    assert.isAbove(punches.length, 0)
  })

  it("does not agree to hosts inside a network, to its own, or to the beacon's", () => {
    for (const host of ["10.0.0.1", "192.168.1.2", "127.0.0.1", "224.0.0.1", OWN.host, BEACON.host]) {
      const { ask, said } = make()
      ask(host)
      assert.deepStrictEqual(reasons(said), ["Unplaced"], host)
    }
  })

  it("does not hear strangers, nor guess behind a translator whose ports nobody knows", () => {
    const stranger = make("EndpointIndependent", { isTrusted: false })
    stranger.ask()
    stranger.play(5)
    assert.deepStrictEqual([stranger.said, stranger.sent], [[], []])

    const symmetric = make("AddressAndPortDependent")
    symmetric.ask()
    assert.deepStrictEqual(reasons(symmetric.said), ["NotPredictable"])
  })

  it("has one try at a time with all peers, and so many bytes for a host", () => {
    const desk = new BirthdayDesk()
    const [one, other] = [make("EndpointIndependent", { desk }), make("EndpointIndependent", { desk })]
    one.ask()
    other.ask("198.51.100.8")
    assert.deepStrictEqual([reasons(one.said), reasons(other.said)], [["Agreed"], ["Busy"]])

    for (let bytes = 0; bytes < 200_000; bytes += 100) desk.limit.take(HOST, 100, 0)
    const third = make("EndpointIndependent", { desk })
    third.ask(HOST, 60_000)
    assert.deepStrictEqual(reasons(third.said), ["Limited"])
  })

  it("asks after three seconds of relay with streams, and knocks only at what the beacon placed", () => {
    const { birthday, said, sent } = make("AddressAndPortDependent")
    for (let ms = 0; ms < 2_950; ms += 50) birthday.run(true, ms)
    assert.deepStrictEqual(said, [])
    birthday.run(false, 2_950)
    for (let ms = 3_000; ms <= 6_000; ms += 50) birthday.run(true, ms)
    assert.deepStrictEqual(reasons(said), ["Asked"])

    birthday.received(BirthdayMessage.Agreed({ round: 1, place: { host: HOST, port: 5000 } }), 6_050)
    for (let ms = 6_100; ms <= 20_000; ms += 50) birthday.run(true, ms)
    assert.deepStrictEqual(sent, [])
    assert.strictEqual(birthday.report(20_000)?.outcome, "silent")
  })
})
