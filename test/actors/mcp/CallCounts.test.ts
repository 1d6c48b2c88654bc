import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Queue, type Scope } from "effect"
import { TestClock } from "effect/testing"
import * as CountedStream from "../../../src/actors/mcp/mount/CountedStream.ts"
import type { Crypto } from "../../../src/core/crypto/Crypto.ts"
import * as PortableCrypto from "../../../src/core/crypto/PortableCrypto.ts"
import * as DuplexPair from "../../../src/core/net/DuplexPair.ts"
import * as BridgeError from "../../../src/protocol/relay/BridgeError.ts"
import { CallMetrics } from "../../../src/protocol/relay/CallMetrics.ts"
import * as McpRig from "../../support/McpRig.ts"
import * as ScriptedServer from "../../support/ScriptedServer.ts"

const test = (name: string, body: () => Effect.Effect<void, unknown, Crypto | Scope.Scope>) =>
  it.effect(name, () => Effect.provide(body(), PortableCrypto.layer))

/** A service, with or without a record of calls. */
const station = Effect.fnUntraced(function* (audit: "off" | undefined) {
  const started = yield* Queue.unbounded<ScriptedServer.ScriptedServer>()
  const rules = { tools: ["*", "!write_*"], transparent: false, identify: false, ...(audit && { audit }) }
  const rig = yield* McpRig.make({
    services: [{ ...McpRig.service("files"), rules }],
    audit: {
      sha256: (bytes) => createHash("sha256").update(bytes).digest(),
      record: () => {},
      time: () => "now"
    },
    spawn: () =>
      Effect.map(
        Effect.tap(ScriptedServer.make(), (server) => Queue.offer(started, server)),
        ({ child }) => child
      )
  })
  const client = yield* rig.client("files", 2)
  const tool = (name: string) => {
    const found = rig
      .keeper()
      .calls()
      .find((one) => one.tool === name)
    return { ...found, outcomes: Object.entries(found?.outcomes ?? {}).filter(([, count]) => count > 0) }
  }
  return {
    tool,
    write: (text: string) => client.write(encode(`${text}\n`)),
    line: ScriptedServer.lines(client),
    server: Queue.take(started)
  }
})

const encode = (text: string) => new TextEncoder().encode(text)
const call = (id: number, tool: string) =>
  `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"${tool}","arguments":{}}}`
const cancel = (id: number) => `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${id}}}`

describe("counts of calls at the keeper", () => {
  for (const audit of [undefined, "off"] as const) {
    test(`every outcome, whether calls are recorded (${audit ?? "on"}) or not`, () =>
      Effect.gen(function* () {
        const { line, server, tool, write } = yield* station(audit)
        yield* write(call(1, "read"))
        const running = yield* server
        yield* running.line
        assert.deepInclude(tool("read"), { service: "files", peer: "0:0000.0000.0002", inFlight: 1 })
        yield* TestClock.adjust("20 millis")
        const answer = '{"jsonrpc":"2.0","id":1,"result":{}}'
        yield* running.write(`${answer}\n`)
        assert.strictEqual(yield* line, answer)
        const bytes = { bytesIn: call(1, "read").length, bytesOut: answer.length }
        assert.deepInclude(tool("read"), { inFlight: 0, outcomes: [["ok", 1]], durationSumSeconds: 0.02, ...bytes })

        yield* write(call(2, "fail"))
        yield* running.line
        yield* running.write('{"jsonrpc":"2.0","id":2,"result":{"content":[],"isError":true}}\n')
        yield* line
        assert.deepInclude(tool("fail"), { outcomes: [["toolError", 1]] })

        yield* write(call(3, "none"))
        yield* running.line
        yield* running.write('{"jsonrpc":"2.0","id":3,"error":{"code":-32602,"message":"no"}}\n')
        yield* line
        assert.deepInclude(tool("none"), { outcomes: [["error", 1]] })

        yield* write(call(4, "write_file"))
        yield* line
        const refused = { inFlight: 0, bytesOut: 0, bytesIn: call(4, "write_file").length, durationSumSeconds: 0 }
        assert.deepInclude(tool("write_file"), { outcomes: [["denied", 1]], ...refused })

        yield* write(call(5, "slow"))
        yield* running.line
        yield* write(cancel(5))
        yield* running.line
        assert.deepInclude(tool("slow"), { inFlight: 0, outcomes: [["cancelled", 1]] })

        yield* write(call(6, "dies"))
        yield* running.line
        yield* running.die
        assert.include(yield* line, "-31002")
        assert.deepInclude(tool("dies"), { inFlight: 0, outcomes: [["unknown", 1]] })
      }))
  }
})

