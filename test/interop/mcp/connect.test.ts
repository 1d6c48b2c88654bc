import { readFileSync, statSync, writeFileSync } from "node:fs"
import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Schema, Stream } from "effect"
import * as Pilotctl from "../../../examples/demo/Pilotctl.ts"
import { Mcp, Pilot } from "../../../src/api/index.ts"
import * as McpOverPilot from "../../support/McpOverPilot.ts"
import * as PilotNetwork from "../../support/PilotNetwork.ts"
import * as PilotProcesses from "../../support/PilotProcesses.ts"
import * as HttpUpstreams from "./HttpUpstreams.ts"

const file = (path: string): string => new URL(path, import.meta.url).pathname
const EVERYTHING = file("../../../node_modules/@modelcontextprotocol/server-everything/dist/index.js")
const FIXTURE = file("FixtureServer.ts")

/** `mcp-host` exposes two services to `agent`. */
class Stage extends Context.Service<
  Stage,
  { readonly network: PilotNetwork.PilotNetwork; readonly host: string; readonly agent: string }
>()("test/mcp/Stage") {}

const stage = Layer.effect(
  Stage,
  Effect.gen(function* () {
    const network = yield* PilotNetwork.make
    const [agent, host] = yield* PilotNetwork.startPair(network, "agent", "mcp-host")
    yield* expose(host.home, "everything", EVERYTHING)
    yield* expose(host.home, "fixture", FIXTURE)
    return { network, host: host.home, agent: agent.home }
  })
)

/** A client that starts the program of its first argument and calls `slow`. */
const CALLER = `
const [, words, value] = process.argv
const stdio = ["pipe", "inherit", "inherit"]
const mount = require("node:child_process").spawn(process.execPath, JSON.parse(words), { stdio })
const say = (message) => mount.stdin.write(JSON.stringify({ jsonrpc: "2.0", ...message }) + "\\n")
const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "caller", version: "1" } }
say({ id: 0, method: "initialize", params })
say({ method: "notifications/initialized" })
say({ id: 1, method: "tools/call", params: { name: "slow", arguments: { value } } })
setInterval(() => {}, 1000)
`

const expose = (home: string, name: string, program: string) =>
  Pilotctl.run(home, "mcp", "expose", name, "--allow", "agent", "--", process.execPath, program)

/** Waits until the host's keeper works on a call, and gives its server's process. */
const inFlight = Effect.fnUntraced(function* (host: string, service = "fixture") {
  let pid = 0
  yield* PilotProcesses.until(
    Effect.map(Pilotctl.run(host, "mcp", "status"), (status) => {
      const { sessions } = Schema.decodeUnknownSync(Status)(status)
      const busy = sessions.find((session) => session.service === service && session.in_flight > 0)
      pid = busy?.pid ?? 0
      return busy !== undefined
    })
  )
  return pid
})

const Status = Schema.Struct({
  sessions: Schema.Array(
    Schema.Struct({ service: Schema.String, in_flight: Schema.Number, pid: Schema.optionalKey(Schema.Number) })
  )
})

const Recorded = Schema.Struct({
  data: Schema.Struct({
    calls: Schema.Array(
      Schema.Struct({
        service: Schema.String,
        method: Schema.String,
        target: Schema.optionalKey(Schema.String),
        outcome: Schema.String,
        decision: Schema.String,
        arguments: Schema.optionalKey(Schema.String)
      })
    )
  })
})

