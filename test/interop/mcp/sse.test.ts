import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js"
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js"
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
import * as McpRig from "../../support/McpRig.ts"
import * as RealServers from "./RealServers.ts"
import * as SseUpstreams from "./SseUpstreams.ts"

const live = Layer.mergeAll(NodeServices.layer, NativeCrypto.layer, NodeUpstreamClient.layer)
class Rejected extends Schema.TaggedError<Rejected>()("Rejected", { error: Schema.Unknown }) {}
const promise = <A>(run: () => Promise<A>) => Effect.tryPromise({ try: run, catch: (error) => new Rejected({ error }) })

const TOKEN = "t".repeat(64)
const AUTHORIZED = { authorization: `Bearer ${TOKEN}` }
const SECRET = { "x-api-key": "of the owner" }

/** A keeper whose one service is the server at that URL. */
const rigOf = Effect.fnUntraced(function* (url: string) {
  const client = yield* HttpClient.HttpClient
  return yield* McpRig.make({
    services: [{ name: "api", url, headers: SECRET, allowed: [], createdAtSeconds: 0 }],
    spawn: ({ name }, gate) =>
      HttpUpstream.open({
        ...{ client, url, service: name, self: "mcp-host", headers: SECRET },
        caller: () => gate.callerHeaders(),
        mayRepeat: (message, envelope) => gate.mayRepeat(message, envelope)
      })
  })
})

/** An endpoint for the service, with the old transport. */
const endpoint = Effect.fnUntraced(function* (rig: McpRig.McpRig, service = "api", isSse = true) {
  const listener = yield* NodeHttpListener.listen({ host: "127.0.0.1", port: 0 })
  const host = `127.0.0.1:${listener.local.port}`
  yield* HttpEdge.serve(listener.server, {
    ...Instances.one({ peer: "mcp-host", service }, rig.stream(2)),
    isSse,
    door: { hosts: new Set([host]), origins: new Set<string>(), token: TOKEN }
  })
  return `http://${host}`
})

/** The official client of the old transport; it declines whatever it is asked. */
const connect = Effect.fnUntraced(function* (url: string) {
  const client = new Client({ name: "test", version: "1" }, { capabilities: { elicitation: {} } })
  client.setRequestHandler(ElicitRequestSchema, () => ({ action: "decline" as const }))
  const transport = new SSEClientTransport(new URL(url), { requestInit: { headers: AUTHORIZED } })
  yield* Effect.acquireRelease(
    // The SDK's transport is not declared for exactOptionalPropertyTypes.
    promise(() => client.connect(transport as Parameters<typeof client.connect>[0])),
    () => Effect.promise(() => client.close())
  )
  return client
})

const call = (client: Client, name: string, value = "", onprogress?: () => void) =>
  promise(() =>
    client.callTool({ name, arguments: { value } }, undefined, onprogress === undefined ? {} : { onprogress })
  ).pipe(Effect.map((result) => Schema.decodeUnknownSync(ToolResult)(result).content[0]?.text ?? ""))
const ToolResult = Schema.Struct({ content: Schema.Array(Schema.Struct({ text: Schema.String })) })

/** What a client gets to see of the server. */
const seen = (client: Client) =>
  Effect.gen(function* () {
    let steps = 0
    const { tools } = yield* promise(() => client.listTools())
    const texts = [yield* call(client, "echo", "hé 𝄞")]
    yield* call(client, "remember", "word")
    texts.push(yield* call(client, "recall"), yield* call(client, "ask", "really?", () => steps++))
    const wrong = yield* Effect.flip(promise(() => client.listResources()))
    return { tools, texts, steps, server: client.getServerVersion(), wrong: String(wrong.error) }
  })

const test = (
  name: string,
  body: () => Effect.Effect<void, unknown, Crypto | Scope.Scope | HttpClient.HttpClient | ChildProcessSpawner>
) => it.live(name, () => body().pipe(Effect.scoped, Effect.provide(live)))