describe("counts of calls at a mount", () => {
  /** A client on the left, what the shim would be on the right. */
  const mount = Effect.gen(function* () {
    const metrics = new CallMetrics()
    const [near, far] = yield* DuplexPair.make
    const stream = yield* CountedStream.counted(far, { peer: "mcp-host", service: "files" }, metrics)
    const counts = (tool: string) => {
      const found = metrics.all().find((one) => one.tool === tool)
      return { ...found, outcomes: Object.entries(found?.outcomes ?? {}).filter(([, count]) => count > 0) }
    }
    const ask = (text: string) => Effect.andThen(near.write(encode(`${text}\n`)), stream.read)
    const answer = (text: string | Uint8Array) =>
      stream.write(typeof text === "string" ? encode(`${text}\n`) : new Uint8Array([...text, 0x0a]))
    return { answer, ask, counts, metrics, near, stream }
  })

  test("a call counts with its time on the way; lines pass as they are", () =>
    Effect.gen(function* () {
      const { answer, ask, counts, near } = yield* mount
      const passed = yield* ask(call(1, "read"))
      assert.strictEqual(new TextDecoder().decode(passed), `${call(1, "read")}\n`)
      assert.deepInclude(counts("read"), { service: "files", peer: "mcp-host", inFlight: 1 })
      yield* TestClock.adjust("40 millis")
      yield* answer('{"jsonrpc":"2.0","id":1,"result":{}}')
      assert.strictEqual(new TextDecoder().decode(yield* near.read), '{"jsonrpc":"2.0","id":1,"result":{}}\n')
      assert.deepInclude(counts("read"), { inFlight: 0, outcomes: [["ok", 1]], durationSumSeconds: 0.04 })
    }))

  test("what the bridge answers itself is what it says: not known, denied, or an error", () =>
    Effect.gen(function* () {
      const { answer, ask, counts } = yield* mount
      const facts = { message: "", retryable: false, delivered: false, service: "files", peer: "mcp-host" }
      const kinds = ["outcomeUnknown", "denied", "unreachable"] as const
      for (const [id, kind] of kinds.entries()) {
        yield* ask(call(id, kind))
        yield* answer(BridgeError.encode({ kind, ...facts }, String(id)))
      }
      assert.deepStrictEqual(
        kinds.map((kind) => counts(kind).outcomes),
        [[["unknown", 1]], [["denied", 1]], [["error", 1]]]
      )
    }))

  test("cancelled, asked twice under one id, cut off: nothing stays in flight", () =>
    Effect.gen(function* () {
      const { ask, counts, metrics, stream } = yield* mount
      yield* ask(call(1, "slow"))
      yield* ask(cancel(1))
      assert.deepInclude(counts("slow"), { outcomes: [["cancelled", 1]] })
      yield* ask(call(2, "first"))
      yield* ask(call(2, "second"))
      yield* stream.end
      assert.deepInclude(counts("first"), { outcomes: [["unknown", 1]] })
      assert.deepInclude(counts("second"), { outcomes: [["unknown", 1]] })
      assert.isTrue(metrics.all().every(({ inFlight }) => inFlight === 0))
    }))
})
