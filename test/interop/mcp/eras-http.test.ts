import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Client as Client2, StreamableHTTPClientTransport as Http2 } from "@modelcontextprotocol/client"
import { Client as Client1 } from "@modelcontextprotocol/sdk/client/index.js"
import { StreamableHTTPClientTransport as Http1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js"
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js"
import { Effect, Layer, Schema } from "effect"
import * as HttpEdge from "../../../src/actors/mcp/edge/HttpEdge.ts"
import * as Instances from "../../../src/actors/mcp/mount/Instances.ts"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import * as NodeHttpListener from "../../../src/core/net/NodeHttpListener.ts"
import * as RealServers from "./RealServers.ts"

const live = Layer.merge(NodeServices.layer, NativeCrypto.layer)
class Rejected extends Schema.TaggedError<Rejected>()("Rejected", { error: Schema.Unknown }) {}
const promise = <A>(run: () => Promise<A>) => Effect.tryPromise({ try: run, catch: (error) => new Rejected({ error }) })

/** An endpoint for one service, used by node 2, that lets everybody in. */
const serve = Effect.fnUntraced(function* (service: string) {
  const rig = yield* RealServers.make(70_000)
  const listener = yield* NodeHttpListener.listen({ host: "127.0.0.1", port: 0 })
  const host = `127.0.0.1:${listener.local.port}`
  const door = { hosts: new Set([host]), origins: new Set<string>(), token: undefined }
  const target = { peer: "mcp-host", service }
  yield* HttpEdge.serve(listener.server, { ...Instances.one(target, rig.stream(2)), door, isModernOnly: true })
  return new URL(`http://${host}/mcp`)
})

describe("the era bridge of an HTTP endpoint (mcp §6.6)", () => {
  it.live("a legacy client is asked for what a modern-only server wants to know", () =>
    Effect.gen(function* () {
      const url = yield* serve("modern")
      const client = new Client1({ name: "legacy", version: "1" }, { capabilities: { elicitation: { form: {} } } })
      client.setRequestHandler(ElicitRequestSchema, () => ({ action: "accept", content: { name: "Ann" } }))
      // The SDK's transport is not declared for exactOptionalPropertyTypes.
      yield* promise(() => client.connect(new Http1(url) as Parameters<typeof client.connect>[0]))
      const { tools } = yield* promise(() => client.listTools())
      const asked = yield* promise(() => client.callTool({ name: "ask", arguments: {} }))

      assert.isAtLeast(tools.length, 10)
      assert.include(JSON.stringify(asked), "Ann")
      yield* promise(() => client.close())
    }).pipe(Effect.scoped, Effect.provide(live))
  )

  it.live("a modern-only client is asked for what a legacy server wants to know", () =>
    Effect.gen(function* () {
      const url = yield* serve("everything")
      const versionNegotiation = { mode: { pin: "2026-07-28" } }
      const capabilities = { elicitation: { form: {} } }
      const client = new Client2({ name: "modern", version: "1" }, { capabilities, versionNegotiation })
      client.setRequestHandler("elicitation/create", () => ({ action: "accept", content: { name: "Ann" } }))
      yield* promise(() => client.connect(new Http2(url)))
      const { tools } = yield* promise(() => client.listTools())
      const asked = yield* promise(() => client.callTool({ name: "trigger-elicitation-request", arguments: {} }))

      assert.isAtLeast(tools.length, 5)
      assert.include(JSON.stringify(asked), "Ann")
      yield* promise(() => client.close())
    }).pipe(Effect.scoped, Effect.provide(live))
  )
})
