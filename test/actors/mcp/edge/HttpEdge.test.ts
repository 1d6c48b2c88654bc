import { request } from "node:http"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Queue } from "effect"
import * as HttpEdge from "../../../../src/actors/mcp/edge/HttpEdge.ts"
import * as Instances from "../../../../src/actors/mcp/mount/Instances.ts"
import * as PortableCrypto from "../../../../src/core/crypto/PortableCrypto.ts"
import * as NodeHttpListener from "../../../../src/core/net/NodeHttpListener.ts"
import * as McpRig from "../../../support/McpRig.ts"
import * as ScriptedServer from "../../../support/ScriptedServer.ts"

const BODY = JSON.stringify({
  jsonrpc: "2.0",
  id: 1,
  method: "tools/call",
  params: {
    name: "t",
    _meta: {
      "io.modelcontextprotocol/protocolVersion": "2026-07-28",
      "io.modelcontextprotocol/clientCapabilities": {}
    }
  }
})
const HEADERS = {
  "content-type": "application/json",
  accept: "application/json, text/event-stream",
  "mcp-protocol-version": "2026-07-28",
  "mcp-method": "tools/call",
  "mcp-name": "t"
}

describe("HttpEdge", () => {
  // On a clock that stands still: the five seconds after which a response begins never pass.
  it.effect("a modern client that leaves before its response begins cancels its request at once (mcp §1.1)", () =>
    Effect.gen(function* () {
      const started = yield* Queue.unbounded<ScriptedServer.ScriptedServer>()
      const rig = yield* McpRig.make({
        services: [McpRig.service("files")],
        spawn: () =>
          Effect.map(
            Effect.tap(ScriptedServer.make(), (server) => Queue.offer(started, server)),
            ({ child }) => child
          )
      })
      const { local, server } = yield* NodeHttpListener.listen({ host: "127.0.0.1", port: 0 })
      const hosts = new Set([`127.0.0.1:${local.port}`])
      const door = { hosts, origins: new Set<string>(), token: undefined }
      yield* HttpEdge.serve(server, { ...Instances.one({ peer: "mcp-host", service: "files" }, rig.stream(2)), door })

      const client = request({ host: "127.0.0.1", port: local.port, method: "POST", path: "/mcp", headers: HEADERS })
      client.on("error", () => undefined)
      client.end(BODY)
      const running = yield* Queue.take(started)
      // The mount first asks which era the server is of.
      const probe = JSON.parse(yield* running.line)
      assert.strictEqual(probe.method, "server/discover")
      const found = { resultType: "complete", supportedVersions: ["2026-07-28"], capabilities: { tools: {} } }
      yield* running.write(`${JSON.stringify({ jsonrpc: "2.0", id: probe.id, result: found })}\n`)
      const { id } = JSON.parse(yield* running.line)
      client.destroy()

      const { method, params } = JSON.parse(yield* running.line)
      assert.deepStrictEqual([method, params.requestId], ["notifications/cancelled", id])
    }).pipe(Effect.provide(PortableCrypto.layer))
  )

  it.effect("the rules of the mount hold for clients at the endpoint as well (mcp §6.10)", () =>
    Effect.gen(function* () {
      const started = yield* Queue.unbounded<ScriptedServer.ScriptedServer>()
      const rig = yield* McpRig.make({
        services: [McpRig.service("files")],
        spawn: () =>
          Effect.map(
            Effect.tap(ScriptedServer.make(), (server) => Queue.offer(started, server)),
            ({ child }) => child
          )
      })
      const { local, server } = yield* NodeHttpListener.listen({ host: "127.0.0.1", port: 0 })
      const door = { hosts: new Set([`127.0.0.1:${local.port}`]), origins: new Set<string>(), token: undefined }
      const target = { peer: "mcp-host", service: "files" }
      const egress = { tools: ["!t"], audit: undefined }
      yield* HttpEdge.serve(server, { ...Instances.one(target, rig.stream(2)), door, egress })
      const answer = yield* Effect.forkChild(
        Effect.promise(async () => {
          const response = await fetch(`http://127.0.0.1:${local.port}/mcp`, {
            method: "POST",
            headers: HEADERS,
            body: BODY
          })
          return response.text()
        })
      )
      const running = yield* Queue.take(started)
      const probe = JSON.parse(yield* running.line)
      const found = { resultType: "complete", supportedVersions: ["2026-07-28"], capabilities: { tools: {} } }
      yield* running.write(`${JSON.stringify({ jsonrpc: "2.0", id: probe.id, result: found })}\n`)
      const { id, result } = JSON.parse(yield* Fiber.join(answer))
      assert.strictEqual(id, 1)
      assert.isTrue(result.isError)
      assert.include(result.content[0].text, "The rules of this mount")
    }).pipe(Effect.provide(PortableCrypto.layer))
  )
})
