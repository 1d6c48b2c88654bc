import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Front from "../../../../src/actors/mcp/front/Front.ts"
import * as PortableCrypto from "../../../../src/core/crypto/PortableCrypto.ts"
import type * as AuditChain from "../../../../src/protocol/relay/AuditChain.ts"
import * as McpRig from "../../../support/McpRig.ts"
import * as ScriptedServer from "../../../support/ScriptedServer.ts"

/** A server with two tools, that answers every call with the tool's name. */
const serve = Effect.gen(function* () {
  const server = yield* ScriptedServer.make()
  const answer = ({ method, params }: { readonly method: string; readonly params: { readonly name?: string } }) => {
    if (method === "initialize") {
      const serverInfo = { name: "s", version: "1" }
      return { result: { protocolVersion: "2025-11-25", capabilities: { tools: {} }, serverInfo } }
    }
    if (method === "server/discover") return { error: { code: -32601, message: "no" } }
    const inputSchema = { type: "object" }
    if (method === "tools/list") return { result: { tools: ["read", "write"].map((name) => ({ name, inputSchema })) } }
    return { result: { content: [{ type: "text", text: params.name }] } }
  }
  const step = Effect.gen(function* () {
    const message = JSON.parse(yield* server.line)
    if (message.id === undefined) return
    yield* server.write(`${JSON.stringify({ jsonrpc: "2.0", id: message.id, ...answer(message) })}\n`)
  })
  yield* Effect.forkScoped(Effect.ignore(Effect.forever(step)))
  return server.child
})

describe("rules of a front", () => {
  it.effect("hold for every service, by the names that its server gives (mcp §6.10, §6.11)", () =>
    Effect.gen(function* () {
      const recorded: Array<AuditChain.Call> = []
      const rig = yield* McpRig.make({ services: [McpRig.service("files")], spawn: () => serve })
      const audit = {
        sha256: () => new Uint8Array(32),
        record: (entry: AuditChain.Call) => void recorded.push(entry),
        time: () => "now"
      }
      const front = yield* Front.make({
        peers: Effect.succeed(["mcp-host"]),
        dial: () => rig.stream(2),
        egress: { tools: ["!write"], audit },
        version: "1",
        settings: Front.DEFAULTS
      })
      const client = yield* front.connect(false)
      const line = ScriptedServer.lines(client)
      let asked = 0
      const ask = Effect.fnUntraced(function* (method: string, params: object) {
        const id = ++asked
        yield* client.write(new TextEncoder().encode(`${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`))
        while (true) {
          const message = JSON.parse(yield* line)
          if (message.id === id) return message
        }
      })
      yield* ask("initialize", {
        protocolVersion: "2025-11-25",
        capabilities: {},
        clientInfo: { name: "c", version: "1" }
      })
      const { result } = yield* ask("tools/list", {})
      assert.deepStrictEqual(
        result.tools.map(({ name }: { readonly name: string }) => name),
        ["mcp-host_files__read"]
      )
      const read = yield* ask("tools/call", { name: "mcp-host_files__read", arguments: {} })
      assert.strictEqual(read.result.content[0].text, "read")
      const calls = recorded.filter(({ method }) => method === "tools/call")
      assert.deepStrictEqual(
        calls.map(({ outcome, peer, service, target }) => [peer, service, target, outcome]),
        [["mcp-host", "files", "read", "ok"]]
      )
    }).pipe(Effect.provide(PortableCrypto.layer))
  )
})
