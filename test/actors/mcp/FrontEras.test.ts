import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { TestClock } from "effect/testing"
import type { Json, JsonObject } from "../../../src/core/data/Json.ts"
import * as FrontRig from "../../support/FrontRig.ts"

const test = (name: string, body: () => Effect.Effect<void, unknown, Scope.Scope>) => it.effect(name, body)
const { names, service, tool } = FrontRig

const REVISION = "io.modelcontextprotocol/protocolVersion"
const CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
const envelope = (capabilities: JsonObject = {}) => ({
  [REVISION]: "2026-07-28",
  [CAPABILITIES]: capabilities,
  "io.modelcontextprotocol/clientInfo": { name: "c", version: "1" }
})
const modernly = (params: JsonObject = {}, capabilities: JsonObject = {}) => ({
  ...params,
  _meta: envelope(capabilities)
})
const resultOf = (message: FrontRig.Message) => message["result"] as Record<string, Json>
const paramsOf = (message: FrontRig.Message) => (message["params"] ?? {}) as Record<string, Json>
const errorOf = (message: FrontRig.Message) => message["error"] as { code: number; data?: Json }
const metaOf = (message: FrontRig.Message) => (paramsOf(message)["_meta"] ?? {}) as Record<string, Json>

/** A modern server: `ask` needs an answer first, everything else is answered with its parameters. */
const modern: FrontRig.Behaviour = (message) =>
  Effect.sync(() => {
    const params = paramsOf(message)
    switch (message["method"]) {
      case "initialize":
        return { error: { code: -32022, message: "modern only", data: { supported: ["2026-07-28"] } } }
      case "server/discover":
        return {
          result: {
            supportedVersions: ["2026-07-28"],
            capabilities: { tools: { listChanged: true }, resources: { subscribe: true } }
          }
        }
      case "tools/list":
        return {
          result: { resultType: "complete", ttlMs: 0, cacheScope: "private", tools: [tool("ask"), tool("echo")] }
        }
      case "resources/list":
        return { result: { resources: [{ uri: "demo://1", name: "x" }] } }
      case "resources/templates/list":
        return { result: { resourceTemplates: [] } }
      case "subscriptions/listen":
        return { id: undefined, method: "notifications/subscriptions/acknowledged", params: { _meta: {} } }
      case "tools/call":
        if (params["name"] === "ask" && params["inputResponses"] === undefined) {
          const request = { method: "elicitation/create", params: { message: "Name?", requestedSchema: {} } }
          return {
            result: { resultType: "input_required", inputRequests: { q: request }, requestState: "opaque\u00e9" }
          }
        }
        return { result: { resultType: "complete", content: [{ type: "text", text: JSON.stringify(params) }] } }
      default:
        return undefined
    }
  })

const textOf = (message: FrontRig.Message) =>
  (resultOf(message)["content"] as ReadonlyArray<{ text: string }>)[0]?.text ?? ""
const openLegacy = (client: FrontRig.Client, capabilities: JsonObject = {}) =>
  client.ask("initialize", { protocolVersion: "2025-06-18", capabilities, clientInfo: { name: "c", version: "1" } })

