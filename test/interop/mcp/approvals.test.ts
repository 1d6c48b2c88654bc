/** Calls that wait for a person, deadlines and rules at the mount, through real processes (mcp §6.10). */
import { readFileSync, statSync } from "node:fs"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Schema } from "effect"
import * as Pilotctl from "../../../examples/demo/Pilotctl.ts"
import { Mcp, Pilot } from "../../../src/api/index.ts"
import * as McpOverPilot from "../../support/McpOverPilot.ts"
import * as PilotNetwork from "../../support/PilotNetwork.ts"
import * as PilotProcesses from "../../support/PilotProcesses.ts"

const FIXTURE = new URL("FixtureServer.ts", import.meta.url).pathname

/** `mcp-host` exposes one service to `agent`: a person allows `remember`, `hang` has 300 ms. */
class Stage extends Context.Service<Stage, { readonly host: string; readonly agent: string }>()("test/mcp/Asking") {}

const stage = Layer.effect(
  Stage,
  Effect.gen(function* () {
    const network = yield* PilotNetwork.make
    const [agent, host] = yield* PilotNetwork.startPair(network, "agent", "mcp-host")
    const rules = ["--ask", "remember", "--deadline", "hang=300ms", "--identify"]
    yield* expose(host.home, ...rules, "--", process.execPath, FIXTURE)
    return { host: host.home, agent: agent.home }
  })
)

const expose = (home: string, ...words: ReadonlyArray<string>) =>
  Pilotctl.run(home, "mcp", "expose", "fixture", "--allow", "agent", ...words)

const Approvals = Schema.Struct({
  waiting: Schema.Array(
    Schema.Struct({ id: Schema.String, peer: Schema.String, fingerprint: Schema.String, tool: Schema.String })
  ),
  remembered: Schema.Array(Schema.Struct({ id: Schema.String, verdict: Schema.String, tool: Schema.String }))
})

const approvals = (host: string) =>
  Effect.map(Pilotctl.run(host, "mcp", "approvals"), (data) => Schema.decodeUnknownSync(Approvals)(data))

/** The one question that waits. */
const question = Effect.fnUntraced(function* (host: string) {
  yield* PilotProcesses.until(Effect.map(approvals(host), ({ waiting }) => waiting.length === 1))
  const [found] = (yield* approvals(host)).waiting
  assert.isDefined(found)
  return found
})

