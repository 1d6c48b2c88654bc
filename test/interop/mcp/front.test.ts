import { readFileSync } from "node:fs"
import { assert, layer } from "@effect/vitest"
import { Client as Client2 } from "@modelcontextprotocol/client"
import { StdioClientTransport as Stdio2 } from "@modelcontextprotocol/client/stdio"
import { Client as Client1 } from "@modelcontextprotocol/sdk/client/index.js"
import { StdioClientTransport as Stdio1 } from "@modelcontextprotocol/sdk/client/stdio.js"
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  ToolListChangedNotificationSchema
} from "@modelcontextprotocol/sdk/types.js"
import { Context, Deferred, Effect, Layer } from "effect"
import * as Pilotctl from "../../../examples/demo/Pilotctl.ts"
import * as McpOverPilot from "../../support/McpOverPilot.ts"
import * as PilotNetwork from "../../support/PilotNetwork.ts"
import * as PilotProcesses from "../../support/PilotProcesses.ts"

const file = (path: string): string => new URL(path, import.meta.url).pathname
const EVERYTHING = file("../../../node_modules/@modelcontextprotocol/server-everything/dist/index.js")
const FIXTURE = file("FixtureServer.ts")

/** `tools-host` and `data-host` expose a service each to `agent`. */
class Stage extends Context.Service<Stage, { readonly tools: string; readonly data: string; readonly agent: string }>()(
  "test/mcp/front/Stage"
) {}

const expose = (home: string, name: string, program: string) =>
  Pilotctl.run(
    home,
    "mcp",
    "expose",
    name,
    "--allow",
    "agent",
    "--title",
    `Our ${name}`,
    "--",
    process.execPath,
    program
  )

const stage = Layer.effect(
  Stage,
  Effect.gen(function* () {
    const network = yield* PilotNetwork.make
    const [agent, tools] = yield* PilotNetwork.startPair(network, "agent", "tools-host")
    const data = yield* PilotNetwork.startDaemon(network, "data-host")
    yield* PilotNetwork.trust(agent, data)
    yield* expose(tools.home, "everything", EVERYTHING)
    yield* expose(data.home, "fixture", FIXTURE)
    return { tools: tools.home, data: data.home, agent: agent.home }
  })
)

const server = (home: string, flags: ReadonlyArray<string>) => ({
  command: process.execPath,
  args: [Pilotctl.PROGRAM, "mcp", "front", ...flags],
  env: Pilotctl.environment(home),
  stderr: "ignore" as const
})

const attempt = <A>(run: () => Promise<A>) => Effect.promise(run)

/** A client of SDK 1 that answers everything a server may ask. */
const sdk1 = Effect.fnUntraced(function* (home: string, ...flags: ReadonlyArray<string>) {
  const asked: Array<string> = []
  const changed = yield* Deferred.make<void>()
  const capabilities = { elicitation: { form: {} }, sampling: {}, roots: { listChanged: true } }
  const client = new Client1({ name: "test", version: "1" }, { capabilities })
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
    asked.push(params.message)
    return { action: "accept" as const, content: { name: "Ann" } }
  })
  client.setRequestHandler(CreateMessageRequestSchema, () => {
    asked.push("sampling")
    return { role: "assistant" as const, content: { type: "text" as const, text: "Paris" }, model: "m" }
  })
  client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [{ uri: "file:///srv/project", name: "p" }] }))
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => void Deferred.doneUnsafe(changed, Effect.void))
  yield* Effect.acquireRelease(
    attempt(() => client.connect(new Stdio1(server(home, flags)))),
    () => Effect.promise(() => client.close())
  )
  const call = (name: string, args: Record<string, unknown> = {}) =>
    Effect.map(
      attempt(() => client.callTool({ name, arguments: args })),
      (result) => (result.content as ReadonlyArray<{ text?: string }>).map(({ text = "" }) => text).join(" ")
    )
  const names = Effect.map(
    attempt(() => client.listTools()),
    ({ tools }) => tools.map(({ name }) => name)
  )
  return { client, call, names, asked, changed: Deferred.await(changed) }
})

