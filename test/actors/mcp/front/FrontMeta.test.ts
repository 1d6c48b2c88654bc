import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { TestClock } from "effect/testing"
import type { Json, JsonObject } from "../../../../src/core/data/Json.ts"
import * as FrontRig from "../../../support/FrontRig.ts"

const test = (name: string, body: () => Effect.Effect<void, unknown, Scope.Scope>) => it.effect(name, body)
const { legacy, names, service, tool } = FrontRig

const open = (client: FrontRig.Client) =>
  client.ask("initialize", { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "c", version: "1" } })
const resultOf = (message: FrontRig.Message) => message["result"] as Record<string, Json>
const valueOf = (message: FrontRig.Message) => resultOf(message)["structuredContent"] as Record<string, Json>
const rowsOf = (message: FrontRig.Message, key: string) => valueOf(message)[key] as ReadonlyArray<Record<string, Json>>
const textOf = (message: FrontRig.Message) =>
  (resultOf(message)["content"] as ReadonlyArray<{ text: string }>)[0]?.text ?? ""

const SPECIAL = tool("translate_document", {
  title: "Translate",
  description: "Translates a PDF into another language\nand keeps its layout",
  annotations: { readOnlyHint: true },
  inputSchema: {
    type: "object",
    properties: { document: { type: "string" }, pages: { type: "integer", minimum: 1 } },
    required: ["document"],
    additionalProperties: false
  }
})

/** Fifty services of twenty tools each, and the special one. */
const many = Effect.suspend(() => {
  const all = Array.from({ length: 50 }, (_, index) => service(`s${index}`))
  const behaviours = Object.fromEntries(
    all.map(({ alias }, index) => {
      const tools = Array.from({ length: 20 }, (_, number) => tool(`work_${number}`))
      return [alias, legacy({ tools: index === 7 ? [...tools.slice(1), SPECIAL] : tools })]
    })
  )
  return FrontRig.make(all, behaviours)
})
const TRANSLATE = "host_s7__translate_document"

const call = (client: FrontRig.Client, name: string, args: JsonObject = {}) =>
  client.ask("tools/call", { name, arguments: args })

