import { assert, describe, it } from "@effect/vitest"
import { Client as Client1 } from "@modelcontextprotocol/sdk/client/index.js"
import { McpError } from "@modelcontextprotocol/sdk/types.js"
import { Effect, Fiber, Latch, Layer, Schema, type Scope } from "effect"
import { HttpClient } from "effect/http"
import type { UrlService } from "../../../src/actors/mcp/keeper/ServiceTable.ts"
import * as HttpUpstream from "../../../src/actors/mcp/server/HttpUpstream.ts"
import type { Crypto } from "../../../src/core/crypto/Crypto.ts"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import * as NodeUpstreamClient from "../../../src/core/net/NodeUpstreamClient.ts"
import type { Rules } from "../../../src/protocol/relay/Policy.ts"
import * as McpRig from "../../support/McpRig.ts"
import * as HttpUpstreams from "./HttpUpstreams.ts"
import * as RealServers from "./RealServers.ts"

const live = Layer.merge(NodeUpstreamClient.layer, NativeCrypto.layer)

class Rejected extends Schema.TaggedError<Rejected>()("Rejected", { error: Schema.Unknown }) {}
const promise = <A>(run: () => Promise<A>) => Effect.tryPromise({ try: run, catch: (error) => new Rejected({ error }) })

const service = (url: string, headers: Readonly<Record<string, string>> = {}): UrlService => ({
  name: "api",
  url,
  headers,
  allowed: [],
  createdAtSeconds: 0
})

/** A keeper whose one service is at that URL. */
const rigOf = (served: UrlService) =>
  Effect.gen(function* () {
    const client = yield* HttpClient.HttpClient
    return yield* McpRig.make({
      services: [served],
      spawn: ({ name }, gate) =>
        HttpUpstream.open({
          client,
          service: name,
          self: "mcp-host",
          ...served,
          caller: () => gate.callerHeaders(),
          mayRepeat: (message, envelope) => gate.mayRepeat(message, envelope)
        }),
      caller: ({ node }) => Effect.succeed({ node_id: node, hostname: "hé", fingerprint: "", public_key: "a+/=" }),
      pieceBytes: 70_000
    })
  })

const connect = Effect.fnUntraced(function* (rig: McpRig.McpRig, node = 2) {
  const client = new Client1({ name: "test", version: "1" }, { capabilities: {} })
  const transport = yield* RealServers.transport(rig, "api", node)
  yield* Effect.acquireRelease(
    promise(() => client.connect(transport)),
    () => Effect.promise(() => client.close())
  )
  return client
})

const call = (client: Client1, name: string, value = "", onprogress?: () => void) =>
  promise(() =>
    client.callTool({ name, arguments: { value } }, undefined, onprogress === undefined ? {} : { onprogress })
  ).pipe(Effect.map((result) => Schema.decodeUnknownSync(ToolResult)(result).content[0]?.text ?? ""))

const failure = <A, R>(effect: Effect.Effect<A, Rejected, R>) =>
  Effect.map(Effect.flip(effect), ({ error }) => {
    assert.instanceOf(error, McpError)
    return { code: error.code, message: error.message, data: error.data }
  })

const ToolResult = Schema.Struct({ content: Schema.Array(Schema.Struct({ text: Schema.String })) })

const withUpstream = <A>(
  use: (
    upstream: HttpUpstreams.HttpUpstream,
    rig: McpRig.McpRig
  ) => Effect.Effect<A, unknown, Crypto | Scope.Scope | HttpClient.HttpClient>,
  headers: Readonly<Record<string, string>> = {},
  rules: Partial<Rules> = {}
) =>
  Effect.gen(function* () {
    const upstream = yield* HttpUpstreams.make
    const ruled = { tools: [], transparent: true, identify: false, ...rules }
    return yield* use(upstream, yield* rigOf({ ...service(upstream.url, headers), rules: ruled }))
  }).pipe(Effect.scoped, Effect.provide(live))

