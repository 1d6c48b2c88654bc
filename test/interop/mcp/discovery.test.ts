import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Schema } from "effect"
import * as Pilotctl from "../../../examples/demo/Pilotctl.ts"
import { Directory, Mcp, Peer, Pilot, Tasks } from "../../../src/api/index.ts"
import * as McpOverPilot from "../../support/McpOverPilot.ts"
import * as PilotNetwork from "../../support/PilotNetwork.ts"
import * as PilotProcesses from "../../support/PilotProcesses.ts"

const file = (path: string): string => new URL(path, import.meta.url).pathname
const EVERYTHING = file("../../../node_modules/@modelcontextprotocol/server-everything/dist/index.js")
const FIXTURE = file("FixtureServer.ts")

/** `mcp-host` trusts `agent`; `stranger` is on the same network and trusts nobody. */
class Stage extends Context.Service<
  Stage,
  { readonly host: string; readonly agent: string; readonly stranger: string }
>()("test/mcp/DiscoveryStage") {}

const stage = Layer.effect(
  Stage,
  Effect.gen(function* () {
    const network = yield* PilotNetwork.make
    const [agent, host] = yield* PilotNetwork.startPair(network, "agent", "mcp-host")
    const stranger = yield* PilotNetwork.startDaemon(network, "stranger")
    yield* expose(host.home, "everything", EVERYTHING, "--allow", "agent", "--tools", "!get-env")
    yield* expose(host.home, "private", FIXTURE)
    yield* expose(stranger.home, "public", FIXTURE, "--public")
    return { host: host.home, agent: agent.home, stranger: stranger.home }
  })
)

const expose = (home: string, name: string, program: string, ...flags: ReadonlyArray<string>) =>
  Pilotctl.run(home, "mcp", "expose", name, ...flags, "--", process.execPath, program)

const FoundRows = Schema.Struct({
  found: Schema.Array(
    Schema.Struct({
      target: Schema.String,
      usable: Schema.Boolean,
      next: Schema.String,
      peer: Schema.Struct({ hostname: Schema.String, fingerprint: Schema.String, trusted: Schema.Boolean }),
      tools: Schema.Array(Schema.Struct({ name: Schema.String }))
    })
  ),
  problems: Schema.Array(Schema.Struct({ node_id: Schema.Number, detail: Schema.String })),
  asked: Schema.Number
})

const Own = Schema.Struct({ node_id: Schema.Int, fingerprint: Schema.String })
const Submitted = Schema.Struct({ task_id: Schema.String })
const Ledger = Schema.Struct({
  ledger: Schema.Array(
    Schema.Struct({ done: Schema.Int, failed: Schema.Int, late: Schema.Int, declined: Schema.Int, node_id: Schema.Int })
  )
})

const find = (home: string, ...args: ReadonlyArray<string>) =>
  Effect.map(Pilotctl.run(home, "find", ...args), Schema.decodeUnknownSync(FoundRows))

/** Processes of several hosts, on a machine that may be busy. */
const PATIENCE_MS = 120_000

