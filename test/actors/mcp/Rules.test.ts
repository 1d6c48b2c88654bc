import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Queue, type Scope } from "effect"
import { TestClock } from "effect/testing"
import type { Crypto } from "../../../src/core/crypto/Crypto.ts"
import * as PortableCrypto from "../../../src/core/crypto/PortableCrypto.ts"
import type * as AuditChain from "../../../src/protocol/relay/AuditChain.ts"
import type * as Policy from "../../../src/protocol/relay/Policy.ts"
import * as McpRig from "../../support/McpRig.ts"
import * as ScriptedServer from "../../support/ScriptedServer.ts"

const RULES: Policy.Rules = { tools: [], transparent: false, identify: false }

/** A host whose one service has these rules. */
const station = Effect.fnUntraced(function* (rules: Partial<Policy.Rules>) {
  const recorded: Array<AuditChain.Call> = []
  const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest()
  const started = yield* Queue.unbounded<ScriptedServer.ScriptedServer>()
  const rig = yield* McpRig.make({
    services: [{ ...McpRig.service("files"), rules: { ...RULES, ...rules } }],
    audit: { sha256, record: (entry) => recorded.push(entry), time: () => "now" },
    caller: ({ node }) => Effect.succeed({ node_id: node }),
    spawn: () =>
      Effect.map(
        Effect.tap(ScriptedServer.make(), (server) => Queue.offer(started, server)),
        ({ child }) => child
      )
  })
  const client = (node: number) =>
    Effect.map(rig.client("files", node), (duplex) => ({
      write: (text: string) => duplex.write(new TextEncoder().encode(`${text}\n`)),
      line: ScriptedServer.lines(duplex)
    }))
  return { recorded, rig, client, server: Queue.take(started), starts: Queue.size(started) }
})

const call = (id: number, tool: string, args = "{}") =>
  `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"${tool}","arguments":${args}}}`
const answer = (id: number) => `{"jsonrpc":"2.0","id":${id},"result":{}}`

const test = (name: string, body: () => Effect.Effect<void, unknown, Crypto | Scope.Scope>) =>
  it.effect(name, () => Effect.provide(body(), PortableCrypto.layer))