layer(stage, { excludeTestServices: true, timeout: "30 seconds" })("pilotctl mcp connect", (it) => {
  it.effect("the owner's rules hold for every peer that is trusted, and every call is on the record (mcp §6.10)", () =>
    Effect.gen(function* () {
      const { agent, host } = yield* Stage
      const rules = ["--allow-trusted", "--tools", "echo,!get-*", "--audit-arguments"]
      yield* Pilotctl.run(host, "mcp", "expose", "ruled", ...rules, "--", process.execPath, EVERYTHING)
      const call = (tool: string, args: string) =>
        PilotProcesses.pilotctl(agent, ["mcp", "call", "mcp-host/ruled", tool, "--args", args])
      const listed = yield* PilotProcesses.pilotctl(agent, ["--json", "mcp", "tools", "mcp-host/ruled"])
      const { tools } = JSON.parse(listed.stdout).data
      assert.deepStrictEqual(
        tools.map(({ name }: { readonly name: string }) => name),
        ["echo"]
      )
      assert.include((yield* call("echo", '{"message":"hi"}')).stdout, "hi")
      const denied = yield* call("get-sum", '{"a":1,"b":2}')
      assert.strictEqual(denied.exitCode, 1)
      assert.include(denied.stderr, "does not allow this tool")

      const verify = () => PilotProcesses.pilotctl(host, ["--json", "mcp", "audit", "--tail", "100", "--verify"])
      yield* PilotProcesses.until(Effect.map(verify(), ({ stdout }) => stdout.includes("get-sum")))
      const audit = yield* verify()
      assert.strictEqual(audit.exitCode, 0, audit.stderr)
      const calls = Schema.decodeUnknownSync(Recorded)(JSON.parse(audit.stdout)).data.calls
      const made = calls.filter(({ method, service }) => service === "ruled" && method === "tools/call")
      assert.deepStrictEqual(
        made.map(({ decision, outcome, target }) => [target, outcome, decision]),
        [
          ["echo", "ok", "allow"],
          ["get-sum", "denied", "tool"]
        ]
      )
      assert.strictEqual(made[0]?.arguments, '{"message":"hi"}')

      const path = `${host}/mcp-audit.jsonl`
      const text = readFileSync(path, "utf8")
      writeFileSync(path, text.replace('"echo"', '"other"'))
      const broken = yield* verify()
      writeFileSync(path, text)
      assert.strictEqual(broken.exitCode, 1)
      assert.isFalse(JSON.parse(broken.stdout).data.whole)
    })
  )

  it.effect("pilotctl mcp tools and mcp call: for people and scripts, with the words of a failure", () =>
    Effect.gen(function* () {
      const { agent } = yield* Stage
      const listed = yield* PilotProcesses.pilotctl(agent, ["mcp", "tools", "mcp-host/everything"])
      assert.strictEqual(listed.exitCode, 0, listed.stderr)
      assert.match(listed.stdout, /^echo +\S/m)

      const args = ["trigger-long-running-operation", "--args", '{"duration":0.2,"steps":2}']
      const called = yield* PilotProcesses.pilotctl(agent, ["mcp", "call", "mcp-host/everything", ...args])
      assert.strictEqual(called.exitCode, 0, called.stderr)
      assert.include(called.stdout, "completed")
      assert.include(called.stderr, "1/2")

      const json = yield* PilotProcesses.pilotctl(agent, [
        ...["--json", "mcp", "call", "mcp-host/everything", "echo"],
        ...["--args", '{"message":"hi"}']
      ])
      assert.include(JSON.parse(json.stdout).data.text, "hi")

      const pinned = yield* PilotProcesses.pilotctl(agent, ["--json", "mcp", "pins"])
      const known: ReadonlyArray<{ readonly tool: string }> = JSON.parse(pinned.stdout).data.pins
      assert.include(
        known.map(({ tool }) => tool),
        "echo"
      )
      const held = ["mcp-host/everything", "echo", "--pins", "hold", "--args", '{"message":"hi"}']
      assert.include((yield* PilotProcesses.pilotctl(agent, ["mcp", "call", ...held])).stdout, "hi")

      const wrong = yield* PilotProcesses.pilotctl(agent, ["--json", "mcp", "call", "mcp-host/everything", "nothing"])
      assert.strictEqual(wrong.exitCode, 1)
      assert.include(wrong.stderr, "nothing")
    })
  )

  it.effect(
    "mcp call with rules of its own: what they refuse never leaves this node, and every call is on record here",
    () =>
      Effect.gen(function* () {
        const { agent } = yield* Stage
        const call = (message: string, ...flags: ReadonlyArray<string>) => {
          const words = ["--json", "mcp", "call", "mcp-host/everything", "echo", "--args", JSON.stringify({ message })]
          return PilotProcesses.pilotctl(agent, [...words, ...flags])
        }
        const only = ["--tools", "echo(message=ok*)", "--audit-arguments"]
        assert.include(JSON.parse((yield* call("ok so", ...only)).stdout).data.text, "ok so")
        for (const flags of [only, ["--deny-tools", "get-*,echo"]]) {
          const refused = yield* call("not so", ...flags)
          assert.strictEqual(refused.exitCode, 1)
          assert.include(PilotProcesses.errorOf(refused).message, "The rules of this mount")
        }
        for (const flag of ["--tools", "--deny-tools"]) {
          const { code, message } = PilotProcesses.errorOf(yield* call("ok", flag, "echo("))
          assert.deepStrictEqual([code, message], ["invalid_argument", `invalid ${flag} "echo("`])
        }

        const said = yield* PilotProcesses.pilotctl(agent, ["--json", "mcp", "audit", "--egress", "--verify"])
        const { calls } = Schema.decodeUnknownSync(Recorded)(JSON.parse(said.stdout)).data
        const made = calls.filter(({ method }) => method === "tools/call")
        assert.deepStrictEqual(
          made.map(({ arguments: kept, decision, outcome }) => [outcome, decision, kept]),
          [
            ["ok", "allow", '{"message":"ok so"}'],
            ["denied", "tool", '{"message":"not so"}'],
            ["denied", "tool", undefined]
          ]
        )
      })
  )

  it.effect("Mcp.connect and Mcp.stdio: the same tools as effects, with progress as a stream", () =>
    Effect.gen(function* () {
      const { agent } = yield* Stage
      const here = yield* Mcp.stdio(process.execPath, [EVERYTHING])
      const pins = { path: `${agent}/program-pins.json`, mode: "hold" } as const
      const there = yield* Effect.provide(
        Mcp.connect("mcp-host/everything", { pins }),
        Pilot.layerDaemon({ home: agent })
      )
      assert.deepStrictEqual(yield* there.tools, yield* here.tools)

      const steps = yield* Stream.runCollect(there.watch("trigger-long-running-operation", { duration: 0.2, steps: 2 }))
      assert.deepStrictEqual(
        steps.map(({ _tag }) => _tag),
        ["Progress", "Progress", "Done"]
      )
      const weather = yield* there.call(
        "get-structured-content",
        { location: "Chicago" },
        Schema.Struct({ temperature: Schema.Number })
      )
      assert.isNumber(weather.temperature)
      const unknown = yield* Effect.flip(there.call("nothing"))
      assert.include(["McpError", "ToolFailed"], unknown._tag)
    })
  )

  for (const [name, connect] of [
    ["SDK 1", McpOverPilot.sdk1],
    ["SDK 2", McpOverPilot.sdk2]
  ] as const) {
    it.effect(`${name}: lists the tools of a server on another node and calls two, one with progress`, () =>
      Effect.gen(function* () {
        const { agent } = yield* Stage
        const client = yield* connect(agent, "mcp-host/everything")
        const steps: Array<number> = []

        assert.includeMembers([...(yield* client.tools)], ["echo", "get-env", "trigger-long-running-operation"])
        assert.strictEqual(yield* client.call("echo", { message: "hé 𝄞" }), "Echo: hé 𝄞")
        const long = { duration: 1, steps: 4 }
        const report = (step: number) => void steps.push(step)
        assert.include(yield* client.call("trigger-long-running-operation", long, report), "completed")
        // The SDKs forget who wants the last step once the result is in, so it may be missing.
        assert.deepStrictEqual(steps.slice(0, 3), [1, 2, 3])
      })
    )
  }

  it.effect(
    "a client that speaks the modern revision only, before a legacy server: calls, and gives one up (mcp §6.6)",
    () =>
      Effect.gen(function* () {
        const { agent, host } = yield* Stage
        const client = yield* McpOverPilot.sdk2(agent, "mcp-host/fixture", true)

        assert.include(yield* client.tools, "recall")
        yield* client.call("remember", { value: "modern" })
        assert.strictEqual(yield* client.call("recall", {}), "modern")
        const call = yield* Effect.forkChild(client.call("hang", {}))
        yield* inFlight(host)
        yield* Fiber.interrupt(call)
        yield* PilotProcesses.until(Effect.map(client.call("cancelled", {}), (count) => count === "1"))
      })
  )

  it.effect("SDK 2 in auto mode starts two mounts and no more than one server per client (mcp §6.4)", () =>
    Effect.gen(function* () {
      const { agent, host } = yield* Stage
      const file = `${host}/starts`
      writeFileSync(file, "")
      const program = `require("node:fs").appendFileSync(${JSON.stringify(file)}, "x"); import(${JSON.stringify(EVERYTHING)})`
      yield* Pilotctl.run(host, "mcp", "expose", "counted", "--allow", "agent", "--", process.execPath, "-e", program)
      for (const expected of ["x", "xx"]) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const client = yield* McpOverPilot.sdk2(agent, "mcp-host/counted")
            assert.strictEqual(yield* client.call("echo", { message: "one" }), "Echo: one")
          })
        )
        assert.strictEqual(readFileSync(file, "utf8"), expected)
      }
    })
  )

  it.effect("mcp expose --url and mcp mount --http: from an HTTP client to an HTTP server, across two nodes", () =>
    Effect.gen(function* () {
      const { agent, host } = yield* Stage
      const upstream = yield* HttpUpstreams.make
      const header = ["--header-env", "Authorization=API_AUTH"]
      const exposing = ["mcp", "expose", "api", "--allow", "agent", "--url", upstream.url, ...header]
      const unset = yield* PilotProcesses.pilotctl(host, exposing)
      assert.strictEqual(unset.exitCode, 1)
      assert.include(unset.stderr, "API_AUTH is not set")
      const exposed = yield* PilotProcesses.run(process.execPath, [Pilotctl.PROGRAM, ...exposing], {
        ...Pilotctl.environment(host),
        API_AUTH: "Bearer of-the-owner"
      })
      assert.strictEqual(exposed.exitCode, 0, exposed.stderr)
      assert.notInclude(exposed.stdout, "of-the-owner")

      const mount = ["mcp", "mount", "mcp-host/api", "--http", "127.0.0.1:0"]
      const served = yield* PilotProcesses.watch(
        process.execPath,
        [Pilotctl.PROGRAM, ...mount],
        Pilotctl.environment(agent)
      )
      yield* served.printed("token in ")
      const [, url = "", path = ""] = /at (http:\S+)\ntoken in (\S+)/.exec(served.output()) ?? []
      assert.strictEqual(statSync(path).mode & 0o777, 0o600)
      const token = readFileSync(path, "utf8").trim()
      assert.notInclude(served.output(), token)
      const client = yield* McpOverPilot.sdk1Http(url, token)

      assert.deepStrictEqual([...(yield* client.tools)], ["echo", "remember", "recall", "wait"])
      assert.strictEqual(yield* client.call("echo", { value: "hé 𝄞" }), "hé 𝄞")
      const sent = upstream.requests.map(({ headers }) => headers.authorization)
      assert.deepStrictEqual([...new Set(sent)], ["Bearer of-the-owner"])
      const refused = yield* Effect.flip(McpOverPilot.sdk1Http(url, "wrong"))
      assert.include(refused.message, "token")
    })
  )

  for (const services of [["mcp-host/fixture"], ["mcp-host/gone", "mcp-host/fixture"]]) {
    it.effect(
      `mcp mount ${services} --http killed in the middle of a call, then restarted: the client only reconnects (mcp §6.5)`,
      () =>
        Effect.gen(function* () {
          const { agent } = yield* Stage
          const place = `127.0.0.1:${yield* PilotProcesses.freePort}`
          const args = [Pilotctl.PROGRAM, "mcp", "mount", ...services, "--http", place]
          const start = Effect.tap(
            PilotProcesses.watch(process.execPath, args, Pilotctl.environment(agent)),
            ({ printed }) => printed("token in ")
          )
          const first = yield* start
          const token = readFileSync(`${agent}/mcp-http.token`, "utf8").trim()
          const client = yield* McpOverPilot.sdk1Http(`http://${place}/mcp`, token)
          const pid = yield* client.call("pid", {})
          const steps: Array<number> = []
          const held = yield* Effect.forkChild(client.call("hold", { value: "kept" }, (step) => steps.push(step)))
          yield* PilotProcesses.until(Effect.sync(() => steps.length > 0))
          yield* PilotProcesses.killNow(first.child.pid ?? 0)
          const second = yield* start

          assert.strictEqual(yield* client.call("release", {}), "released")
          assert.strictEqual(yield* Fiber.join(held), "kept")
          assert.deepStrictEqual(steps, [1, 2])
          assert.strictEqual(statSync(`${agent}/mcp-http-${place.replace(":", "-")}.db`).mode & 0o777, 0o600)

          const again = yield* Effect.forkChild(client.call("hold", { value: "also kept" }, (step) => steps.push(step)))
          yield* PilotProcesses.until(Effect.sync(() => steps.length > 2))
          second.child.kill("SIGTERM")
          yield* second.exited
          yield* start
          assert.strictEqual(yield* client.call("release", {}), "released")
          assert.strictEqual(yield* Fiber.join(again), "also kept")
          assert.deepStrictEqual(steps, [1, 2, 1, 2])
          assert.strictEqual(yield* client.call("pid", {}), pid)
        })
    )
  }

  it.effect("mcp mount --http refuses what other machines could reach, unless it is asked for", () =>
    Effect.gen(function* () {
      const { agent } = yield* Stage
      const mount = ["--json", "mcp", "mount", "mcp-host/everything", "--http"]
      for (const [flags, words] of [
        [["0.0.0.0:0"], "--allow-remote"],
        [["0.0.0.0:0", "--allow-remote", "--no-token"], "exclude each other"],
        [["nonsense"], "invalid --http"]
      ] as const) {
        const outcome = yield* PilotProcesses.pilotctl(agent, [...mount, ...flags])
        const { code, hint = "", message } = PilotProcesses.errorOf(outcome)
        assert.strictEqual(code, "invalid_argument")
        assert.include(`${message} ${hint}`, words)
      }
    })
  )

  describe("failures", { timeout: 90_000 }, () => {
    it.effect("a server killed during a call: the call fails, says which and what to do, the next one works", () =>
      Effect.gen(function* () {
        const { agent, host } = yield* Stage
        const client = yield* McpOverPilot.sdk1(agent, "mcp-host/fixture")
        const call = yield* Effect.forkChild(Effect.flip(client.call("hang", {})))
        yield* PilotProcesses.killNow(yield* inFlight(host))

        const failure = yield* Fiber.join(call)

        assert.strictEqual(failure.code, -31002)
        assert.match(failure.message, /fixture/)
        assert.match(failure.message, /mcp-host/)
        assert.match(failure.message, /before trying again/)
        assert.deepStrictEqual(failure.data, {
          ...{ service: "fixture", peer: "mcp-host" },
          ...{ retryable: false, delivered: true }
        })
        assert.strictEqual(yield* client.call("recall", {}), "")
      })
    )

    it.effect(
      "a mount or its client killed with kill -9 during a call: it goes on, and the same call gets its result (mcp §6.7)",
      () =>
        Effect.gen(function* () {
          const { agent, host } = yield* Stage
          const rules = ["--allow", "agent", "--safe", "slow", "--park"]
          yield* Pilotctl.run(host, "mcp", "expose", "parked", ...rules, "--", process.execPath, FIXTURE)
          const next = yield* McpOverPilot.sdk1(agent, "mcp-host/parked")
          const mounts = () => PilotProcesses.running(agent, "mcp-host/parked")
          const [own] = mounts()

          for (const killed of ["mount", "client"]) {
            const done = `${host}/done-${killed}`
            const client = yield* PilotProcesses.watch(
              process.execPath,
              ["-e", CALLER, JSON.stringify([Pilotctl.PROGRAM, "mcp", "connect", "mcp-host/parked"]), done],
              Pilotctl.environment(agent)
            )
            yield* inFlight(host, "parked")
            const [mount = 0] = mounts().filter((pid) => pid !== own && pid !== client.child.pid)
            yield* PilotProcesses.killNow(killed === "mount" ? mount : (client.child.pid ?? 0))
            // The mount says goodbye for a client that is gone, instead of waiting for its calls.
            yield* PilotProcesses.until(Effect.sync(() => !PilotProcesses.isAlive(mount)))
            const again = yield* Effect.forkChild(next.call("slow", { value: done }))
            yield* next.call("recall", {})
            writeFileSync(done, "")

            assert.strictEqual(yield* Fiber.join(again), "slow 1")
          }
          // None of them came to this client's own server.
          const counted = `${host}/counted`
          writeFileSync(counted, "")
          assert.strictEqual(yield* next.call("slow", { value: counted }), "slow 1")
        })
    )

    it.effect("a service that does not exist is denied, with the way to get it", () =>
      Effect.gen(function* () {
        const { agent } = yield* Stage

        const failure = yield* Effect.flip(McpOverPilot.sdk1(agent, "mcp-host/nothing"))

        assert.strictEqual(failure.code, -31003)
        assert.include(failure.message, "mcp-host offers no service nothing")
        assert.include(failure.message, "pilotctl mcp expose nothing --allow")
      })
    )

    it.effect("a name nobody has fails with what to check", () =>
      Effect.gen(function* () {
        const { agent } = yield* Stage

        const failure = yield* Effect.flip(McpOverPilot.sdk1(agent, "nobody/fixture"))

        assert.strictEqual(failure.code, -31001)
        assert.include(failure.message, 'annot resolve "nobody"')
      })
    )

    it.effect("a node the host does not trust is told to ask for trust", () =>
      Effect.gen(function* () {
        const { network } = yield* Stage
        const stranger = yield* PilotNetwork.startDaemon(network, "stranger")

        const failure = yield* Effect.flip(McpOverPilot.sdk1(stranger.home, "mcp-host/everything"))

        assert.include([-31001, -31003], failure.code)
        assert.include(failure.message, "pilotctl trust add")
        yield* Pilotctl.run(stranger.home, "daemon", "stop")
      })
    )

    it.effect("the agent's own daemon stopped: a client is told to start it", () =>
      Effect.gen(function* () {
        const { network } = yield* Stage

        const failure = yield* Effect.flip(McpOverPilot.sdk1(network.home("nowhere"), "mcp-host/everything"))

        assert.strictEqual(failure.code, -31001)
        assert.include(failure.message, "pilotctl daemon start")
      })
    )

    it.effect("the host's daemon stopped during a call: it fails; when the daemon is back, calls work", () =>
      Effect.gen(function* () {
        const { agent, host, network } = yield* Stage
        const client = yield* McpOverPilot.sdk1(agent, "mcp-host/fixture")
        yield* client.call("remember", { value: "kept" })
        const tools = yield* client.tools
        const call = yield* Effect.forkChild(Effect.flip(client.call("hang", {})))
        yield* inFlight(host)
        yield* Pilotctl.run(host, "daemon", "stop")

        const failure = yield* Fiber.join(call)

        assert.include([-31001, -31002], failure.code)
        assert.include(failure.message, "mcp-host")
        assert.match(failure.message, /daemon is not running|before trying again/)

        // Whoever starts now is shown what is known, and told what cannot be had.
        const shown = yield* McpOverPilot.sdk1(agent, "mcp-host/fixture")
        assert.deepStrictEqual(yield* shown.tools, tools)
        assert.strictEqual((yield* Effect.flip(shown.call("recall", {}))).code, -31001)
        const status = yield* PilotProcesses.pilotctl(agent, ["mcp", "status", "mcp-host/fixture"])
        assert.include(status.stdout, `${tools.length} tools, as of `)

        yield* PilotNetwork.startDaemon(network, "mcp-host")
        const again = yield* McpOverPilot.sdk1(agent, "mcp-host/fixture")
        assert.strictEqual(yield* again.call("recall", {}), "")
        assert.include(["kept", ""], yield* client.call("recall", {}))
      })
    )

    it.effect("a daemon restarted during a call loses nothing: the answer still comes (mcp §6.1)", () =>
      Effect.gen(function* () {
        const { agent, host, network } = yield* Stage
        const client = yield* McpOverPilot.sdk1(agent, "mcp-host/everything")
        const call = yield* Effect.forkChild(client.call("trigger-long-running-operation", { duration: 6, steps: 6 }))
        yield* PilotProcesses.until(
          Effect.map(Pilotctl.run(host, "mcp", "status"), (status) =>
            Schema.decodeUnknownSync(Status)(status).sessions.some(
              (session) => session.service === "everything" && session.in_flight > 0
            )
          )
        )

        yield* Pilotctl.run(host, "daemon", "stop")
        yield* PilotNetwork.startDaemon(network, "mcp-host")

        assert.include(yield* Fiber.join(call), "completed")
      })
    )

    it.effect("after a restart of the host, what was exposed is there again without a command", () =>
      Effect.gen(function* () {
        const { agent, host, network } = yield* Stage
        yield* Pilotctl.run(host, "mcp", "stop")
        yield* Pilotctl.run(host, "daemon", "stop")
        yield* PilotNetwork.startDaemon(network, "mcp-host")

        const recalled = Effect.flatMap(McpOverPilot.sdk1(agent, "mcp-host/fixture"), (client) =>
          client.call("recall", {})
        )
        yield* PilotProcesses.until(Effect.isSuccess(Effect.scoped(recalled)))
      })
    )
  })
})
