import * as Http from "node:http"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Client as Client2, StreamableHTTPClientTransport as Http2 } from "@modelcontextprotocol/client"
import { Client as Client1 } from "@modelcontextprotocol/sdk/client/index.js"
import { StreamableHTTPClientTransport as Http1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js"
import { Effect, Fiber, Layer, Schema, type Scope } from "effect"
import { HttpClient } from "effect/http"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as HttpEdge from "../../../src/actors/mcp/edge/HttpEdge.ts"
import * as Instances from "../../../src/actors/mcp/mount/Instances.ts"
import * as HttpUpstream from "../../../src/actors/mcp/server/HttpUpstream.ts"
import type { Crypto } from "../../../src/core/crypto/Crypto.ts"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import * as NodeHttpListener from "../../../src/core/net/NodeHttpListener.ts"
import * as NodeUpstreamClient from "../../../src/core/net/NodeUpstreamClient.ts"
import { LineSplitter } from "../../../src/protocol/relay/LineSplitter.ts"
import * as McpRig from "../../support/McpRig.ts"
import * as RealServers from "./RealServers.ts"

const live = Layer.mergeAll(NodeServices.layer, NativeCrypto.layer, NodeUpstreamClient.layer)
class Rejected extends Schema.TaggedError<Rejected>()("Rejected", { error: Schema.Unknown }) {}
const promise = <A>(run: () => Promise<A>) => Effect.tryPromise({ try: run, catch: (error) => new Rejected({ error }) })

const TOKEN = "t".repeat(64)
const AUTHORIZED = { authorization: `Bearer ${TOKEN}` }

/** An endpoint for one service of the rig, used by node 2. */
const serve = Effect.fnUntraced(function* (rig: McpRig.McpRig, service: string) {
  const listener = yield* NodeHttpListener.listen({ host: "127.0.0.1", port: 0 })
  const host = `127.0.0.1:${listener.local.port}`
  yield* HttpEdge.serve(listener.server, {
    ...Instances.one({ peer: "mcp-host", service }, rig.stream(2)),
    door: { hosts: new Set([host]), origins: new Set([`http://${host}`]), token: TOKEN }
  })
  return `http://${host}/mcp`
})

const withEndpoint = <A>(
  service: string,
  use: (
    url: string,
    rig: McpRig.McpRig
  ) => Effect.Effect<A, unknown, Crypto | Scope.Scope | ChildProcessSpawner | HttpClient.HttpClient>
) =>
  Effect.gen(function* () {
    const rig = yield* RealServers.make(70_000)
    return yield* use(yield* serve(rig, service), rig)
  }).pipe(Effect.scoped, Effect.provide(live))

const sdk1 = Effect.fnUntraced(function* (url: string, capabilities = {}) {
  const client = new Client1({ name: "test", version: "1" }, { capabilities })
  const transport = new Http1(new URL(url), { requestInit: { headers: AUTHORIZED } })
  yield* Effect.acquireRelease(
    // The SDK's transport is not declared for exactOptionalPropertyTypes.
    promise(() => client.connect(transport as Parameters<typeof client.connect>[0])),
    () => Effect.promise(() => client.close())
  )
  return { client, transport }
})

const call = (client: Client1, name: string, args: Record<string, unknown> = {}, onprogress?: () => void) =>
  promise(() =>
    client.callTool({ name, arguments: args }, undefined, onprogress === undefined ? {} : { onprogress })
  ).pipe(Effect.map((result) => Schema.decodeUnknownSync(ToolResult)(result).content[0]?.text ?? ""))
const ToolResult = Schema.Struct({ content: Schema.Array(Schema.Struct({ text: Schema.String })) })

/** One request by hand; the whole body, or for an event stream what came until `until`. */
const ask = (
  url: string,
  options: {
    readonly method?: string
    readonly headers?: Record<string, string>
    readonly body?: string
    readonly until?: (text: string) => boolean
  }
) =>
  Effect.callback<{ readonly status: number; readonly headers: Http.IncomingHttpHeaders; readonly text: string }>(
    (resume) => {
      const { body, method = "POST", until = () => false } = options
      const headers = {
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        ...AUTHORIZED,
        ...options.headers
      }
      const request = Http.request(url, { method, headers }, (response) => {
        let text = ""
        const done = () => resume(Effect.succeed({ status: response.statusCode ?? 0, headers: response.headers, text }))
        response.on("data", (chunk) => {
          text += String(chunk)
          if (!until(text)) return
          done()
          request.destroy()
        })
        response.on("error", () => {})
        response.on("end", done)
      })
      request.on("error", () => resume(Effect.succeed({ status: 0, headers: {}, text: "" })))
      request.end(body)
    }
  )

const INITIALIZE = JSON.stringify({
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "hand", version: "1" } }
})
const toolCall = (id: unknown, name: string, value = "", meta = {}) =>
  JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params: { name, arguments: { value }, _meta: meta } })

const MODERN_META = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientCapabilities": {}
}