layer(stage, { excludeTestServices: true, timeout: "60 seconds" })("pilotctl mcp front", (it) => {
  it.effect("SDK 1: tools, prompts, resources and completion of two hosts; what servers ask names the service", () =>
    Effect.gen(function* () {
      const { agent } = yield* Stage
      const { asked, call, client, names } = yield* sdk1(agent, "--sampling", "tools-host/everything")
      assert.includeMembers(yield* names, [
        "data-host_fixture__recall",
        "tools-host_everything__echo",
        "tools-host_everything__trigger-elicitation-request"
      ])
      assert.strictEqual(yield* call("tools-host_everything__echo", { message: "hé 𝄞" }), "Echo: hé 𝄞")
      yield* call("data-host_fixture__remember", { value: "word" })
      assert.strictEqual(yield* call("data-host_fixture__recall"), "word")

      assert.include(yield* call("tools-host_everything__trigger-elicitation-request"), "Ann")
      assert.include(
        yield* call("tools-host_everything__trigger-sampling-request", { prompt: "?", maxTokens: 5 }),
        "Paris"
      )
      assert.match(asked[0] ?? "", /^\[tools-host\/everything\] /)
      assert.strictEqual(asked[1], "sampling")

      const prompts = yield* attempt(() => client.listPrompts())
      assert.include(
        prompts.prompts.map(({ name }) => name),
        "simple-prompt"
      )
      assert.lengthOf((yield* attempt(() => client.getPrompt({ name: "simple-prompt" }))).messages, 1)
      const uri = "demo://resource/dynamic/text/1"
      const read = yield* attempt(() => client.readResource({ uri }))
      assert.strictEqual(read.contents[0]?.uri, uri)
      const ref = { type: "ref/prompt" as const, name: "completable-prompt" }
      const completed = yield* attempt(() => client.complete({ ref, argument: { name: "department", value: "E" } }))
      assert.deepStrictEqual(completed.completion.values, ["Engineering"])
    })
  )

  it.effect("SDK 2: finds a tool by words, calls it by name, and hears of a service that comes", () =>
    Effect.gen(function* () {
      const { agent, data } = yield* Stage
      const changed = yield* Deferred.make<void>()
      const client = yield* Effect.acquireRelease(
        attempt(async () => {
          const versionNegotiation = { mode: "auto" } as const
          const listChanged = { tools: { onChanged: () => void Deferred.doneUnsafe(changed, Effect.void) } }
          const made = new Client2(
            { name: "test", version: "1" },
            { capabilities: {}, versionNegotiation, listChanged }
          )
          await made.connect(new Stdio2(server(agent, ["--budget-tools", "5"])))
          return made
        }),
        (made) => Effect.promise(() => made.close())
      )
      const { tools } = yield* attempt(() => client.listTools())
      assert.deepStrictEqual(
        tools.map(({ name }) => name),
        ["describe_tool", "list_services", "search_tools"]
      )
      const args = { query: "echo a message back", limit: 1 }
      const found = yield* attempt(() => client.callTool({ name: "search_tools", arguments: args }))
      assert.include(JSON.stringify(found.structuredContent), '"tools-host_everything__echo"')
      const called = yield* attempt(() =>
        client.callTool({ name: "tools-host_everything__echo", arguments: { message: "hi" } })
      )
      assert.include(JSON.stringify(called.content), "Echo: hi")
      yield* Deferred.await(changed)
      const listed = yield* attempt(() => client.listTools())
      assert.include(
        listed.tools.map(({ name }) => name),
        "tools-host_everything__echo"
      )
      yield* expose(data, "late", FIXTURE)
      const services = Effect.map(
        attempt(() => client.callTool({ name: "list_services", arguments: {} })),
        (result) => JSON.stringify(result.structuredContent)
      )
      yield* PilotProcesses.until(Effect.map(services, (text) => text.includes("data-host_late")))
      yield* Pilotctl.run(data, "mcp", "unexpose", "late")
    })
  )

  it.effect("two clients of one service never see each other's data", () =>
    Effect.gen(function* () {
      const { agent } = yield* Stage
      const [first, second] = yield* Effect.all([sdk1(agent), sdk1(agent)], { concurrency: 2 })
      yield* first.call("data-host_fixture__remember", { value: "secret" })
      assert.strictEqual(yield* second.call("data-host_fixture__recall"), "")
      assert.strictEqual(yield* first.call("data-host_fixture__recall"), "secret")
      const [one, other] = [yield* first.call("data-host_fixture__pid"), yield* second.call("data-host_fixture__pid")]
      assert.notStrictEqual(one, other)
    })
  )

  it.effect("mcp tools, mcp tools --search and mcp call work over all services; install front prints the entry", () =>
    Effect.gen(function* () {
      const { agent } = yield* Stage
      const run = (...args: ReadonlyArray<string>) => PilotProcesses.pilotctl(agent, args)
      const all = yield* run("mcp", "tools")
      assert.strictEqual(all.exitCode, 0, all.stderr)
      assert.match(all.stdout, /^tools-host_everything__echo +\[tools-host\/everything\] Echo/m)
      assert.include(all.stdout, "data-host_fixture__recall", all.stderr)
      const found = yield* run("--json", "mcp", "tools", "--search", "environment variables", "--limit", "2")
      const rows = JSON.parse(found.stdout).data.tools
      assert.strictEqual(rows[0].name, "tools-host_everything__get-env")
      assert.isAtMost(rows.length, 2)
      const called = yield* run("mcp", "call", "tools-host_everything__echo", "--args", '{"message":"hé"}')
      assert.include(called.stdout, "Echo: hé")
      const unknown = yield* run("--json", "mcp", "call", "tools-host_everything__nothing")
      assert.strictEqual(PilotProcesses.errorOf(unknown).code, "invalid_argument")
      const entry = yield* run("--json", "mcp", "install", "front", "--client", "claude")
      assert.deepStrictEqual(JSON.parse(entry.stdout).data.entry.args.slice(-2), ["mcp", "front"])
    })
  )

  it.effect("mcp front --http: an endpoint with a token, a session for each client, also of the old transport", () =>
    Effect.gen(function* () {
      const { agent } = yield* Stage
      const served = yield* PilotProcesses.watch(
        process.execPath,
        [Pilotctl.PROGRAM, "mcp", "front", "--http", "127.0.0.1:0", "--legacy-sse", "--metrics", "127.0.0.1:0"],
        Pilotctl.environment(agent)
      )
      yield* served.printed("token in ")
      const place = (what: string) => new RegExp(`${what} at (http:\\S+)`).exec(served.output())?.[1] ?? ""
      const url = place("services")
      const token = readFileSync(`${agent}/mcp-http.token`, "utf8").trim()
      const [first, second] = [yield* McpOverPilot.sdk1Http(url, token), yield* McpOverPilot.sdk1Http(url, token)]
      assert.include([...(yield* first.tools)], "data-host_fixture__recall")
      yield* first.call("data-host_fixture__remember", { value: "mine" })
      assert.strictEqual(yield* second.call("data-host_fixture__recall", {}), "")
      assert.strictEqual(yield* first.call("data-host_fixture__recall", {}), "mine")

      // Modern clients have no sessions, and share nothing all the same: neither words, nor steps, nor answers of equal ids.
      const [one, two] = [yield* McpOverPilot.sdk2Http(url, token), yield* McpOverPilot.sdk2Http(url, token)]
      const steps: Array<string> = []
      const long = (who: string, client: McpOverPilot.McpClient, count: number) =>
        client.call("tools-host_everything__trigger-long-running-operation", { duration: 0.5, steps: count }, (step) =>
          steps.push(`${who} ${step}`)
        )
      const told = yield* Effect.all([long("one", one, 2), long("two", two, 3)], { concurrency: 2 })
      assert.deepStrictEqual(
        told.map((text) => /Steps: (\d)/.exec(text)?.[1]),
        ["2", "3"]
      )
      assert.deepStrictEqual([...steps].sort(), ["one 1", "one 2", "two 1", "two 2", "two 3"])
      yield* one.call("data-host_fixture__remember", { value: "of one" })
      assert.strictEqual(yield* two.call("data-host_fixture__recall", {}), "")
      assert.strictEqual(yield* first.call("data-host_fixture__recall", {}), "mine")

      const old = yield* McpOverPilot.sdk1Sse(place("SSE"), token)
      assert.strictEqual(yield* old.call("data-host_fixture__recall", {}), "")
      const counts = yield* attempt(() => fetch(place("metrics")).then((response) => response.text()))
      assert.match(counts, /_total\{service="fixture",peer="data-host".*tool="recall".*\} 5$/m)
    })
  )
})
