import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Queue, type Scope } from "effect"
import { TestClock } from "effect/testing"
import * as EgressGuard from "../../../../src/actors/mcp/mount/EgressGuard.ts"
import type { Crypto } from "../../../../src/core/crypto/Crypto.ts"
import * as PortableCrypto from "../../../../src/core/crypto/PortableCrypto.ts"
import type * as AuditChain from "../../../../src/protocol/relay/AuditChain.ts"
import * as McpRig from "../../../support/McpRig.ts"
import * as ScriptedServer from "../../../support/ScriptedServer.ts"

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest()

/** A mount with these rules, and what both ends record. */
const station = Effect.fnUntraced(function* (tools: ReadonlyArray<string>) {
  const here: Array<AuditChain.Call> = []
  const there: Array<AuditChain.Call> = []
  const audit = (recorded: Array<AuditChain.Call>) => ({
    sha256,
    record: (entry: AuditChain.Call) => void recorded.push(entry),
    time: () => "now"
  })
  const started = yield* Queue.unbounded<ScriptedServer.ScriptedServer>()
  const rig = yield* McpRig.make({
    services: [
      { ...McpRig.service("files"), rules: { tools: [], transparent: false, identify: false, safe: ["read*"] } }
    ],
    audit: audit(there),
    spawn: () =>
      Effect.map(
        Effect.tap(ScriptedServer.make(), (server) => Queue.offer(started, server)),
        ({ child }) => child
      )
  })
  const client = Effect.map(rig.client("files", 2, undefined, undefined, { tools, audit: audit(here) }), (duplex) => ({
    write: (text: string) => duplex.write(new TextEncoder().encode(`${text}\n`)),
    line: ScriptedServer.lines(duplex)
  }))
  return { here, there, rig, client, server: Queue.take(started) }
})

const call = (id: number, tool: string, args = "{}") =>
  `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"${tool}","arguments":${args}}}`
const answer = (id: number) => `{"jsonrpc":"2.0","id":${id},"result":{}}`

const test = (name: string, body: () => Effect.Effect<void, unknown, Crypto | Scope.Scope>) =>
  it.effect(name, () => Effect.provide(body(), PortableCrypto.layer))

describe("rules at the mount (mcp §6.10)", () => {
  test("a denied call never leaves, is a result that a model can read, and is recorded", () =>
    Effect.gen(function* () {
      const { client, here, server, there } = yield* station(["read(path=data/*)", "!read(path=data/secret*)"])
      const { line, write } = yield* client
      const denied: ReadonlyArray<readonly [string, string]> = [
        ["write", "{}"],
        ["read", '{"path":"etc/a"}'],
        ["read", '{"path":"data/secret"}'],
        ["read", '{"path":"data/a","path":"etc/a"}']
      ]
      for (const [tool, args] of denied) {
        yield* write(call(1, tool, args))
        const { result } = JSON.parse(yield* line)
        assert.isTrue(result.isError, args)
        assert.include(result.content[0].text, "The rules of this mount do not allow")
      }
      yield* write('{"jsonrpc":"2.0","method":"tools/call","params":{"name":"read","arguments":{"path":"data/a"}}}')
      const good = call(2, "read", '{"path":"data/a"}')
      yield* write(good)
      assert.strictEqual(yield* (yield* server).line, good)
      assert.lengthOf(there, 0)
      assert.deepStrictEqual(
        here.map(({ decision, outcome, peer, session }) => [outcome, decision, peer, session]),
        denied.map(() => ["denied", "tool", "mcp-host", ""])
      )
    }))

  test("lists lose what may not be called, and keep the rest byte for byte", () =>
    Effect.gen(function* () {
      const { client, server } = yield* station(["!write_*"])
      const { line, write } = yield* client
      yield* write('{"jsonrpc":"2.0","id":1,"method":"tools/list"}')
      const running = yield* server
      yield* running.line
      yield* running.write('{"id":1, "result":{"tools":[{"name":"write_a"},{"name":"read_a","x":1.0} ],"ttlMs":1e3}}\n')
      assert.strictEqual(yield* line, '{"id":1, "result":{"tools":[{"name":"read_a","x":1.0} ],"ttlMs":1e3}}')
    }))

  test("the lines of both ends meet by session, epoch and number, also after the keeper was lost", () =>
    Effect.gen(function* () {
      const { client, here, rig, server, there } = yield* station([])
      const { line, write } = yield* client
      const link = ({ epoch, id, outcome, seq, session }: AuditChain.Call) => ({ session, epoch, seq, id, outcome })
      yield* write(call(1, "read"))
      const first = yield* server
      yield* first.line
      yield* first.write(`${answer(1)}\n`)
      yield* line
      yield* write('{"jsonrpc":"2.0","method":"notifications/initialized"}')
      yield* write(call(2, "read"))
      yield* first.line
      yield* first.line
      yield* rig.restartKeeper
      yield* TestClock.adjust("1 second")
      const second = yield* server
      assert.strictEqual(yield* second.line, call(2, "read"))
      yield* second.write('{"jsonrpc":"2.0","id":2,"result":{"isError":true}}\n')
      yield* line

      const answered = there.filter(({ outcome }) => outcome !== "unknown")
      assert.deepStrictEqual(here.map(link), answered.map(link))
      assert.deepStrictEqual(
        here.map(({ epoch, outcome, seq }) => [epoch, seq, outcome]),
        [
          [1, 1, "ok"],
          [2, 1, "toolError"]
        ]
      )
      assert.notStrictEqual(here[0]?.session, "")
      assert.strictEqual(here[0]?.argumentsHash, there[0]?.argumentsHash)
      assert.strictEqual(here[0]?.resultHash, there[0]?.resultHash)
    }))

  test("a call that is given up, or never answered, has an end in the record too", () =>
    Effect.gen(function* () {
      const { client, here, server } = yield* station([])
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { write } = yield* client
          yield* write(call(1, "read"))
          const running = yield* server
          yield* running.line
          yield* write('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}')
          yield* running.line
          yield* write(call(2, "read"))
          yield* running.line
        })
      )
      assert.deepStrictEqual(
        here.map(({ id, outcome }) => [id, outcome]),
        [
          ["1", "cancelled"],
          ["2", "unknown"]
        ]
      )
    }))

  it("patterns that cannot be read are named, and denials are written without their mark", () => {
    assert.deepStrictEqual(EgressGuard.patterns(["read_*"], ["write_*"]), { tools: ["read_*", "!write_*"] })
    assert.deepStrictEqual(EgressGuard.patterns(["read("], []), { wrong: "read(" })
    assert.deepStrictEqual(EgressGuard.patterns([], ["!write_*"]), { wrong: "!write_*" })
  })
})
