import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { TestClock } from "effect/testing"
import type { Json, JsonObject } from "../../../src/core/data/Json.ts"
import * as FrontRig from "../../support/FrontRig.ts"

const test = (name: string, body: () => Effect.Effect<void, unknown, Scope.Scope>) => it.effect(name, body)
const { service, tool } = FrontRig

const SILENT = { id: undefined, method: "notifications/nothing" }
const paramsOf = (message: FrontRig.Message) => (message["params"] ?? {}) as Record<string, Json>
const errorOf = (message: FrontRig.Message) => message["error"] as { code: number; data?: Json }
const resultOf = (message: FrontRig.Message) => (message["result"] ?? {}) as Record<string, Json>
const callsOf = (life: FrontRig.Life) => life.said.filter(({ method }) => method === "tools/call")

/** A request as the client of that name sends it; ids are its own. */
const asClient = (
  name: string,
  tool: string,
  more: JsonObject = {},
  capabilities: JsonObject = { elicitation: {} }
) => ({
  id: name,
  method: "tools/call",
  params: {
    ...{ name: `host_a__${tool}`, arguments: {}, ...more },
    _meta: {
      "io.modelcontextprotocol/protocolVersion": "2026-07-28",
      "io.modelcontextprotocol/clientCapabilities": capabilities,
      "io.modelcontextprotocol/clientInfo": { name, version: "1" }
    }
  }
})

/** A legacy server: `wait` is never answered, `ask` asks a question first, `who` tells what the session was told. */
const keeping = FrontRig.legacy({ tools: ["wait", "ask", "who"].map((name) => tool(name)) }, (message, life) =>
  Effect.gen(function* () {
    if (message["method"] === undefined && message["id"] === 9) {
      const text = JSON.stringify(message["result"])
      yield* life.write({ id: callsOf(life).at(-1)?.["id"], result: { content: [{ type: "text", text }] } })
      return SILENT
    }
    if (message["method"] !== "tools/call") return undefined
    const name = paramsOf(message)["name"]
    if (name === "wait") return SILENT
    if (name === "who") {
      const names = life.said.flatMap(({ method, params }) =>
        method === "initialize" ? [(params as { clientInfo: { name: string } }).clientInfo.name] : []
      )
      return { result: { content: [{ type: "text", text: `${names} ${callsOf(life).length}` }] } }
    }
    yield* life.write({ id: 9, method: "elicitation/create", params: { message: "Name?", requestedSchema: {} } })
    return SILENT
  })
)

const rigged = Effect.gen(function* () {
  const rig = yield* FrontRig.make([service("a")], { host_a: keeping })
  return { rig, clients: yield* rig.client({ isShared: true }) }
})