describe("HTTP+SSE (2024-11-05)", () => {
  test("the official client sees the official server through the bridge as it sees it directly", () =>
    Effect.gen(function* () {
      const upstream = yield* SseUpstreams.make
      const direct = yield* Effect.scoped(Effect.flatMap(connect(upstream.url), seen))
      assert.deepStrictEqual([direct.texts, direct.steps], [["hé 𝄞", "word", "decline"], 1])
      const rig = yield* rigOf(upstream.url)
      const base = yield* endpoint(rig)

      yield* Effect.scoped(
        Effect.gen(function* () {
          const [first, second] = [yield* connect(`${base}/sse`), yield* connect(`${base}/sse`)]
          assert.deepStrictEqual(yield* seen(first), direct)
          assert.strictEqual(yield* call(second, "recall"), "")
          assert.strictEqual(upstream.sessions(), 2)
        })
      )

      // The end of the event stream is the end of the session, all the way to the server.
      while (upstream.sessions() > 0) yield* Effect.yieldNow
      while ((yield* rig.keeper().status).length > 0) yield* Effect.yieldNow
      const posted = upstream.requests.filter(({ headers }) => headers["x-api-key"] !== undefined)
      assert.isTrue(posted.every(({ headers }) => headers.authorization === undefined))
    }))

  test("an SDK 1 client on stdio uses it; a stream that ends is a server that died (mcp §6.3)", () =>
    Effect.gen(function* () {
      const upstream = yield* SseUpstreams.make
      const rig = yield* rigOf(upstream.url)
      const client = new Client({ name: "test", version: "1" }, { capabilities: {} })
      const transport = yield* RealServers.transport(rig, "api", 3)
      yield* promise(() => client.connect(transport))
      assert.strictEqual(yield* call(client, "echo", "x"), "x")
      const hung = yield* Effect.forkChild(Effect.flip(call(client, "hang")))
      while ((yield* rig.keeper().status).every(({ inFlight }) => inFlight === 0)) yield* Effect.yieldNow
      yield* upstream.cut

      assert.include(String((yield* Fiber.join(hung)).error), "-31002")
      assert.strictEqual(yield* call(client, "echo", "again"), "again")
      yield* promise(() => client.close())
    }))

  test("a server that names a place at another origin gets nothing posted (mcp §8, rule 10)", () =>
    Effect.gen(function* () {
      const [upstream, other] = [yield* SseUpstreams.make, yield* SseUpstreams.make]
      upstream.pretend(other.url.replace("/sse", "/messages?sessionId=x"))
      const rig = yield* rigOf(upstream.url)
      const client = new Client({ name: "test", version: "1" }, { capabilities: {} })
      const transport = yield* RealServers.transport(rig, "api", 3)

      const { error } = yield* Effect.flip(promise(() => client.connect(transport)))

      assert.include(String(error), "-31001")
      assert.deepStrictEqual([...other.requests], [])
    }))

  test("the door is that of the endpoint; without the flag, the paths are not there", () =>
    Effect.gen(function* () {
      const rig = yield* RealServers.make(70_000)
      const base = yield* endpoint(rig, "fixture")
      const status = (path: string, init: RequestInit = {}) =>
        Effect.map(
          promise(() => fetch(`${base}${path}`, { headers: AUTHORIZED, ...init })),
          (response) => response.status
        )
      const json = { ...AUTHORIZED, "content-type": "application/json" }

      assert.strictEqual(yield* status("/sse", { headers: {} }), 401)
      assert.strictEqual(yield* status("/sse", { headers: { ...AUTHORIZED, origin: "http://evil.example" } }), 403)
      assert.strictEqual(yield* status("/messages?sessionId=x", { method: "POST", headers: {} }), 401)
      assert.strictEqual(yield* status("/messages?sessionId=x", { method: "POST", headers: json, body: "{}" }), 404)
      assert.strictEqual(yield* status("/messages", { method: "GET" }), 405)
      assert.strictEqual(yield* status("/sse", { method: "POST", headers: json, body: "{}" }), 405)

      const stream = yield* promise(() => fetch(`${base}/sse`, { headers: AUTHORIZED }))
      const reader = stream.body?.getReader() ?? assert.fail("no body")
      const { value } = yield* promise(() => reader.read())
      const [, place = ""] = /^event: endpoint\ndata: (\S+)\n\n/.exec(new TextDecoder().decode(value)) ?? []
      assert.match(place, /^\/messages\?sessionId=[0-9a-f]{32}$/)
      const posting = (body: string, headers: Record<string, string> = json) =>
        status(place, { method: "POST", headers, body })
      assert.strictEqual(yield* posting("{"), 400)
      assert.strictEqual(yield* posting("[]"), 400)
      assert.strictEqual(yield* posting("{}", { ...AUTHORIZED, "content-type": "text/plain" }), 415)
      assert.strictEqual(yield* posting(`"${"x".repeat(11_000_000)}"`), 413)
      assert.strictEqual(yield* posting('{"jsonrpc":"2.0","method":"notifications/initialized"}'), 202)
      yield* promise(() => reader.cancel())
      while ((yield* posting('{"jsonrpc":"2.0","method":"notifications/initialized"}')) !== 404) yield* Effect.yieldNow

      const without = yield* endpoint(rig, "fixture", false)
      const absent = yield* promise(() => fetch(`${without}/sse`, { headers: AUTHORIZED }))
      assert.strictEqual(absent.status, 404)
    }))
})
