import { readFileSync, writeFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Json from "../../../src/core/data/Json.ts"
import * as ConnectProxy from "../../support/ConnectProxy.ts"
import * as PilotNetwork from "../../support/PilotNetwork.ts"
import * as PilotProcesses from "../../support/PilotProcesses.ts"

const run = (home: string, ...args: ReadonlyArray<string>) =>
  Effect.map(PilotProcesses.pilotctl(home, ["--json", ...args]), (outcome) => {
    assert.strictEqual(outcome.exitCode, 0, `${args.join(" ")}: ${outcome.stderr}`)
    return Json.parseObject(outcome.stdout)?.["data"] as Json.JsonObject
  })

describe("a node that has nothing but an HTTP proxy, as processes", () => {
  it.live(
    "registers, is trusted, and exchanges messages through it",
    () =>
      Effect.gen(function* () {
        const network = yield* PilotNetwork.make
        const elsewhere = yield* PilotNetwork.elsewhere(network, "--wss-addr", "127.0.0.1:0")
        const { card, rendezvous } = elsewhere
        const { wss } = JSON.parse(readFileSync(`${rendezvous}/rendezvous.json`, "utf8"))
        const proxy = yield* ConnectProxy.make("guest:room 12")
        const file = `${network.directory}/proxy`
        writeFileSync(file, `http://guest:room%2012@127.0.0.1:${proxy.port}\n`)
        const anna = yield* PilotNetwork.startDaemon(elsewhere, "anna")
        const home = `${network.directory}/bert`
        // Neither port leads anywhere: the registry's is closed, and to the beacon's no UDP comes through.
        const blocked = ["--registry", "127.0.0.1:1", "--beacon", "192.0.2.1:9001"]
        const through = ["--registry-fingerprint", card.fingerprint, "--wss", wss, "--proxy", `@${file}`]
        yield* run(home, "daemon", "start", "--hostname", "bert", ...blocked, ...through)

        yield* run(home, "trust", "add", "anna")
        yield* PilotProcesses.until(
          Effect.map(run(anna.home, "pending"), (data) => Json.objects(data, "pending").length === 1)
        )
        yield* run(anna.home, "approve", "bert")
        yield* run(home, "send-message", "anna", "--data", "from the hotel")
        yield* run(anna.home, "send-message", "bert", "--data", "to the hotel")
        const [message] = Json.objects(yield* run(home, "inbox"), "messages")
        assert.deepInclude(message, { data: "to the hotel" })
        const info = yield* run(home, "info")
        assert.strictEqual(Json.string(info, "beacon_route"), "websocket")
        assert.isAtLeast(proxy.opened.length, 2, "one for the registry, one for the beacon")
        yield* run(home, "daemon", "stop")
      }).pipe(Effect.scoped),
    60_000
  )
})
