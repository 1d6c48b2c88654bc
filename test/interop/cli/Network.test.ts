import { statSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schedule } from "effect"
import * as Json from "../../../src/core/data/Json.ts"
import * as LocalPilotctl from "../../support/LocalPilotctl.ts"
import * as PilotNetwork from "../../support/PilotNetwork.ts"
import * as PilotProcesses from "../../support/PilotProcesses.ts"

const run = (home: string, ...args: ReadonlyArray<string>) => LocalPilotctl.run(home, ["--json", ...args])
const ok = (home: string, ...args: ReadonlyArray<string>) =>
  Effect.map(run(home, ...args), ({ data, exit, stderr }) => {
    assert.strictEqual(exit, 0, `${args.join(" ")}: ${stderr}`)
    return data
  })
const codeOf = ({ stderr }: LocalPilotctl.Outcome) => Json.string(Json.parseObject(stderr) ?? {}, "code")

describe("networks, as processes", () => {
  it.live(
    "two hosts with tokens of their operator meet without anybody, until one is revoked",
    () =>
      Effect.gen(function* () {
        const network = yield* PilotNetwork.make
        const [alpha, bravo] = yield* Effect.all(
          [PilotNetwork.startDaemon(network, "alpha"), PilotNetwork.startDaemon(network, "bravo")],
          { concurrency: 2 }
        )
        const file = `${network.directory}/fleet.key`
        yield* ok(network.directory, "network", "create", "fleet", file, "--number", "7")
        assert.strictEqual(statSync(file).mode & 0o777, 0o600)
        assert.strictEqual(codeOf(yield* run(network.directory, "network", "create", "fleet", file)), "already_exists")

        const tokens: Array<string> = []
        for (const { fingerprint, home } of [alpha, bravo]) {
          const { token } = yield* ok(network.directory, "network", "issue", file, fingerprint, "--expires", "1h")
          tokens.push(String(token))
          const joined = yield* ok(home, "network", "join", String(token))
          assert.deepInclude(joined, { name: "fleet", number: 7, open: true })
        }
        const foreign = yield* run(alpha.home, "network", "join", tokens[1] ?? "")
        assert.strictEqual(codeOf(foreign), "invalid_argument")
        assert.match(foreign.stderr, /the token is for the key/)

        const sent = yield* ok(bravo.home, "send-message", "alpha", "--data", "from bravo", "--timeout", "60s")
        assert.strictEqual(Json.integer(sent, "bytes"), 10)
        const trusted = yield* ok(alpha.home, "trust")
        assert.deepInclude(Json.objects(trusted, "trusted")[0], { fingerprint: bravo.fingerprint, network: 7 })

        const hearing = yield* Effect.forkChild(run(bravo.home, "listen", "1000", "--count", "1", "--timeout", "60s"))
        yield* Effect.repeat(ok(alpha.home, "broadcast", "fleet", "to all of us"), {
          until: () => hearing.pollUnsafe() !== undefined,
          schedule: Schedule.spaced("100 millis")
        })
        const [heard] = Json.objects((yield* Fiber.join(hearing)).data, "messages")
        assert.deepInclude(heard, { data: "to all of us", src_addr: alpha.address })
        const told = yield* ok(bravo.home, "broadcast", "7", "x")
        assert.deepInclude(told, { network: 7, port: 1000, bytes: 1, sent: [{ node_id: alpha.node }], failed: [] })

        const { list } = yield* ok(network.directory, "network", "revoke", file, bravo.fingerprint)
        assert.deepStrictEqual(yield* ok(alpha.home, "network", "update", String(list)), { news: true })
        assert.deepStrictEqual(yield* ok(alpha.home, "network", "update", String(list)), { news: false })
        yield* PilotProcesses.until(
          Effect.map(run(bravo.home, "trust"), ({ data }) => Json.objects(data, "trusted").length === 0)
        )
        const refused = yield* run(bravo.home, "send-message", "alpha", "--data", "again", "--timeout", "1s")
        assert.notStrictEqual(refused.exit, 0)
        const shown = yield* LocalPilotctl.run(alpha.home, ["network", "list"])
        assert.match(shown.stdout, /^fleet {2}number 7 {2}.*, 1 revoked\n$/)
        yield* ok(alpha.home, "network", "leave", "fleet")
        assert.strictEqual(codeOf(yield* run(alpha.home, "network", "leave", "fleet")), "not_found")
      }).pipe(Effect.scoped),
    120_000
  )
})
