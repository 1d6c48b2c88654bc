import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Json from "../../../src/core/data/Json.ts"
import * as PilotNetwork from "../../support/PilotNetwork.ts"
import * as PilotProcesses from "../../support/PilotProcesses.ts"

const run = (home: string, ...args: ReadonlyArray<string>) =>
  Effect.map(PilotProcesses.pilotctl(home, ["--json", ...args]), (outcome) => ({
    ...outcome,
    data: Json.parseObject(outcome.stdout)?.["data"] as Json.JsonObject
  }))
const ok = (home: string, ...args: ReadonlyArray<string>) =>
  Effect.map(run(home, ...args), ({ data, exitCode, stderr }) => {
    assert.strictEqual(exitCode, 0, `${args.join(" ")}: ${stderr}`)
    return data
  })

/** An MCP server of a few lines. */
const SERVER = `
let text = ""
process.stdin.on("data", (chunk) => {
  text += chunk
  for (let at = text.indexOf("\\n"); at >= 0; at = text.indexOf("\\n")) {
    const message = JSON.parse(text.slice(0, at))
    text = text.slice(at + 1)
    const tools = [{ name: "hello", description: "says hello", inputSchema: { type: "object" } }]
    const results = {
      initialize: { protocolVersion: "2025-06-18", capabilities: { tools: {} }, serverInfo: { name: "s", version: "1" } },
      "tools/list": { tools },
      "tools/call": { content: [{ type: "text", text: "hello from there" }] }
    }
    if (message.id !== undefined)
      console.log(JSON.stringify({ jsonrpc: "2.0", id: message.id, result: results[message.method] ?? {} }))
  }
})
`

describe("invitations, as processes", () => {
  it.live(
    "a node that runs at another rendezvous joins the inviter's beside its own, and both reach each other",
    () =>
      Effect.gen(function* () {
        const network = yield* PilotNetwork.make
        const elsewhere = yield* PilotNetwork.elsewhere(network)
        const alice = yield* PilotNetwork.startDaemon(network, "alice")
        const bob = yield* PilotNetwork.startDaemon(elsewhere, "bob")
        const invitation = Json.string(yield* ok(alice.home, "invite"), "invitation")

        const redeemed = yield* ok(bob.home, "redeem", invitation)
        assert.deepInclude(redeemed, { status: "trusted", hostname: "alice", fingerprint: alice.fingerprint })
        const memberships = Json.objects(yield* ok(bob.home, "rendezvous", "list"), "memberships")
        assert.deepStrictEqual(
          memberships.map(({ registry, state }) => [registry, state]),
          [
            [elsewhere.card.registry, "joined"],
            [network.card.registry, "joined"]
          ]
        )
        yield* ok(bob.home, "send-message", Json.string(redeemed, "address"), "--data", "to alice")
        const [trusted] = Json.objects(yield* ok(alice.home, "trust"), "trusted")
        assert.strictEqual(trusted?.["fingerprint"], bob.fingerprint)
        yield* ok(alice.home, "send-message", String(trusted?.["node_id"]), "--data", "to bob")
        const [message] = Json.objects(yield* ok(bob.home, "inbox"), "messages")
        assert.deepInclude(message, { data: "to bob", from: Json.string(redeemed, "address") })

        // Both are as they were after a restart; the invitation is used up for whoever comes later.
        yield* ok(bob.home, "daemon", "stop")
        yield* PilotNetwork.startDaemon(elsewhere, "bob")
        yield* ok(bob.home, "send-message", Json.string(redeemed, "address"), "--data", "again")
        const carol = yield* PilotNetwork.startDaemon(elsewhere, "carol")
        const late = yield* run(carol.home, "redeem", invitation)
        assert.deepInclude(PilotProcesses.errorOf(late), { message: "the invitation is used up" })
      }).pipe(Effect.scoped),
    180_000
  )

  it.live(
    "one string on one side, one command on the other: joined, trusted both ways, and the service works",
    () =>
      Effect.gen(function* () {
        const network = yield* PilotNetwork.make
        const alice = yield* PilotNetwork.startDaemon(network, "alice")
        yield* ok(alice.home, "mcp", "expose", "greeter", "--", process.execPath, "-e", SERVER)
        const missing = yield* run(alice.home, "invite", "--services", "greeter,files")
        assert.strictEqual(PilotProcesses.errorOf(missing).code, "not_found")
        const made = yield* ok(alice.home, "invite", "--services", "greeter", "--expires", "1h", "--note", "for Bob")
        const invitation = Json.string(made, "invitation")

        // Bob's machine knows no rendezvous, and no node runs there.
        const bob = `${network.directory}/bob`
        const damaged = yield* run(bob, "redeem", invitation.slice(0, -3))
        assert.strictEqual(PilotProcesses.errorOf(damaged).code, "invalid_argument")
        const redeemed = yield* ok(bob, "redeem", invitation.slice(0, 100), invitation.slice(100), "--hostname", "bob")
        assert.deepInclude(redeemed, { status: "trusted", hostname: "alice", node_id: alice.node })
        assert.strictEqual(redeemed["fingerprint"], alice.fingerprint)
        assert.strictEqual(Json.string(yield* ok(bob, "info"), "hostname"), "bob")
        const called = yield* ok(bob, "mcp", "call", "alice/greeter", "hello")
        assert.include(JSON.stringify(called), "hello from there")
        const [trusted] = Json.objects(yield* ok(alice.home, "trust"), "trusted")
        const [entry] = Json.objects(yield* ok(alice.home, "invite", "list"), "invitations")
        assert.deepInclude(entry, { state: "used", uses: 1, note: "for Bob", services: ["greeter"] })
        assert.strictEqual(Json.objects(entry ?? {}, "redeemed")[0]?.["fingerprint"], trusted?.["fingerprint"])

        // A third finds it used up, and is told so.
        const carol = yield* PilotNetwork.startDaemon(network, "carol")
        const late = PilotProcesses.errorOf(yield* run(carol.home, "trust", "redeem", invitation))
        assert.deepInclude(late, { code: "permission_denied", message: "the invitation is used up" })
      }).pipe(Effect.scoped),
    120_000
  )
})
