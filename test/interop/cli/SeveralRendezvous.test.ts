import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Json from "../../../src/core/data/Json.ts"
import * as PilotNetwork from "../../support/PilotNetwork.ts"
import * as PilotProcesses from "../../support/PilotProcesses.ts"

const run = (home: string, ...args: ReadonlyArray<string>) =>
  Effect.map(PilotProcesses.pilotctl(home, ["--json", ...args]), (outcome) => ({
    ...outcome,
    data: (Json.parseObject(outcome.stdout)?.["data"] ?? {}) as Json.JsonObject
  }))
const ok = (home: string, ...args: ReadonlyArray<string>) =>
  Effect.tap(run(home, ...args), ({ exitCode, stderr }) =>
    Effect.sync(() => assert.strictEqual(exitCode, 0, `${args.join(" ")}: ${stderr}`))
  )

describe("several rendezvous, as processes", () => {
  it.live(
    "a running node joins a second one, talks on both, survives a restart, and leaves",
    () =>
      Effect.gen(function* () {
        const network = yield* PilotNetwork.make
        const elsewhere = yield* PilotNetwork.elsewhere(network)
        const { card } = elsewhere
        const anna = yield* PilotNetwork.startDaemon(network, "anna")
        const bert = yield* PilotNetwork.startDaemon(elsewhere, "bert")
        const carl = yield* PilotNetwork.startDaemon(network, "carl")
        assert.deepStrictEqual([anna.node, bert.node], [1, 1], "both registries call theirs the first")

        const wrong = yield* run(carl.home, "rendezvous", "join", card.registry, "--fingerprint", "0".repeat(64))
        assert.strictEqual(PilotProcesses.errorOf(wrong).code, "connection_failed")
        const at = ["--fingerprint", card.fingerprint, "--beacon", card.beacon]
        const { data } = yield* ok(carl.home, "rendezvous", "join", card.registry, ...at, "--as", "two")
        assert.deepInclude(data, { alias: "two", state: "joined", hostname: "carl" })
        const there = Json.string(data, "registry_address")
        const again = yield* run(carl.home, "rendezvous", "join", card.registry, ...at)
        assert.strictEqual(PilotProcesses.errorOf(again).code, "already_exists")

        // An address of a further membership works wherever a number or an address does.
        yield* ok(carl.home, "trust", "add", "bert@two")
        yield* PilotProcesses.until(
          Effect.map(run(bert.home, "pending"), ({ data: asked }) => Json.objects(asked, "pending").length === 1)
        )
        yield* ok(bert.home, "approve", there, "--fingerprint", carl.fingerprint)
        yield* ok(carl.home, "send-message", "bert@two", "--data", "to bert")
        yield* ok(bert.home, "send-message", "carl", "--data", "to carl")
        yield* ok(carl.home, "ping", "268435457", "--count", "1")
        const [message] = Json.objects((yield* ok(carl.home, "inbox")).data, "messages")
        assert.deepInclude(message, { from: "0:0000.1000.0001", data: "to carl" })

        yield* ok(carl.home, "daemon", "stop")
        yield* PilotNetwork.startDaemon(network, "carl")
        yield* PilotProcesses.until(
          Effect.map(run(carl.home, "rendezvous", "list"), ({ data: listed }) =>
            Json.objects(listed, "memberships").every(({ state }) => state === "joined")
          )
        )
        yield* ok(bert.home, "send-message", "carl", "--data", "after the restart")
        const info = (yield* PilotProcesses.pilotctl(carl.home, ["info"])).stdout
        assert.match(info, /Rendezvous: {2}home .*joined/)
        assert.match(info, /Rendezvous: {2}two .*joined {2}0:0000\.1000\./)

        yield* ok(carl.home, "rendezvous", "leave", "two")
        const gone = yield* run(carl.home, "ping", "bert@two", "--count", "1")
        assert.match(gone.stderr + gone.stdout, /no rendezvous is called two/)
        const unknown = yield* run(carl.home, "rendezvous", "leave", "two")
        assert.strictEqual(PilotProcesses.errorOf(unknown).code, "not_found")
      }).pipe(Effect.scoped),
    60_000
  )
})
