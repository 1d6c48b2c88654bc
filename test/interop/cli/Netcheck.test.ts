import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Json from "../../../src/core/data/Json.ts"
import * as PilotNetwork from "../../support/PilotNetwork.ts"
import * as PilotProcesses from "../../support/PilotProcesses.ts"

const data = (home: string, ...args: ReadonlyArray<string>) =>
  Effect.map(PilotProcesses.pilotctl(home, ["--json", ...args]), ({ exitCode, stderr, stdout }) => {
    assert.strictEqual(exitCode, 0, stderr)
    return Json.parseObject(stdout)?.["data"] as Json.JsonObject
  })

describe("what a node knows of its way to others, as processes", () => {
  it.live(
    "netcheck with and without a daemon; why, connect and ping name the path",
    () =>
      Effect.gen(function* () {
        const network = yield* PilotNetwork.make
        const [alice, bob] = yield* PilotNetwork.startPair(network, "alice", "bob")

        const found = yield* data(alice.home, "netcheck")
        assert.deepInclude(found, {
          daemon: true,
          udp: true,
          translated: false,
          mapping: "not-port-dependent",
          filtering: "not-port-dependent",
          hairpin: null,
          ports: "preserving",
          clock_skew_seconds: found["clock_skew_seconds"],
          lifetime: null
        })
        assert.include([-1, 0, 1], found["clock_skew_seconds"])
        const [beacon] = Json.objects(found, "beacons")
        assert.deepInclude(beacon, { endpoint: network.card.beacon, probes: true })
        assert.strictEqual(found["mapped"], found["local"])

        const human = yield* PilotProcesses.pilotctl(alice.home, ["netcheck"])
        assert.match(human.stdout, /^UDP: +yes\nNAT: +\S+ \(127\.0\.0\.1:\d+, not translated\)\n/)
        assert.match(human.stdout, /\nBeacon: +127\.0\.0\.1:\d+ {2}[\d.]+ ms\n/)

        // The relay is first, the direct path soon.
        yield* PilotProcesses.until(Effect.map(data(alice.home, "why", "bob"), (told) => told["kind"] === "direct"))
        const why = yield* data(alice.home, "why", "bob")
        assert.deepInclude(why, {
          node_id: bob.node,
          kind: "direct",
          encrypted: true,
          authenticated: true,
          reason: "an authenticated frame came by it, and a direct path beats the relay",
          advice: []
        })
        assert.match(String(why["path"]), /^127\.0\.0\.1:\d+$/)
        const candidates = Json.objects(why, "candidates")
        assert.deepStrictEqual(
          candidates.filter((row) => row["in_use"] === true).map((row) => [row["path"], row["verdict"]]),
          [[why["path"], "proven"]]
        )
        assert.isTrue(candidates.some((row) => row["path"] === "relay" && row["source"] === "beacon"))
        const explained = yield* PilotProcesses.pilotctl(alice.home, ["why", "bob"])
        assert.match(
          explained.stdout,
          /: direct 127\.0\.0\.1:\d+, [\d.]+ ms, encrypted\nbecause an authenticated frame/
        )

        // What others print about the same peer is the same.
        const [row] = Json.objects(yield* data(alice.home, "peers"), "peers")
        assert.deepInclude(row, { node_id: bob.node, kind: "direct", endpoint: why["path"] })
        assert.isNumber(row?.["rtt_ms"])
        const [listed] = Json.objects(yield* data(alice.home, "info"), "peer_list")
        assert.deepInclude(listed, { kind: "direct", endpoint: why["path"] })

        const pinged = yield* PilotProcesses.pilotctl(alice.home, ["ping", "bob", "--count", "1"])
        assert.match(pinged.stderr, /^resolved "bob" → \S+\ndirect 127\.0\.0\.1:\d+, [\d.]+ ms, encrypted\n$/)
        const connected = yield* PilotProcesses.pilotctl(alice.home, ["connect", "bob", "7", "--message", "hello"])
        assert.strictEqual(connected.stdout, "hello\n")
        assert.match(connected.stderr, /^resolved "bob" → \S+\ndirect 127\.0\.0\.1:\d+, [\d.]+ ms, encrypted\n$/)

        const lonely = yield* data(network.home("nobody"), "netcheck", "--beacon", network.card.beacon)
        assert.deepInclude(lonely, { daemon: false, udp: true, translated: false })
        const dark = yield* data(network.home("nobody"), "netcheck", "--beacon", "127.0.0.1:1")
        assert.deepInclude(dark, { daemon: false, udp: false, nat: "unknown", mapped: null })
        assert.include(String(dark["advice"]), "no beacon answers")
      }),
    60_000
  )
})