describe("a front with 1,000 tools", () => {
  test("all: every tool is listed, in pages, each once", () =>
    Effect.gen(function* () {
      const rig = yield* many
      const client = yield* rig.client({ mode: "all" })
      yield* open(client)
      const found: Array<string> = []
      let cursor: Json | undefined
      do {
        const page = yield* client.ask("tools/list", cursor === undefined ? {} : { cursor })
        found.push(...names(page))
        cursor = resultOf(page)["nextCursor"]
      } while (cursor !== undefined)
      assert.lengthOf(found, 1000)
      assert.lengthOf(new Set(found), 1000)
      assert.deepStrictEqual(
        found,
        found.toSorted((a, b) => (a.replace("__", "\u0000") < b.replace("__", "\u0000") ? -1 : 1))
      )
      assert.strictEqual((yield* client.ask("tools/list", { cursor: "nonsense" }))["error"] !== undefined, true)
    }))

  test("reveal: what is found is listed under its own name, and told", () =>
    Effect.gen(function* () {
      const rig = yield* many
      const client = yield* rig.client({ mode: "reveal" })
      yield* open(client)
      assert.deepStrictEqual(names(yield* client.ask("tools/list")), ["describe_tool", "list_services", "search_tools"])
      const found = rowsOf(yield* call(client, "search_tools", { query: "translate a pdf", limit: 1 }), "tools")
      assert.lengthOf(found, 1)
      assert.deepInclude(found[0], {
        ...{ name: TRANSLATE, title: "Translate", service: "host/s7", hints: { readOnlyHint: true } },
        description: "[host/s7] Translates a PDF into another language and keeps its layout"
      })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(
        (yield* client.heard).map(({ method }) => method),
        ["notifications/tools/list_changed"]
      )
      assert.include(names(yield* client.ask("tools/list")), TRANSLATE)
      assert.include(textOf(yield* call(client, TRANSLATE, { document: "a.pdf" })), '{"name":"translate_document"')
      assert.isDefined((yield* call(client, "call_tool", { name: TRANSLATE }))["error"])

      yield* call(client, "search_tools", { query: "translate a pdf", limit: 1 })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* client.heard, [])
    }))

  test("call: any tool by one, its arguments checked, its policy name the inner one, its result unchanged", () =>
    Effect.gen(function* () {
      const rig = yield* many
      const client = yield* rig.client({ mode: "call" })
      yield* open(client)
      const listed = yield* client.ask("tools/list")
      assert.deepStrictEqual(names(listed), ["call_tool", "describe_tool", "list_services", "search_tools"])
      const [definition] = resultOf(listed)["tools"] as ReadonlyArray<Record<string, Json>>
      assert.notProperty(definition, "outputSchema")
      assert.deepInclude(definition?.["annotations"] as object, { destructiveHint: true, openWorldHint: true })

      const described = valueOf(yield* call(client, "describe_tool", { name: TRANSLATE }))
      assert.deepInclude(described["tool"] as object, { name: TRANSLATE, inputSchema: SPECIAL["inputSchema"] })
      const pin = described["pin"] as string
      assert.match(pin, /^[0-9a-f]{64}$/)

      const wrong = yield* call(client, "call_tool", { name: TRANSLATE, arguments: { pages: 0 } })
      assert.isTrue(resultOf(wrong)["isError"])
      assert.include(textOf(wrong), "must have required property 'document'")
      const calls = () => rig.lives.flatMap(({ said }) => said).filter(({ method }) => method === "tools/call")
      assert.deepStrictEqual(calls(), [])

      const params = { name: TRANSLATE, pin, arguments: { document: "a.pdf", pages: 3 } }
      const asked = { name: "call_tool", arguments: params, _meta: { progressToken: "t" } }
      assert.include(textOf(yield* client.ask("tools/call", asked)), "host_s7 tools/call")
      assert.deepStrictEqual(calls()[0]?.["params"] as object, {
        name: "translate_document",
        arguments: { document: "a.pdf", pages: 3 },
        _meta: { progressToken: "t" }
      })
      const moved = yield* call(client, "call_tool", { ...params, pin: "0".repeat(64) })
      assert.strictEqual((moved["error"] as { code: number }).code, -31006)
      assert.isDefined((yield* call(client, "call_tool", { name: "host_s7__nothing" }))["error"])
    }))

  test("list_services: what there is, and whether it answers; one service can be searched alone", () =>
    Effect.gen(function* () {
      const rig = yield* many
      const client = yield* rig.client({ mode: "call" })
      yield* open(client)
      const services = rowsOf(yield* call(client, "list_services"), "services")
      assert.lengthOf(services, 50)
      assert.deepInclude(services, { alias: "host_s3", service: "host/s3", title: "", state: "up", tools: 20 })
      for (const name of ["host_s3", "host/s3"]) {
        const found = rowsOf(yield* call(client, "search_tools", { query: "work", limit: 50, service: name }), "tools")
        assert.lengthOf(found, 20)
        assert.isTrue(found.every((row) => row["service"] === "host/s3"))
      }
      for (const args of [
        {},
        { query: " " },
        { query: "x", limit: 0 },
        { query: "x", limit: 51 },
        { query: "x", service: 5 }
      ]) {
        assert.isTrue(resultOf(yield* call(client, "search_tools", args))["isError"])
      }
    }))

  test("within the budget every tool is listed in any mode, and the tools that find others are not", () =>
    Effect.gen(function* () {
      const rig = yield* FrontRig.make([service("a")], { host_a: legacy({ tools: [tool("x"), tool("y")] }) })
      for (const mode of ["reveal", "call"] as const) {
        const client = yield* rig.client({ mode, budget: { tools: 2, bytes: 40_000 } })
        yield* open(client)
        assert.deepStrictEqual(names(yield* client.ask("tools/list")), ["host_a__x", "host_a__y"])
        const small = yield* rig.client({ mode, budget: { tools: 40, bytes: 200 } })
        yield* open(small)
        assert.include(names(yield* small.ask("tools/list")), "search_tools")
      }
    }))
})