describe("pilotctl mcp mount --http", () => {
  it.live("SDK 1 over HTTP: tools, progress, and the session ends with DELETE", () =>
    withEndpoint("everything", (url, rig) =>
      Effect.gen(function* () {
        const { client, transport } = yield* sdk1(url)
        const { tools } = yield* promise(() => client.listTools())
        assert.isAtLeast(tools.length, 5)
        assert.strictEqual(yield* call(client, "echo", { message: "hé 𝄞" }), "Echo: hé 𝄞")
        const steps: Array<string> = []
        const long = { duration: 0.4, steps: 4 }
        assert.include(
          yield* call(client, "trigger-long-running-operation", long, () => steps.push("step")),
          "completed"
        )
        assert.isAtLeast(steps.length, 3)
        yield* promise(() => transport.terminateSession())
        while ((yield* rig.keeper().status).length > 0) yield* Effect.yieldNow
      })
    )
  )

  it.live("SDK 2 over HTTP, auto: finds a legacy server behind the endpoint", () =>
    withEndpoint("everything", (url) =>
      Effect.gen(function* () {
        const client = new Client2({ name: "test", version: "1" }, { versionNegotiation: { mode: "auto" } })
        const transport = new Http2(new URL(url), { requestInit: { headers: AUTHORIZED } })
        yield* Effect.acquireRelease(
          promise(() => client.connect(transport)),
          () => Effect.promise(() => client.close())
        )
        const { tools } = yield* promise(() => client.listTools())
        assert.isAtLeast(tools.length, 5)
        const echo = yield* promise(() => client.callTool({ name: "echo", arguments: { message: "two" } }))
        assert.include(JSON.stringify(echo), "two")
      })
    )
  )

  it.live("two clients of one endpoint have servers of their own, even with equal ids (mcp §6.4)", () =>
    withEndpoint("fixture", (url) =>
      Effect.gen(function* () {
        const [first, second] = [yield* sdk1(url), yield* sdk1(url)]
        yield* call(first.client, "remember", { value: "first" })
        yield* call(second.client, "remember", { value: "second" })

        assert.strictEqual(yield* call(first.client, "recall"), "first")
        assert.strictEqual(yield* call(second.client, "recall"), "second")
        assert.notStrictEqual(first.transport.sessionId, second.transport.sessionId)
      })
    )
  )

  it.live("clients that go without DELETE take no room from those that come (mcp §6.4)", () =>
    withEndpoint("fixture", (url) =>
      Effect.gen(function* () {
        for (let visit = 0; visit < 6; visit++) {
          // Closing an SDK client ends its connections and nothing else.
          const pid = yield* Effect.scoped(Effect.flatMap(sdk1(url), ({ client }) => call(client, "pid")))
          assert.match(pid, /^\d+$/)
        }
      })
    )
  )

  it.live("an answer that came after the connection was cut is there for Last-Event-ID (mcp §2.3)", () =>
    withEndpoint("everything", (url) =>
      Effect.gen(function* () {
        const opened = yield* ask(url, { body: INITIALIZE })
        const session = { "mcp-session-id": String(opened.headers["mcp-session-id"]) }
        yield* ask(url, { headers: session, body: '{"jsonrpc":"2.0","method":"notifications/initialized"}' })
        const body = JSON.stringify({
          jsonrpc: "2.0",
          id: "long",
          method: "tools/call",
          params: {
            name: "trigger-long-running-operation",
            arguments: { duration: 0.3, steps: 3 },
            _meta: { progressToken: "p" }
          }
        })
        const begun = yield* ask(url, { headers: session, body, until: (text) => text.includes('"progress":1') })
        const [, lastEventId = ""] = /id: (\S+)\ndata: \{[^\n]*"progress":1/.exec(begun.text) ?? []

        const resumed = yield* ask(url, {
          method: "GET",
          headers: { ...session, "last-event-id": lastEventId },
          until: (text) => text.includes('"id":"long"')
        })
        assert.include(resumed.text, "completed")
        assert.notInclude(resumed.text, '"progress":1,')
        const unknown = yield* ask(url, { method: "GET", headers: { ...session, "last-event-id": "999-1" } })
        assert.strictEqual(unknown.status, 404)
      })
    )
  )

  it.live("refuses what is not for it: host, origin, token, type, size, JSON, session, method", () =>
    withEndpoint("fixture", (url) =>
      Effect.gen(function* () {
        const status = (options: Parameters<typeof ask>[1]) =>
          Effect.map(ask(url, { body: INITIALIZE, ...options }), (response) => {
            assert.isUndefined(response.headers["access-control-allow-origin"])
            return response.status
          })

        assert.strictEqual(yield* status({ headers: { host: "evil.example" } }), 403)
        assert.strictEqual(yield* status({ headers: { origin: "http://evil.example" } }), 403)
        assert.strictEqual(yield* status({ headers: { authorization: "" } }), 401)
        assert.strictEqual(yield* status({ headers: { authorization: `Bearer ${"u".repeat(64)}` } }), 401)
        assert.strictEqual(yield* status({ headers: { "content-type": "text/plain" } }), 415)
        assert.strictEqual(yield* status({ headers: { accept: "application/json" } }), 406)
        assert.strictEqual(yield* status({ body: "{" }), 400)
        assert.strictEqual(yield* status({ body: `"${"x".repeat(11_000_000)}"` }), 413)
        assert.strictEqual(yield* status({ body: toolCall(1, "recall") }), 400)
        assert.strictEqual(
          yield* status({ headers: { "mcp-session-id": "0".repeat(32) }, body: toolCall(1, "pid") }),
          404
        )
        assert.strictEqual(yield* status({ method: "GET" }), 405)
        assert.strictEqual(yield* status({ method: "DELETE" }), 405)
        assert.strictEqual(yield* status({ method: "OPTIONS" }), 405)
      })
    )
  )

  it.live("modern requests: headers must say what the body says; each client gets its own answer back", () =>
    withEndpoint("fixture", (url) =>
      Effect.gen(function* () {
        const meta = MODERN_META
        const headers = { "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "big" }
        const both = yield* Effect.all(
          [5, 7].map((size) => ask(url, { headers, body: toolCall("same", "big", String(size), meta) })),
          { concurrency: "unbounded" }
        )
        const texts = both.map(({ text }) => Schema.decodeSync(Schema.fromJsonString(Answer))(text))
        assert.deepStrictEqual(
          texts.map(({ id, result }) => [id, result.content[0]?.text.length]),
          [
            ["same", 5],
            ["same", 7]
          ]
        )

        const wrong = yield* ask(url, {
          headers: { ...headers, "mcp-name": "pid" },
          body: toolCall(1, "big", "", meta)
        })
        assert.strictEqual(wrong.status, 400)
        assert.include(wrong.text, "-32020")
        const bare = yield* ask(url, { headers, body: toolCall(1, "big") })
        assert.strictEqual(bare.status, 400)
        assert.include(bare.text, "-32602")
      })
    )
  )

  it.live("an endpoint exposed again by its URL: both edges in one chain, legacy and modern", () =>
    withEndpoint("fixture", (url, rig) =>
      Effect.gen(function* () {
        const client = yield* HttpClient.HttpClient
        const outer = yield* McpRig.make({
          services: [{ name: "again", url, headers: AUTHORIZED, allowed: [], createdAtSeconds: 0 }],
          spawn: ({ name }, gate) =>
            HttpUpstream.open({
              client,
              service: name,
              self: "middle",
              url,
              headers: AUTHORIZED,
              caller: () => gate.callerHeaders(),
              mayRepeat: (message, envelope) => gate.mayRepeat(message, envelope)
            })
        })
        const legacy = new Client1({ name: "test", version: "1" }, { capabilities: {} })
        const transport = yield* RealServers.transport(outer, "again", 3)
        yield* promise(() => legacy.connect(transport))
        yield* call(legacy, "remember", { value: "hé" })
        assert.strictEqual(yield* call(legacy, "recall"), "hé")
        assert.strictEqual((yield* call(legacy, "big", { value: "9000000" })).length, 9_000_000)
        yield* promise(() => legacy.close())

        const lines = yield* outer.client("again", 4)
        const splitter = new LineSplitter(1_000_000)
        const write = (line: string) => lines.write(new TextEncoder().encode(`${line}\n`))
        const read = Effect.gen(function* () {
          while (true) {
            for (const line of splitter.push(yield* lines.read)) {
              if (line._tag === "Whole") return new TextDecoder().decode(line.bytes)
            }
          }
        })
        // The name of the tool travels in a header as well, and the second edge compares it.
        yield* write(toolCall("a", "recall", "", MODERN_META))
        // The first edge translates for the legacy server behind it.
        assert.deepStrictEqual(JSON.parse(yield* read), {
          result: {
            _meta: { "io.modelcontextprotocol/serverInfo": { name: "fixture", version: "1" } },
            resultType: "complete",
            content: [{ type: "text", text: "" }]
          },
          jsonrpc: "2.0",
          id: "a"
        })
        yield* write(toolCall("b", "hang", "", MODERN_META))
        const waits = (count: number) =>
          Effect.gen(function* () {
            while ((yield* rig.keeper().status).reduce((sum, { inFlight }) => sum + inFlight, 0) !== count) {
              yield* Effect.yieldNow
            }
          })
        yield* waits(1)
        // Cancelling ends the HTTP request, which the next edge turns into the same notification again (mcp §1.1).
        yield* write('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"b"}}')
        yield* waits(0)
      })
    )
  )

  it.live("the peer's keeper restarts during a call: the client is told, and goes on (mcp §6.3)", () =>
    withEndpoint("fixture", (url, rig) =>
      Effect.gen(function* () {
        const { client } = yield* sdk1(url)
        const hung = yield* Effect.forkChild(Effect.flip(call(client, "hang")))
        while ((yield* rig.keeper().status).every(({ inFlight }) => inFlight === 0)) yield* Effect.yieldNow
        yield* rig.restartKeeper

        const { error } = yield* Fiber.join(hung)
        assert.include(String(error), "-31002")
        assert.strictEqual(yield* call(client, "recall"), "")
      })
    )
  )
})

const Answer = Schema.Struct({ id: Schema.String, result: ToolResult })