describe("eras of a front (mcp §6.6)", () => {
  test("a legacy client uses a modern service: the envelope is added, and questions become requests", () =>
    Effect.gen(function* () {
      const rig = yield* FrontRig.make([service("a")], { host_a: modern })
      const client = yield* rig.client()
      assert.strictEqual(resultOf(yield* openLegacy(client, { elicitation: {} }))["protocolVersion"], "2025-06-18")
      const echoed = JSON.parse(
        textOf(yield* client.ask("tools/call", { name: "host_a__echo", arguments: { text: "x" } }))
      )
      assert.deepStrictEqual(echoed, { name: "echo", arguments: { text: "x" }, _meta: envelope({ elicitation: {} }) })

      yield* client.write({ id: 1, method: "tools/call", params: { name: "host_a__ask", arguments: {} } })
      const question = yield* client.next
      assert.deepInclude(question, { method: "elicitation/create" })
      assert.strictEqual(paramsOf(question)["message"], "[host/a] Name?")
      yield* client.write({ id: question["id"], result: { action: "accept", content: { name: "Ann" } } })
      const answer = yield* client.next
      assert.strictEqual(answer["id"], 1)
      assert.deepInclude(JSON.parse(textOf(answer)), {
        ...{ name: "ask", requestState: "opaqueé" },
        inputResponses: { q: { action: "accept", content: { name: "Ann" } } }
      })

      yield* client.write({ id: 2, method: "tools/call", params: { name: "host_a__ask", arguments: {} } })
      yield* client.write({ id: (yield* client.next)["id"], error: { code: -1, message: "no" } })
      assert.strictEqual(errorOf(yield* client.next).code, -32603)
    }))

  test("a legacy client that gives a call up is not asked for it any more, nor anything else", () =>
    Effect.gen(function* () {
      const request = { method: "elicitation/create", params: { message: "Name?", requestedSchema: {} } }
      const input = { resultType: "input_required", inputRequests: { q: request, r: request }, requestState: "s" }
      const behaviour: FrontRig.Behaviour = (message, one) =>
        message["method"] !== "tools/call"
          ? modern(message, one)
          : paramsOf(message)["name"] === "ask"
            ? Effect.succeed({ result: input })
            : Effect.succeed(undefined)
      const rig = yield* FrontRig.make([service("a")], { host_a: behaviour })
      const client = yield* rig.client()
      yield* openLegacy(client, { elicitation: {} })
      const cancel = (requestId: number) => client.write({ method: "notifications/cancelled", params: { requestId } })
      yield* client.write({ id: 1, method: "tools/call", params: { name: "host_a__ask", arguments: {} } })
      const question = yield* client.next
      yield* cancel(1)
      assert.deepStrictEqual(yield* client.next, {
        ...{ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: question["id"] } }
      })

      yield* client.write({ id: 2, method: "tools/call", params: { name: "host_a__echo", arguments: {} } })
      yield* TestClock.adjust("1 second")
      yield* cancel(2)
      yield* TestClock.adjust("1 second")
      const asked = rig.lives[0]?.said.findLast(({ method }) => method === "tools/call")
      yield* rig.lives[0]!.write({ id: asked?.["id"], result: input })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* client.heard, [])
    }))

  test("a legacy client that cannot be asked gets an error, and is not asked", () =>
    Effect.gen(function* () {
      const rig = yield* FrontRig.make([service("a")], { host_a: modern })
      const client = yield* rig.client()
      yield* openLegacy(client)
      assert.strictEqual(errorOf(yield* client.ask("tools/call", { name: "host_a__ask" })).code, -32603)
      assert.deepStrictEqual(yield* client.heard, [])
    }))

  test("a modern client uses a modern service: rounds and state pass, questions name the service", () =>
    Effect.gen(function* () {
      const rig = yield* FrontRig.make([service("a")], { host_a: modern })
      const client = yield* rig.client()
      const capabilities = { elicitation: { form: {} }, sampling: {} }
      const discovered = resultOf(yield* client.ask("server/discover", modernly()))
      assert.deepInclude(discovered, { supportedVersions: ["2026-07-28"], resultType: "complete" })
      assert.lengthOf(rig.lives, 0)
      assert.deepInclude(resultOf(yield* client.ask("tools/list", modernly({}, capabilities))), {
        ...{ resultType: "complete", ttlMs: 0, cacheScope: "private" }
      })
      const asked = resultOf(
        yield* client.ask("tools/call", modernly({ name: "host_a__ask", arguments: {} }, capabilities))
      )
      assert.deepInclude(asked, { resultType: "input_required", requestState: "opaqueé" })
      assert.include(JSON.stringify(asked["inputRequests"]), "[host/a] Name?")
      const again = modernly({ name: "host_a__ask", inputResponses: { q: {} }, requestState: "opaqueé" }, capabilities)
      const answered = JSON.parse(textOf(yield* client.ask("tools/call", again)))
      assert.deepStrictEqual(answered.inputResponses, { q: {} })
      // Sampling was not allowed to this service.
      assert.deepStrictEqual(answered._meta[CAPABILITIES], { elicitation: { form: {} } })
    }))

  test("a modern client uses a legacy service: its question becomes the answer to the call, which goes on when it comes back", () =>
    Effect.gen(function* () {
      const behaviour = FrontRig.legacy({ tools: [tool("ask"), tool("echo")] }, (message, life) =>
        Effect.gen(function* () {
          if (message["method"] === undefined && message["id"] === 9) {
            const call = life.said.find(({ method }) => method === "tools/call")
            yield* life.write({
              id: call?.["id"],
              result: { content: [{ type: "text", text: `heard ${JSON.stringify(message["result"])}` }] }
            })
          }
          if (message["method"] !== "tools/call" || paramsOf(message)["name"] !== "ask") return undefined
          yield* life.write({ id: 9, method: "elicitation/create", params: { message: "Name?", requestedSchema: {} } })
          return { id: undefined, method: "notifications/nothing" }
        })
      )
      const rig = yield* FrontRig.make([service("a")], { host_a: behaviour })
      const client = yield* rig.client()
      const capabilities = { elicitation: { form: {} } }
      const first = resultOf(
        yield* client.ask("tools/call", modernly({ name: "host_a__ask", arguments: {} }, capabilities))
      )
      assert.strictEqual(first["resultType"], "input_required")
      const [[key, request]] = Object.entries(
        first["inputRequests"] as Record<string, { params: { message: string } }>
      ) as [[string, { params: { message: string } }]]
      assert.strictEqual(request.params.message, "[host/a] Name?")

      const retry = (requestState: Json) =>
        client.ask(
          "tools/call",
          modernly(
            { name: "host_a__ask", arguments: {}, requestState, inputResponses: { [key]: { action: "accept" } } },
            capabilities
          )
        )
      assert.strictEqual(errorOf(yield* retry("pilot-front/guess")).code, -32602)
      const second = yield* retry(first["requestState"]!)
      assert.strictEqual(textOf(second), 'heard {"action":"accept"}')
      assert.strictEqual(resultOf(second)["resultType"], "complete")
      assert.strictEqual(errorOf(yield* retry(first["requestState"]!)).code, -32602)

      const [call] = rig.lives[0]!.said.filter(({ method }) => method === "tools/call")
      assert.notProperty(metaOf(call!), REVISION)
      const opened = rig.lives[0]!.said.filter(({ method }) => method === "initialize")
      assert.deepStrictEqual(paramsOf(opened[0]!)["capabilities"], capabilities)
    }))

  test("a held question that nobody comes back for expires, and its call is cancelled", () =>
    Effect.gen(function* () {
      const behaviour = FrontRig.legacy({ tools: [tool("ask")] }, (message, life) =>
        message["method"] !== "tools/call"
          ? Effect.succeed(undefined)
          : Effect.as(life.write({ id: 9, method: "roots/list" }), { id: undefined, method: "notifications/nothing" })
      )
      const rig = yield* FrontRig.make([service("a")], { host_a: behaviour })
      const client = yield* rig.client()
      const first = yield* client.ask("tools/call", modernly({ name: "host_a__ask" }, { roots: {} }))
      assert.strictEqual(resultOf(first)["resultType"], "input_required")
      yield* TestClock.adjust("10 minutes")
      assert.lengthOf(
        rig.lives[0]!.said.filter(({ method }) => method === "notifications/cancelled"),
        1
      )
      const late = modernly({ name: "host_a__ask", requestState: resultOf(first)["requestState"]! }, { roots: {} })
      assert.strictEqual(errorOf(yield* client.ask("tools/call", late)).code, -32602)
    }))

  test("a modern client hears what it listens to, tagged with the id of its stream, whatever tells it", () =>
    Effect.gen(function* () {
      const tools = [tool("one")]
      const rig = yield* FrontRig.make([service("a"), service("b")], {
        host_a: FrontRig.legacy({ tools }),
        host_b: modern
      })
      const client = yield* rig.client()
      const filter = { toolsListChanged: true, resourceSubscriptions: ["demo://1"] }
      yield* client.write({
        id: "listen:0",
        method: "subscriptions/listen",
        params: modernly({ notifications: filter })
      })
      const SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"
      const first = yield* client.next
      assert.strictEqual(first["method"], "notifications/subscriptions/acknowledged")
      assert.strictEqual(metaOf(first)[SUBSCRIPTION], "listen:0")
      yield* client.ask("tools/list", modernly())
      tools.push(tool("two"))
      yield* rig.lives.find(({ alias }) => alias === "host_a")!.write({ method: "notifications/tools/list_changed" })
      yield* TestClock.adjust("1 second")
      const told = yield* client.next
      assert.strictEqual(told["method"], "notifications/tools/list_changed")
      assert.strictEqual(metaOf(told)[SUBSCRIPTION], "listen:0")

      const b = rig.lives.find(({ alias }) => alias === "host_b")!
      yield* Effect.repeat(Effect.yieldNow, { times: 500 })
      const listens = b.said
        .filter(({ method }) => method === "subscriptions/listen")
        .map((message) => paramsOf(message)["notifications"])
      assert.deepInclude(listens, { toolsListChanged: true, resourceSubscriptions: ["demo://1"] })
      yield* b.write({ method: "notifications/resources/updated", params: { uri: "demo://1", _meta: {} } })
      assert.strictEqual(paramsOf(yield* client.next)["uri"], "demo://1")

      yield* client.write({ method: "notifications/cancelled", params: { requestId: "listen:0" } })
      yield* TestClock.adjust("1 second")
      yield* b.write({ method: "notifications/resources/updated", params: { uri: "demo://1", _meta: {} } })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* client.heard, [])
    }))

  test("revisions that are not spoken, and requests without their envelope, are refused as the revision says", () =>
    Effect.gen(function* () {
      const rig = yield* FrontRig.make([service("a")], { host_a: modern })
      const client = yield* rig.client()
      const old = yield* client.ask("tools/list", { _meta: { ...envelope(), [REVISION]: "2099-01-01" } })
      assert.strictEqual(errorOf(old).code, -32022)
      const bare = yield* client.ask("tools/list", { _meta: { [REVISION]: "2026-07-28" } })
      assert.strictEqual(errorOf(bare).code, -32602)
      assert.deepStrictEqual(names(yield* client.ask("tools/list", modernly())), ["host_a__ask", "host_a__echo"])
    }))

  test("log messages reach a legacy client that set a level, and a modern one that asks for them with a request", () =>
    Effect.gen(function* () {
      const rig = yield* FrontRig.make([service("a")], { host_a: FrontRig.legacy({ tools: [tool("x")] }) })
      const client = yield* rig.client()
      yield* client.ask("tools/call", modernly({ name: "host_a__x" }))
      const log = rig.lives[0]!.write({ method: "notifications/message", params: { level: "info", data: "d" } })
      yield* log
      const meta = { ...envelope(), "io.modelcontextprotocol/logLevel": "debug" }
      yield* client.ask("tools/call", { name: "host_a__x", _meta: meta })
      yield* TestClock.adjust("1 second")
      assert.lengthOf(
        rig.lives[0]!.said.filter(({ method }) => method === "logging/setLevel"),
        1
      )
      assert.deepStrictEqual(yield* client.heard, [])
      yield* log
      assert.deepStrictEqual(paramsOf(yield* client.next), { logger: "host_a", level: "info", data: "d" })
    }))
})
