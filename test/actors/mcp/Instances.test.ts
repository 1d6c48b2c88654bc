import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Queue } from "effect"
import { TestClock } from "effect/testing"
import * as Instances from "../../../src/actors/mcp/Instances.ts"
import * as Shim from "../../../src/actors/mcp/Shim.ts"
import { CannotReach } from "../../../src/actors/mcp/ShimFailure.ts"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import * as Json from "../../../src/core/data/Json.ts"
import * as DuplexPair from "../../support/DuplexPair.ts"
import * as McpRig from "../../support/McpRig.ts"
import * as ScriptedServer from "../../support/ScriptedServer.ts"

/** A server that says where it is; `hang` is never answered. */
const serverOf = Effect.fnUntraced(function* (name: string) {
  const server = yield* ScriptedServer.make()
  yield* Effect.gen(function* () {
    while (true) {
      const message = Json.parseObject(yield* server.line) ?? {}
      const id = Json.member(message, "id")
      const params = Json.member(message, "params")
      if (id === undefined || (Json.isObject(params) && Json.string(params, "name") === "hang")) continue
      const result =
        Json.string(message, "method") === "initialize"
          ? { protocolVersion: "2025-11-25", capabilities: { tools: {} } }
          : { text: name }
      yield* server.write(`${JSON.stringify({ jsonrpc: "2.0", id, result })}\n`)
    }
  }).pipe(Effect.ignore, Effect.forkScoped)
  return server.child
})

/** A client of three peers that expose the same service. Their ways take `delays` each. */
const stage = Effect.gen(function* () {
  const delays: Record<string, number> = { near: 10, middle: 60, far: 200 }
  const names = ["near", "middle", "far"] as const
  const rigs = new Map<string, McpRig.McpRig>()
  for (const name of names) {
    rigs.set(name, yield* McpRig.make({ services: [McpRig.service("files")], spawn: () => serverOf(name) }))
  }
  const down = new Set<string>()
  const dial = (target: { readonly peer: string }) =>
    Effect.suspend(() => {
      const rig = rigs.get(target.peer)
      return rig === undefined || down.has(target.peer)
        ? new CannotReach({ kind: "unreachable", detail: `${target.peer} does not answer.`, isFinal: false })
        : Effect.andThen(Effect.sleep(delays[target.peer] ?? 0), rig.stream(2))
    })
  const [first, ...others] = names.map((peer) => ({ peer, service: "files" }))
  const instances = yield* Instances.make([first ?? { peer: "", service: "" }, ...others], dial)
  const stdio = yield* DuplexPair.make({})
  yield* Shim.run({ client: stdio.right, target: instances.target, dial: instances.dial, moves: instances }).pipe(
    Effect.ensuring(stdio.right.end),
    Effect.forkScoped
  )
  const lines = ScriptedServer.lines(stdio.left)
  const send = (text: string) => stdio.left.write(new TextEncoder().encode(`${text}\n`))
  const answer = Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(lines)
    while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust("100 millis")
    return Json.parseObject(yield* Fiber.join(fiber)) ?? {}
  })
  let id = 0
  const call = (name: string) =>
    send(`{"jsonrpc":"2.0","id":${++id},"method":"tools/call","params":{"name":"${name}"}}`)
  const where = Effect.gen(function* () {
    yield* call("where")
    const result = Json.member(yield* answer, "result")
    return Json.isObject(result) ? Json.string(result, "text") : ""
  })
  yield* send(
    '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}}}'
  )
  yield* answer
  yield* send('{"jsonrpc":"2.0","method":"notifications/initialized"}')
  const kill = (name: string) =>
    Effect.suspend(() => {
      down.add(name)
      return rigs.get(name)?.cut ?? Effect.void
    })
  const pass = (seconds: number) =>
    Effect.forEach(Array.from({ length: seconds * 2 }), () => TestClock.adjust("500 millis"), { discard: true })
  return { answer, call, delays, down, kill, pass, where, queue: yield* Queue.unbounded<void>() }
})

describe("several instances behind one mount", () => {
  it.effect("the nearest is used, left when it degrades, and used again when it is better (virtual time)", () =>
    Effect.gen(function* () {
      const { delays, pass, where } = yield* stage
      yield* pass(40)
      assert.strictEqual(yield* where, "near")

      delays["near"] = 900
      yield* pass(10)
      assert.strictEqual(yield* where, "near", "not at once")
      yield* pass(60)
      assert.strictEqual(yield* where, "middle")

      delays["near"] = 10
      yield* pass(90)
      assert.strictEqual(yield* where, "near")
    }).pipe(Effect.provide(NativeCrypto.layer))
  )

  it.effect(
    "one that dies is left: what it was asked is in doubt, and the next call is answered by another (mcp §6.3)",
    () =>
      Effect.gen(function* () {
        const { answer, call, kill, pass, where } = yield* stage
        yield* pass(20)
        yield* call("hang")
        yield* pass(1)
        yield* kill("near")

        const error = Json.member(yield* answer, "error")
        assert.strictEqual(Json.isObject(error) ? Json.integer(error, "code") : 0, -31002)
        assert.strictEqual(yield* where, "middle")
        yield* kill("middle")
        yield* pass(10)
        assert.strictEqual(yield* where, "far")
      }).pipe(Effect.provide(NativeCrypto.layer))
  )
})