layer(stage, { excludeTestServices: true, timeout: "60 seconds" })("pilotctl mcp approvals", (it) => {
  it.effect(
    "a person sees a call with its peer's key and allows it; --always outlives a killed keeper, and is revoked",
    () =>
      Effect.gen(function* () {
        const { agent, host } = yield* Stage
        const client = yield* McpOverPilot.sdk1(agent, "mcp-host/fixture")
        const first = yield* Effect.forkChild(client.call("remember", { value: "a\u202eb" }))
        const { fingerprint, id, peer, tool } = yield* question(host)
        assert.deepStrictEqual([peer, tool], ["agent", "remember"])
        const info = Schema.decodeUnknownSync(Schema.Struct({ fingerprint: Schema.String }))(
          yield* Pilotctl.run(agent, "info")
        )
        assert.strictEqual(fingerprint, info.fingerprint)
        const shown = yield* PilotProcesses.pilotctl(host, ["mcp", "approvals", "show", id])
        assert.include(shown.stdout, 'arguments   {"value":"a<U+202E>b"}')
        assert.include(shown.stdout, fingerprint)
        const status = yield* PilotProcesses.pilotctl(host, ["mcp", "status"])
        assert.include(status.stdout, "A call waits to be approved")

        yield* Pilotctl.run(host, "mcp", "approvals", "allow", id, "--always")
        assert.strictEqual(yield* Fiber.join(first), "remembered")
        assert.strictEqual(yield* client.call("remember", { value: "b" }), "remembered")
        const twice = yield* PilotProcesses.pilotctl(host, ["--json", "mcp", "approvals", "allow", id])
        assert.deepInclude(PilotProcesses.errorOf(twice), {
          code: "not_found",
          message: `The question ${id} has been allowed already`
        })

        const pid = Schema.decodeUnknownSync(Schema.Struct({ pid: Schema.Int }))(
          yield* Pilotctl.run(host, "mcp", "status")
        )
        yield* PilotProcesses.killNow(pid.pid)
        assert.deepStrictEqual((yield* approvals(host)).remembered, [{ id, verdict: "allow", tool: "remember" }])
        assert.strictEqual(statSync(`${host}/mcp-approvals.json`).mode & 0o777, 0o600)
        assert.strictEqual(yield* client.call("remember", { value: "c" }), "remembered")

        yield* Pilotctl.run(host, "mcp", "approvals", "revoke", id)
        const last = yield* Effect.forkChild(client.call("remember", { value: "d" }))
        const asked = yield* question(host)
        yield* Pilotctl.run(host, "mcp", "approvals", "deny", asked.id)
        assert.include(yield* Fiber.join(last), "did not allow this call")
        const unknown = yield* PilotProcesses.pilotctl(host, ["--json", "mcp", "approvals", "show", "ffffffff"])
        assert.strictEqual(PilotProcesses.errorOf(unknown).code, "not_found")
      })
  )

  it.effect("programs answer the same questions", () =>
    Effect.gen(function* () {
      const { agent, host } = yield* Stage
      const here = yield* Effect.provide(Mcp.connect("mcp-host/fixture"), Pilot.layerDaemon({ home: agent }))
      const call = yield* Effect.forkChild(here.call("remember", { value: "x" }))
      const { id } = yield* question(host)
      yield* Effect.gen(function* () {
        const [waiting] = yield* Mcp.approvals
        assert.deepInclude(waiting, { id, tool: "remember", parameters: '{"value":"x"}', peer: "agent" })
        yield* Mcp.decide(id, "allow")
        assert.strictEqual((yield* Effect.flip(Mcp.decide(id, "allow"))).reason, "NotWaiting")
      }).pipe(Effect.provide(Pilot.layerDaemon({ home: host })))
      yield* Fiber.join(call)
    })
  )

  it.effect("a call over its deadline ends with a typed error, and the server is told the caller's key", () =>
    Effect.gen(function* () {
      const { agent } = yield* Stage
      const client = yield* McpOverPilot.sdk1(agent, "mcp-host/fixture")
      const late = yield* Effect.flip(client.call("hang", {}))
      assert.strictEqual(late.code, -31008)
      assert.include(late.message, "longer than its owner allows")
      const key = Schema.Struct({ public_key: Schema.String, fingerprint: Schema.String })
      const { fingerprint, public_key } = Schema.decodeUnknownSync(key)(yield* Pilotctl.run(agent, "info"))
      const meta = JSON.parse(yield* client.call("meta", {}))
      assert.deepInclude(meta["dev.effect-pilot/caller"], { public_key, fingerprint, hostname: "agent" })
    })
  )

  it.effect("a mount has rules of its own, and both records tell of the same call", () =>
    Effect.gen(function* () {
      const { agent, host } = yield* Stage
      const wrong = yield* PilotProcesses.pilotctl(agent, [
        "--json",
        "mcp",
        "mount",
        "mcp-host/fixture",
        "--deny-tools",
        "!x"
      ])
      assert.deepInclude(PilotProcesses.errorOf(wrong), {
        code: "invalid_argument",
        message: 'invalid --deny-tools "!x"'
      })
      const rules = ["--tools", "pid,recall", "--deny-tools", "recall"]
      yield* Effect.scoped(
        Effect.gen(function* () {
          const client = yield* McpOverPilot.sdk1(agent, "mcp-host/fixture", rules)
          assert.deepStrictEqual([...(yield* client.tools)], ["pid"])
          assert.include(yield* client.call("recall", {}), "The rules of this mount do not allow")
          yield* client.call("pid", {})
        })
      )
      const calls = (home: string, ...flags: ReadonlyArray<string>) =>
        Effect.map(Pilotctl.run(home, "mcp", "audit", "--verify", ...flags), (data) => {
          const { calls, whole } = Schema.decodeUnknownSync(Recorded)(data)
          assert.isTrue(whole)
          return calls.filter(({ method }) => method === "tools/call")
        })
      const pid = (call: (typeof Recorded.Type.calls)[number]) => call.target === "pid"
      yield* PilotProcesses.until(Effect.map(calls(agent, "--egress"), (made) => made.some(pid)))
      yield* PilotProcesses.until(Effect.map(calls(host), (made) => made.some(pid)))
      const here = yield* calls(agent, "--egress")
      assert.deepStrictEqual(
        here.map(({ decision, outcome, target }) => [target, outcome, decision]),
        [
          ["recall", "denied", "tool"],
          ["pid", "ok", "allow"]
        ]
      )
      const link = ({ epoch, resultHash, seq, session }: (typeof Recorded.Type.calls)[number]) => [
        session,
        epoch,
        seq,
        resultHash
      ]
      assert.deepStrictEqual(here.filter(pid).map(link), (yield* calls(host)).filter(pid).map(link))
      assert.include(readFileSync(`${agent}/mcp-egress.jsonl`, "utf8"), '"peer":"mcp-host"')
    })
  )

  it.effect("flags that say nothing that can be done are refused", () =>
    Effect.gen(function* () {
      const { host } = yield* Stage
      for (const [flags, words] of [
        [["--ask", "write("], 'invalid --ask "write("'],
        [["--ask", "", "--ask-for", "10m"], "--ask-for waits for nothing"],
        [["--deadline", "read(a=b)=1s"], 'invalid --deadline "read(a=b)=1s"']
      ] as const) {
        const outcome = yield* PilotProcesses.pilotctl(host, ["--json", "mcp", "expose", "fixture", ...flags])
        const { code, message } = PilotProcesses.errorOf(outcome)
        assert.strictEqual(code, "invalid_argument")
        assert.include(message, words)
      }
      const services = yield* PilotProcesses.pilotctl(host, ["mcp", "services"])
      assert.include(services.stdout, "asks     you before remember")
      assert.include(services.stdout, "deadline 300ms for hang")
    })
  )
})

const Recorded = Schema.Struct({
  whole: Schema.Boolean,
  calls: Schema.Array(
    Schema.Struct({
      session: Schema.String,
      epoch: Schema.Int,
      seq: Schema.Int,
      method: Schema.String,
      target: Schema.optionalKey(Schema.String),
      outcome: Schema.String,
      decision: Schema.String,
      resultHash: Schema.optionalKey(Schema.String)
    })
  )
})
