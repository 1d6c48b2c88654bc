import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as DetachBridge from "../../../../src/actors/mcp/mount/DetachBridge.ts"
import * as EraBridge from "../../../../src/actors/mcp/mount/EraBridge.ts"
import * as PortableCrypto from "../../../../src/core/crypto/PortableCrypto.ts"
import * as Bytes from "../../../../src/core/data/Bytes.ts"
import type { Duplex } from "../../../../src/core/net/Duplex.ts"
import * as DuplexPair from "../../../../src/core/net/DuplexPair.ts"
import { Verdict } from "../../../../src/protocol/relay/era/Verdict.ts"

const TARGET = { peer: "mcp-host", service: "files" }
const META = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientCapabilities": { elicitation: { form: {} } }
}
const CALL = { jsonrpc: "2.0", id: 5, method: "tools/call", params: { name: "a", _meta: META } }

/** A client, and the session that serves it, with a bridge between them. */
const make = Effect.fnUntraced(function* (bridge: (far: Duplex) => ReturnType<typeof EraBridge.make<never>>) {
  const [client, far] = yield* DuplexPair.make
  const session = yield* bridge(far)
  const line = (message: unknown) =>
    Bytes.fromUtf8(`${typeof message === "string" ? message : JSON.stringify(message)}\n`)
  return {
    ask: (message: unknown) => client.write(line(message)),
    heard: Effect.map(client.read, Bytes.toUtf8),
    answer: (message: unknown) => session.write(line(message)),
    taken: Effect.map(session.read, Bytes.toUtf8),
    end: client.end
  }
})

const bridged = (isModernOnly: boolean) => (client: Duplex) =>
  EraBridge.make({ client, target: TARGET, verdict: new Verdict(), isModernOnly, isShared: false })

describe("EraBridge", () => {
  it.effect("is gone when both sides understand each other: chunks pass as they come, whatever is in them", () =>
    Effect.gen(function* () {
      const { answer, ask, end, heard, taken } = yield* make(bridged(false))
      yield* ask({ jsonrpc: "2.0", id: 0, method: "initialize", params: {} })
      yield* taken
      yield* answer({ jsonrpc: "2.0", id: 0, result: { protocolVersion: "2025-11-25" } })
      yield* heard
      yield* ask("first")
      assert.strictEqual(yield* taken, "first\n")
      yield* ask(" not json {")
      assert.strictEqual(yield* taken, " not json {\n")
      yield* answer("[broken")
      assert.strictEqual(yield* heard, "[broken\n")
      yield* end
      assert.strictEqual((yield* Effect.flip(taken))._tag, "Done")
    }).pipe(Effect.scoped, Effect.provide(PortableCrypto.layer))
  )

  it.effect("a question that nobody answers for ten minutes is cancelled at the server, and so is its call", () =>
    Effect.gen(function* () {
      const { answer, ask, heard, taken } = yield* make(bridged(true))
      yield* ask(CALL)
      const probe = JSON.parse((yield* taken) ?? "")
      yield* answer({ jsonrpc: "2.0", id: probe.id, error: { code: -32601, message: "m" } })
      const initialize = JSON.parse((yield* taken) ?? "")
      const result = { protocolVersion: "2025-11-25", capabilities: {}, serverInfo: { name: "s", version: "1" } }
      yield* answer({ jsonrpc: "2.0", id: initialize.id, result })
      assert.include(yield* taken, "notifications/initialized")
      assert.include(yield* taken, "tools/call")
      yield* answer({ jsonrpc: "2.0", id: "q", method: "elicitation/create", params: { message: "?" } })
      assert.include(yield* heard, "input_required")
      yield* TestClock.adjust("10 minutes")
      yield* TestClock.adjust("1 second")

      assert.strictEqual(yield* taken, '{"jsonrpc":"2.0","id":"q","result":{"action":"cancel"}}\n')
      assert.include(yield* taken, "notifications/cancelled")
    }).pipe(Effect.scoped, Effect.provide(PortableCrypto.layer))
  )
})

describe("DetachBridge", () => {
  it.effect("a call that is silent for five minutes is answered with a handle after fifty seconds", () =>
    Effect.gen(function* () {
      const { answer, ask, heard, taken } = yield* make((far) =>
        Effect.map(DetachBridge.make(far, TARGET, 50_000), ({ client }) => client)
      )
      yield* ask(CALL)
      const sent = JSON.parse((yield* taken) ?? "")
      yield* TestClock.adjust("5 minutes")
      const running = (yield* heard) ?? ""
      yield* answer({ jsonrpc: "2.0", id: sent.id, result: { content: [] } })
      const handle = /handle ([0-9a-f]{32})\./.exec(running)?.[1]
      yield* ask({
        jsonrpc: "2.0",
        id: 6,
        method: "tools/call",
        params: { name: "pilot_fetch_result", arguments: { handle } }
      })

      assert.include(running, '"id":5,')
      assert.strictEqual(yield* heard, '{"jsonrpc":"2.0","id":6,"result":{"content":[]}}\n')
    }).pipe(Effect.scoped, Effect.provide(PortableCrypto.layer))
  )

  it.effect("the owner's wish reaches calls that wait already; without one, chunks pass as they come", () =>
    Effect.gen(function* () {
      const welcome = { v: 1, resumed: false, rx: 0, epoch: 1 }
      const wished: { told: DetachBridge.DetachBridge<never>["welcomed"] } = { told: () => {} }
      const bridge = (far: Duplex) =>
        Effect.map(DetachBridge.make(far, TARGET, "owner"), ({ client, welcomed }) => {
          wished.told = welcomed
          return client
        })
      const wanted = yield* make(bridge)
      yield* wanted.ask(CALL)
      yield* wanted.taken
      wished.told({ ...welcome, detachAfterMs: 50_000 })
      yield* TestClock.adjust("50 seconds")
      assert.include(yield* wanted.heard, "Still running")

      const unwanted = yield* make(bridge)
      yield* unwanted.ask({ jsonrpc: "2.0", id: 0, method: "initialize", params: {} })
      yield* unwanted.taken
      wished.told(welcome)
      yield* unwanted.ask("the last that is looked at")
      yield* unwanted.taken
      yield* unwanted.ask(" not json {")
      assert.strictEqual(yield* unwanted.taken, " not json {\n")
    }).pipe(Effect.scoped, Effect.provide(PortableCrypto.layer))
  )
})