describe("finding services", () => {
  layer(stage, { excludeTestServices: true, timeout: "120 seconds" })((it) => {
    it.effect(
      "of a trusted peer: those this node may use, with the tools that it may call, and how",
      () =>
        Effect.gen(function* () {
          const { agent } = yield* Stage
          const { asked, found, problems } = yield* find(agent, "--capability", "echo a message", "--trusted-only")

          assert.deepStrictEqual(problems, [])
          assert.strictEqual(asked, 1)
          assert.deepStrictEqual(
            found.map(({ target }) => target),
            ["mcp-host/everything"]
          )
          assert.deepInclude(found[0], { usable: true, next: "pilotctl mcp mount mcp-host/everything" })
          assert.strictEqual(found[0]?.tools[0]?.name, "echo")
          assert.isTrue(found[0]?.peer.trusted)
          const hidden = yield* find(agent, "--capability", "environment variables get-env", "--trusted-only")
          assert.notInclude(JSON.stringify(hidden), '"get-env"')
        }),
      PATIENCE_MS
    )

    it.effect(
      "of a stranger: its public card, from the registry, and how to ask; gone when it is not exposed any more",
      () =>
        Effect.gen(function* () {
          const { agent, stranger } = yield* Stage
          const { fingerprint } = Schema.decodeUnknownSync(Schema.Struct({ fingerprint: Schema.String }))(
            yield* Pilotctl.run(stranger, "info")
          )
          const isThere = (wanted: boolean) =>
            PilotProcesses.until(
              Effect.map(
                find(agent, "--capability", "noise"),
                ({ found }) => found.some(({ target }) => target === "stranger/public") === wanted
              )
            )
          yield* isThere(true)
          const { found } = yield* find(agent, "--capability", "noise")
          const row = found.find(({ target }) => target === "stranger/public")
          assert.deepInclude(row, { usable: false, next: 'pilotctl trust add stranger "may I use public?"' })
          assert.deepInclude(row?.peer, { hostname: "stranger", fingerprint, trusted: false })

          // Work for it only if the submitter says `anyone`, and if it grants trust.
          const Noise = Tasks.make("noise", { input: Schema.String, output: Schema.String })
          const submit = (anyone: boolean) =>
            Effect.provide(
              Effect.result(Tasks.submit(Noise, "x", { to: Peer.capable("noise"), anyone })),
              Pilot.layerDaemon({ home: agent })
            )
          const refused = yield* submit(false)
          assert.strictEqual(refused._tag === "Failure" ? refused.failure._tag : "", "NoSuchPeer")
          const submitting = yield* Effect.forkChild(submit(true))
          const own = Schema.decodeUnknownSync(Own)(yield* Pilotctl.run(agent, "info"))
          yield* Pilotctl.awaitPending(stranger, own.node_id)
          yield* Pilotctl.run(stranger, "approve", String(own.node_id), "--fingerprint", own.fingerprint)
          assert.strictEqual((yield* Fiber.join(submitting))._tag, "Success")
          const words = ["task", "submit", "--capability", "noise", "--anyone", "--task", "x"]
          const told = Schema.decodeUnknownSync(Submitted)(yield* Pilotctl.run(agent, ...words))
          yield* Pilotctl.run(stranger, "task", "decline", "--id", told.task_id, "--justification", "no")
          const { node_id } = Schema.decodeUnknownSync(Own)(yield* Pilotctl.run(stranger, "info"))
          yield* Pilotctl.run(agent, "untrust", String(node_id))

          yield* Pilotctl.run(stranger, "mcp", "unexpose", "public")
          yield* isThere(false)
        }),
      PATIENCE_MS
    )

    it.effect(
      "in programs: Directory.search, by words and by the arguments at hand",
      () =>
        Effect.gen(function* () {
          const { agent } = yield* Stage
          const { services } = yield* Directory.search("", {
            schema: { properties: { message: { type: "string" } } },
            includePublic: false
          }).pipe(Effect.provide(Directory.layerDaemon({ home: agent })))

          assert.strictEqual(services[0]?.target, "mcp-host/everything")
          assert.strictEqual(services[0]?.tools[0]?.name, "echo")
          assert.deepStrictEqual(services[0]?.tools[0]?.parameters, [
            { name: "message", type: "string", isRequired: true }
          ])
        }),
      PATIENCE_MS
    )

    it.effect(
      "`mcp status PEER/NAME` uses the service, and says what is wrong with one that does not work",
      () =>
        Effect.gen(function* () {
          const { agent, host } = yield* Stage
          // A mount whose client has opened it, as one that runs for days.
          const mounted = yield* McpOverPilot.sdk1(agent, "mcp-host/everything")
          assert.strictEqual(yield* mounted.call("echo", { message: "hi" }), "Echo: hi")
          const own = yield* Pilotctl.run(host, "mcp", "status", "--probe")
          assert.match(JSON.stringify(own), /"look":\{"at":"[^"]+","reason":"","tools":\d+,"verdict":"healthy"/)
          const good = yield* PilotProcesses.pilotctl(agent, ["mcp", "status", "mcp-host/everything"])
          assert.strictEqual(good.exitCode, 0)
          assert.match(good.stdout, /\n {2}keeper {3}calls pass, looked at its server \d+ s ago: healthy, \d+ tools\n/)
          assert.match(
            good.stdout,
            /\nmount pid \d+ \(stdio\) since \S+\n {2}session mcp-host\/everything {2}healthy; connected, last answer \S+, asked \S+ \d+ tools in/
          )
          assert.match(
            good.stdout,
            /mcp-host\/everything {2}healthy\n {2}server {3}\S+ .*\n {2}tools {4}\d+\n {2}took {5}reach/
          )

          yield* Pilotctl.run(
            host,
            "mcp",
            "expose",
            "broken",
            "--allow",
            "agent",
            "--",
            process.execPath,
            "/nowhere.js"
          )
          const bad = yield* PilotProcesses.pilotctl(agent, ["mcp", "status", "mcp-host/broken", "--json"])
          assert.strictEqual(bad.exitCode, 1)
          assert.include(bad.stdout, '"verdict":"failing"')
          assert.notInclude(bad.stdout, "nowhere.js")
        }),
      PATIENCE_MS
    )

    it.effect(
      "`--capability`: tools and calls of the best service, whoever has it, for the command line and for programs",
      () =>
        Effect.gen(function* () {
          const { agent, host } = yield* Stage
          const by = (...words: ReadonlyArray<string>) =>
            PilotProcesses.pilotctl(agent, ["mcp", ...words, "--capability", "echoes back the input"])
          const called = yield* by("call", "echo", "--args", '{"message":"found"}')
          assert.strictEqual(called.stdout.trim(), "Echo: found", called.stderr)
          assert.include((yield* by("tools")).stdout, "echo")

          const wrong = yield* PilotProcesses.pilotctl(agent, ["--json", "mcp", "tools", "--capability", "zzyzx"])
          assert.strictEqual(PilotProcesses.errorOf(wrong).code, "not_found")
          // A task for whoever offers it; its end is counted.
          const task = ["task", "submit", "--capability", "echoes back the input", "--task", "say it"]
          const { task_id: id } = Schema.decodeUnknownSync(Submitted)(yield* Pilotctl.run(agent, ...task))
          yield* Pilotctl.run(host, "task", "accept", "--id", id)
          yield* Pilotctl.run(host, "task", "send-results", "--id", id, "--data", "it")
          yield* Pilotctl.run(agent, "task", "watch", "--id", id)
          const { ledger } = Schema.decodeUnknownSync(Ledger)(yield* Pilotctl.run(agent, "task", "ledger"))
          assert.deepStrictEqual(
            ledger.map(({ declined, done, failed, late }) => [done, failed, late, declined]),
            // Of the host now, and of the one above that declined.
            [
              [1, 0, 0, 0],
              [0, 0, 0, 1]
            ]
          )
          const nobody = yield* PilotProcesses.pilotctl(agent, ["--json", ...task.slice(0, 3), "zzyzx", "--task", "x"])
          assert.strictEqual(PilotProcesses.errorOf(nobody).code, "not_found")

          const text = yield* Effect.gen(function* () {
            const server = yield* Mcp.connect(Mcp.capable("echoes back the input"))
            return (yield* server.call("echo", { message: "typed" })).text
          }).pipe(Effect.scoped, Effect.provide(Pilot.layerDaemon({ home: agent })))
          assert.strictEqual(text, "Echo: typed")
        }),
      PATIENCE_MS
    )
  })
})