describe("the rules of a service", () => {
  test("a denied tool is a result that a model can read, and starts no server (mcp §6.10)", () =>
    Effect.gen(function* () {
      const { client, starts } = yield* station({ tools: ["read_*"] })
      const { line, write } = yield* client(2)
      yield* write(call(1, "write_file"))

      const { id, result } = JSON.parse(yield* line)
      assert.strictEqual(id, 1)
      assert.isTrue(result.isError)
      assert.strictEqual(result.content[0].text, "The owner of this service does not allow this tool.")
      assert.strictEqual(yield* starts, 0)
    }))

  test("a denied method is -31003, and what has no id has no answer (mcp §1.3)", () =>
    Effect.gen(function* () {
      const { client, server } = yield* station({})
      const { line, write } = yield* client(2)
      yield* write('{"jsonrpc":"2.0","method":"tools/call","params":{"name":"t"}}')
      yield* write('{"jsonrpc":"2.0","id":1,"method":"server/upgrade"}')
      const { error, id } = JSON.parse(yield* line)
      assert.strictEqual(id, 1)
      assert.strictEqual(error.code, -31003)
      assert.deepStrictEqual(error.data, { retryable: false, delivered: false, service: "files", peer: "mcp-host" })

      yield* write(call(2, "t"))
      assert.strictEqual(yield* (yield* server).line, call(2, "t"))
    }))

  test("arguments are judged as every reader of the message sees them", () =>
    Effect.gen(function* () {
      const { client, server } = yield* station({ tools: ["read(path=data/*)"] })
      const { line, write } = yield* client(2)
      const denied = [
        '{"path":"secret"}',
        '{"path":"data/a","path":"secret"}',
        '{"path":"data/../secret"}',
        '{"path":["data/a"]}',
        '{"p\\u0061th":"secret"}',
        "{}"
      ]
      for (const [index, args] of denied.entries()) {
        yield* write(call(index, "read", args))
        assert.isTrue(JSON.parse(yield* line).result.isError, args)
      }
      yield* write(
        '{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"read","arguments":{"path":"data/a"},"arguments":{}}}'
      )
      assert.isTrue(JSON.parse(yield* line).result.isError)

      const good = call(10, "read", '{"p\\u0061th":"data/a", "x":1.0}')
      yield* write(good)
      assert.strictEqual(yield* (yield* server).line, good)
    }))

  test("tools that may not be called are cut out of the list, the rest stays byte for byte (mcp §6.10)", () =>
    Effect.gen(function* () {
      const { client, server } = yield* station({ tools: ["read_*"] })
      const { line, write } = yield* client(2)
      yield* write('{"jsonrpc":"2.0","id":1,"method":"tools/list"}')
      const running = yield* server
      yield* running.line
      yield* running.write('{"id":1, "result":{"tools":[{"name":"write_a"},{"name":"read_a","x":1.0} ],"ttlMs":1e3}}\n')
      assert.strictEqual(yield* line, '{"id":1, "result":{"tools":[{"name":"read_a","x":1.0} ],"ttlMs":1e3}}')
    }))

  test("a quota counts a peer's calls over all its sessions, and nobody else's", () =>
    Effect.gen(function* () {
      const quota = { callsPerMinute: 3, concurrent: 2, bytesPerMinute: 1_000_000 }
      const { client, server } = yield* station({ quota })
      const [first, second, other] = [yield* client(2), yield* client(2), yield* client(3)]
      yield* first.write(call(1, "t"))
      const running = yield* server
      yield* running.line
      yield* second.write(call(1, "t"))
      yield* (yield* server).line
      yield* first.write(call(2, "t"))
      assert.include(yield* first.line, "2 calls at the same time")
      yield* other.write(call(1, "t"))
      yield* (yield* server).line

      yield* running.write(`${answer(1)}\n`)
      assert.strictEqual(yield* first.line, answer(1))
      yield* first.write(call(3, "t"))
      yield* running.line
      yield* running.write(`${answer(3)}\n`)
      yield* first.line
      yield* first.write('{"jsonrpc":"2.0","id":4,"method":"tools/list"}')
      const { error } = JSON.parse(yield* first.line)
      assert.strictEqual(error.code, -31007)
      assert.include(error.message, "3 calls per minute")

      yield* TestClock.adjust("61 seconds")
      yield* first.write(call(5, "t"))
      assert.strictEqual(yield* running.line, call(5, "t"))
    }))

  test("the server is told who calls if its owner wants it, whatever the client claims (mcp §6.10)", () =>
    Effect.gen(function* () {
      const { client, server } = yield* station({ identify: true })
      const { write } = yield* client(2)
      const meta = (value: string) => `"_meta":{"dev.effect-pilot/caller":${value}}`
      const text = (value: string) =>
        `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t",${meta(value)}}}`
      yield* write(text('{"node_id":1}'))
      assert.strictEqual(yield* (yield* server).line, text('{"node_id":2}'))
    }))

  test("every request leaves one line: answered, failed, cancelled, denied or lost with its server (mcp §6.10)", () =>
    Effect.gen(function* () {
      const { client, recorded, server } = yield* station({ tools: ["t"], audit: "arguments" })
      const { line, write } = yield* client(2)
      yield* write(call(1, "t", '{"a":1.0}'))
      const running = yield* server
      yield* running.line
      yield* running.write(`${answer(1)}\n`)
      yield* line
      for (const [id, reply] of [
        [2, '"result":{"isError":true}'],
        [3, '"error":{"code":-32602,"message":""}']
      ] as const) {
        yield* write(call(id, "t"))
        yield* running.line
        yield* running.write(`{"jsonrpc":"2.0","id":${id},${reply}}\n`)
        yield* line
      }
      yield* write(call(4, "other"))
      yield* line
      yield* write(call(5, "t"))
      yield* running.line
      yield* write('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}')
      yield* running.line
      yield* write(call(6, "t"))
      yield* running.line
      yield* running.die
      yield* line

      assert.deepStrictEqual(
        recorded.map(({ code, decision, id, outcome }) => [id, outcome, code, decision]),
        [
          ["1", "ok", undefined, "allow"],
          ["2", "toolError", undefined, "allow"],
          ["3", "error", -32602, "allow"],
          ["4", "denied", undefined, "tool"],
          ["5", "cancelled", undefined, "allow"],
          ["6", "unknown", undefined, "allow"]
        ]
      )
      const hash = (text: string) => createHash("sha256").update(text).digest("hex")
      assert.deepInclude(recorded[0], {
        node: 2,
        service: "files",
        target: "t",
        arguments: '{"a":1.0}',
        argumentsHash: hash('{"a":1.0}'),
        resultHash: hash("{}"),
        bytesOut: answer(1).length
      })
    }))

  test("a session that ends gives back what it held", () =>
    Effect.gen(function* () {
      const quota = { callsPerMinute: 100, concurrent: 1, bytesPerMinute: 1_000_000 }
      const { client, rig, server } = yield* station({ quota })
      const lost = yield* client(2)
      yield* lost.write(call(1, "t"))
      const running = yield* server
      yield* running.line
      yield* running.die
      assert.include(yield* lost.line, "-31002")

      yield* lost.write(call(2, "t"))
      yield* (yield* server).line
      rig.allowed.delete(2)
      yield* rig.keeper().recheck
      yield* TestClock.adjust("2 seconds")
      rig.allowed.add(2)
      const next = yield* client(2)
      yield* next.write(call(3, "t"))
      assert.strictEqual(yield* (yield* server).line, call(3, "t"))
    }))
})
