/** Multicast DNS between two hosts on one cable, whose rendezvous is dead. */
import { readFileSync, writeFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Pilotctl from "../../examples/demo/Pilotctl.ts"
import * as Json from "../../src/core/data/Json.ts"
import * as PilotProcesses from "../support/PilotProcesses.ts"
import * as Namespaces from "./Namespaces.ts"

/** Whoever develops elsewhere has no such hosts; on machines that decide, a missing one is a failure. */
const isPossible = process.env["CI"] !== undefined || (process.platform === "linux" && process.getuid?.() === 0)

/** `pilotctl --json` on a host. */
const on = (host: Namespaces.Host, home: string) => {
  const environment = Object.entries(Pilotctl.environment(home)).map(([name, value]) => `${name}=${value}`)
  return (...args: ReadonlyArray<string>) =>
    Effect.map(
      host.run("env", "-i", ...environment, process.execPath, Pilotctl.PROGRAM, "--json", ...args),
      (stdout) => Json.parseObject(stdout)?.["data"] as Json.JsonObject
    )
}

/** Where peers were and which port this node had is forgotten; what is left is who it is. */
const forgetPlaces = (home: string): void => {
  const path = `${home}/last-known.json`
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, "utf8")), peers: [], port: 0 }))
}

describe.skipIf(!isPossible)("a local network without a rendezvous (needs Linux, root, iproute2)", () => {
  it.live(
    "nodes that know each other's keys find each other by multicast, started while the rendezvous is dead",
    () =>
      Effect.gen(function* () {
        const directory = yield* PilotProcesses.directory
        // The router is the second host of the first cable; the rendezvous is beyond it.
        const net = yield* Namespaces.make([1500, 1500])
        const [rendezvous, anna, bert] = [
          on(net.b, `${directory}/rendezvous`),
          on(net.a, `${directory}/anna`),
          on(net.router, `${directory}/bert`)
        ]
        const [registry, beacon] = [`${net.b.ip}:9000`, `${net.b.ip}:9001`]
        const card = yield* rendezvous("rendezvous", "start", "--registry-addr", registry, "--beacon-addr", beacon)
        const pin = ["--registry-fingerprint", Json.string(card, "fingerprint")]
        const start = (pilotctl: typeof anna, name: string) =>
          pilotctl("daemon", "start", "--hostname", name, "--registry", registry, "--beacon", beacon, ...pin)
        yield* start(anna, "anna")
        yield* start(bert, "bert")
        yield* anna("trust", "add", "bert")
        yield* PilotProcesses.until(Effect.map(bert("pending"), (data) => Json.objects(data, "pending").length === 1))
        yield* bert("approve", "anna")
        yield* anna("send-message", "bert", "--data", "before")
        yield* bert("send-message", "anna", "--data", "before")
        const isKnown = (data: Json.JsonObject) =>
          Json.objects(data, "neighbours").some((row) => Json.boolean(row, "known"))
        yield* PilotProcesses.until(Effect.map(anna("lan"), isKnown))

        const pids = ["_rendezvous-run", "_daemon-run"].flatMap((word) => PilotProcesses.running(directory, word))
        yield* Effect.forEach(pids, PilotProcesses.killNow, { discard: true })
        for (const name of ["anna", "bert"]) forgetPlaces(`${directory}/${name}`)
        yield* Effect.all([start(anna, "anna"), start(bert, "bert")], { concurrency: 2 })
        yield* PilotProcesses.until(Effect.map(anna("lan"), isKnown))
        yield* anna("send-message", "bert", "--data", "after")
        const messages = Json.objects(yield* bert("inbox"), "messages").map((row) => Json.string(row, "data"))

        assert.deepStrictEqual(messages.toSorted(), ["after", "before"])
        const [peer] = Json.objects(yield* anna("peers"), "peers")
        assert.deepInclude(peer, { path: "direct", relay: false })
        assert.match(Json.string(peer!, "endpoint"), /^10\.77\.1\.1:/)
      }).pipe(Effect.scoped),
    60_000
  )
})