describe("a front session that stands for several modern clients", () => {
  test("a question of a legacy service goes to the client whose call made it ask, not to the one that waits longest", () =>
    Effect.gen(function* () {
      const { clients } = yield* rigged
      yield* clients.write(asClient("first", "wait"))
      yield* clients.write(asClient("second", "ask"))
      const question = yield* clients.next
      assert.strictEqual(question["id"], "second")
      assert.strictEqual(resultOf(question)["resultType"], "input_required")
      const requestState = resultOf(question)["requestState"]!
      const inputResponses = { question: { action: "accept", content: { name: "Ann" } } }
      yield* clients.write(asClient("second", "ask", { requestState, inputResponses }))
      const answer = yield* clients.next
      assert.strictEqual(answer["id"], "second")
      assert.include(JSON.stringify(answer["result"]), "Ann")
      assert.deepStrictEqual(yield* clients.heard, [])
    }))

  test("no session of a legacy service hears of two clients, nor of two calls", () =>
    Effect.gen(function* () {
      const { clients, rig } = yield* rigged
      for (const name of ["first", "second", "first"]) {
        yield* clients.write(asClient(name, "who"))
        assert.deepStrictEqual(resultOf(yield* clients.next)["content"], [{ type: "text", text: `${name} 1` }])
      }
      const held = rig.lives.map((life) => callsOf(life).length)
      assert.deepStrictEqual(held, [0, 1, 1, 1])
    }))

  test("a question outside the session of a call is refused, whoever waits", () =>
    Effect.gen(function* () {
      const { clients, rig } = yield* rigged
      yield* clients.write(asClient("first", "wait"))
      yield* Effect.repeat(Effect.yieldNow, { times: 500 })
      const [lists] = rig.lives
      yield* lists!.write({ id: 5, method: "elicitation/create", params: { message: "?", requestedSchema: {} } })
      yield* Effect.repeat(Effect.yieldNow, { times: 500 })
      assert.strictEqual(errorOf(lists!.said.find(({ id }) => id === 5)!).code, -32601)
      assert.deepStrictEqual(yield* clients.heard, [])
    }))

  test("a client is asked only for what it can do, whatever the others can", () =>
    Effect.gen(function* () {
      const { clients, rig } = yield* rigged
      yield* clients.write(asClient("first", "wait"))
      yield* clients.write(asClient("second", "ask", {}, {}))
      yield* Effect.repeat(Effect.yieldNow, { times: 500 })
      const asking = rig.lives.find((life) => callsOf(life).some((call) => paramsOf(call)["name"] === "ask"))!
      assert.strictEqual(errorOf(asking.said.find(({ id }) => id === 9)!).code, -32601)
      const heard = (yield* clients.heard).map((message) => [message["id"], resultOf(message)["resultType"]])
      assert.deepStrictEqual(heard, [["second", "complete"]])
    }))

  test("calls wait for a session while others use them, and for no longer than half a minute", () =>
    Effect.gen(function* () {
      const { clients, rig } = yield* rigged
      yield* clients.write(asClient("first", "wait"))
      yield* clients.write(asClient("second", "wait"))
      yield* Effect.repeat(Effect.yieldNow, { times: 500 })
      yield* clients.write(asClient("third", "who"))
      yield* Effect.repeat(Effect.yieldNow, { times: 500 })
      assert.lengthOf(rig.lives, 3)
      yield* clients.write({ method: "notifications/cancelled", params: { requestId: "first" } })
      assert.strictEqual((yield* clients.next)["id"], "third")
      assert.strictEqual(rig.lives[1]!.said.at(-1)?.["method"], "notifications/cancelled")

      yield* clients.write(asClient("fourth", "wait"))
      yield* Effect.repeat(Effect.yieldNow, { times: 500 })
      yield* clients.write(asClient("fifth", "who"))
      yield* Effect.repeat(Effect.yieldNow, { times: 500 })
      yield* TestClock.adjust("30 seconds")
      const refused = yield* clients.next
      assert.strictEqual(refused["id"], "fifth")
      assert.strictEqual(errorOf(refused).code, -31007)
    }))

  test("the session of a call ends with its service, and the call with it", () =>
    Effect.gen(function* () {
      const { clients, rig } = yield* rigged
      yield* clients.write(asClient("first", "wait"))
      yield* Effect.repeat(Effect.yieldNow, { times: 500 })
      yield* rig.lives[1]!.end
      const ended = yield* clients.next
      assert.strictEqual(ended["id"], "first")
      assert.property(ended, "error")
    }))

  test("a stream beyond those that there may be is closed at once, and leaves no subscription behind", () =>
    Effect.gen(function* () {
      const { clients } = yield* rigged
      const listen = (id: string) => ({
        id,
        method: "subscriptions/listen",
        params: {
          ...{ notifications: { toolsListChanged: true }, _meta: asClient("a", "who").params._meta }
        }
      })
      for (let id = 0; id < 16; id++) {
        yield* clients.write(listen(`l${id}`))
        const begun = yield* clients.next
        assert.deepStrictEqual(paramsOf(begun)["notifications"], { toolsListChanged: true })
      }
      yield* clients.write(listen("beyond"))
      assert.deepStrictEqual(paramsOf(yield* clients.next)["notifications"], {})
      const { id, result } = yield* clients.next
      assert.deepStrictEqual(
        [id, result],
        ["beyond", { resultType: "complete", _meta: { "io.modelcontextprotocol/subscriptionId": "beyond" } }]
      )
    }))
})