describe("an MCP server behind a URL", () => {
  it.live("an SDK 1 client on stdio lists and calls its tools; the session is ended with DELETE (mcp §2.3)", () =>
    withUpstream((upstream, rig) =>
      Effect.gen(function* () {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const client = yield* connect(rig)
            assert.strictEqual((yield* promise(() => client.listTools())).tools.length, 4)
            assert.strictEqual(yield* call(client, "echo", "hé 𝄞"), "hé 𝄞")
            const stepped = yield* Latch.make()
            const waiting = yield* Effect.forkChild(call(client, "wait", "done", () => stepped.openUnsafe()))
            yield* Effect.andThen(stepped.await, upstream.release)
            assert.strictEqual(yield* Fiber.join(waiting), "done")
            assert.strictEqual(upstream.sessions(), 1)
          })
        )
        while (upstream.sessions() > 0) yield* Effect.yieldNow
        assert.strictEqual(upstream.requests.at(-1)?.method, "DELETE")
      })
    )
  )

  it.live("the server is told who calls in headers that nobody else can set, if its owner wants it (mcp §6.10)", () => {
    const callers = (upstream: HttpUpstreams.HttpUpstream) =>
      upstream.requests.map(({ headers }) =>
        Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith("pilot-caller-")))
      )
    const used = (upstream: HttpUpstreams.HttpUpstream, rig: McpRig.McpRig) =>
      Effect.gen(function* () {
        yield* call(yield* connect(rig), "echo", "x")
        return callers(upstream)
      })
    return Effect.gen(function* () {
      const told = yield* withUpstream(used, {}, { identify: true })
      assert.isNotEmpty(told)
      for (const headers of told) {
        assert.deepStrictEqual(headers, {
          "pilot-caller-node-id": "2",
          "pilot-caller-hostname": "=?base64?aMOp?=",
          "pilot-caller-fingerprint": "",
          "pilot-caller-public-key": "a+/="
        })
      }
      for (const headers of yield* withUpstream(used)) assert.deepStrictEqual(headers, {})
    })
  })

  it.live("a safe call whose connection is cut goes on without its client (mcp §6.3)", () =>
    withUpstream(
      (upstream, rig) =>
        Effect.gen(function* () {
          const client = yield* connect(rig)
          const safe = yield* Effect.forkChild(call(client, "wait", "done"))
          yield* upstream.begun(1)
          yield* upstream.cut
          yield* upstream.begun(2)
          yield* upstream.release
          assert.strictEqual(yield* Fiber.join(safe), "done")
        }),
      {},
      { safe: ["wait"] }
    )
  )

  it.live("a call over its deadline is cancelled at the server, whose late answer reaches nobody (mcp §6.10)", () =>
    withUpstream(
      (upstream, rig) =>
        Effect.gen(function* () {
          const client = yield* connect(rig)
          const late = yield* failure(call(client, "wait", "late"))
          assert.strictEqual(late.code, -31008)
          const posted = () => upstream.requests.filter(({ method }) => method === "POST").length
          const before = posted()
          yield* upstream.release
          assert.strictEqual(yield* call(client, "echo", "next"), "next")
          assert.isAtLeast(before, 4)
        }),
      {},
      { deadlines: [{ tools: "wait", ms: 200 }] }
    )
  )

  it.live("two clients have sessions of their own and see nothing of each other (mcp §6.4)", () =>
    withUpstream((upstream, rig) =>
      Effect.gen(function* () {
        const [first, second] = [yield* connect(rig, 2), yield* connect(rig, 3)]
        yield* call(first, "remember", "first")
        yield* call(second, "remember", "second")

        assert.strictEqual(yield* call(first, "recall"), "first")
        assert.strictEqual(yield* call(second, "recall"), "second")
        assert.strictEqual(upstream.sessions(), 2)
      })
    )
  )

  it.live("a server that forgot the session gets a new one; the call that found out is not lost (mcp §6.3)", () =>
    withUpstream((upstream, rig) =>
      Effect.gen(function* () {
        const client = yield* connect(rig)
        yield* call(client, "remember", "gone")
        yield* upstream.restart

        assert.strictEqual(yield* call(client, "recall"), "")
        assert.strictEqual(yield* call(client, "echo", "again"), "again")
      })
    )
  )

  it.live("a server restarted during a call: the outcome is unknown, the next call works (mcp §6.3)", () =>
    withUpstream((upstream, rig) =>
      Effect.gen(function* () {
        const client = yield* connect(rig)
        const waiting = yield* Effect.forkChild(failure(call(client, "wait")))
        yield* upstream.begun(1)
        yield* upstream.restart

        const data = { retryable: false, delivered: true, service: "api", peer: "mcp-host" }
        assert.deepInclude(yield* Fiber.join(waiting), { code: -31002, data })
        assert.strictEqual(yield* call(client, "echo", "again"), "again")
      })
    )
  )

  it.live("connections cut during a call: the event stream is resumed and the result arrives (mcp §2.3)", () =>
    withUpstream((upstream, rig) =>
      Effect.gen(function* () {
        const client = yield* connect(rig)
        const stepped = yield* Latch.make()
        const waiting = yield* Effect.forkChild(call(client, "wait", "kept", () => stepped.openUnsafe()))
        // Only a stream that has said something can be found again.
        yield* stepped.await
        yield* upstream.cut
        yield* upstream.release

        assert.strictEqual(yield* Fiber.join(waiting), "kept")
        const resumed = upstream.requests.filter(({ headers }) => headers["last-event-id"] !== undefined)
        assert.isAtLeast(resumed.length, 1)
      })
    )
  )

  it.live("refused credentials give -31004 without the server's challenge; the owner's header is sent (mcp §8)", () =>
    withUpstream(
      (upstream, rig) =>
        Effect.gen(function* () {
          const client = yield* connect(rig)
          upstream.refuse(401, { "www-authenticate": 'Bearer realm="secret-realm"' })
          const refused = yield* failure(call(client, "echo", "x"))

          assert.deepInclude(refused, {
            code: -31004,
            data: { retryable: false, delivered: false, service: "api", peer: "mcp-host" }
          })
          assert.notInclude(JSON.stringify(refused), "secret")
          assert.isTrue(upstream.requests.every(({ headers }) => headers.authorization === "Bearer owner"))
          upstream.refuse(undefined)
          assert.strictEqual(yield* call(client, "echo", "x"), "x")
        }),
      { authorization: "Bearer owner" }
    )
  )

  it.live("a redirect to another origin is not followed; nothing reaches that place (mcp §8, rule 10)", () =>
    withUpstream((upstream, rig) =>
      Effect.gen(function* () {
        const other = yield* HttpUpstreams.make
        const client = yield* connect(rig)
        upstream.refuse(307, { location: other.url })

        assert.deepInclude(yield* failure(call(client, "echo", "x")), { code: -31001 })
        assert.strictEqual(other.requests.length, 0)
      })
    )
  )

  it.live("busy, failing and absent servers have outcomes of their own", () =>
    withUpstream((upstream, rig) =>
      Effect.gen(function* () {
        const client = yield* connect(rig)
        upstream.refuse(503)
        assert.deepInclude(yield* failure(call(client, "echo")), { code: -31007 })
        upstream.refuse(500)
        assert.deepInclude(yield* failure(call(client, "echo")), { code: -31002 })
        const absent = yield* rigOf(service("http://127.0.0.1:1/mcp"))
        assert.deepInclude(yield* failure(Effect.asVoid(connect(absent))), { code: -31001 })
      })
    )
  )
})
