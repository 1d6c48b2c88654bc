import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema, Stream } from "effect"
import { LanguageModel, Tool } from "effect/ai"
import type { McpError } from "../../src/actors/mcp/client/McpClient.ts"
import * as McpServer from "../../src/api/McpServer.ts"
import * as McpTools from "../../src/api/McpTools.ts"
import type * as Json from "../../src/core/data/Json.ts"
import * as Kitchen from "../support/Kitchen.ts"

/** A server that lists these tools, and answers calls as told. */
const server = (
  tools: ReadonlyArray<Pick<McpServer.Tool, "name"> & Partial<McpServer.Tool>>,
  answer: (name: string, args: Json.JsonObject) => Effect.Effect<McpServer.ToolResult, McpServer.ToolFailed>
) => ({
  tools: Effect.succeed(
    tools.map((tool) => ({ title: "", description: "", inputSchema: { type: "object" }, definition: {}, ...tool }))
  ),
  // The overload with a schema is not used here.
  call: ((name: string, args: Json.JsonObject = {}) => answer(name, args)) as McpServer.McpServer["call"]
})

const text = (value: string): McpServer.ToolResult => ({ text: value, structured: undefined, content: [] })
const listed = Object.values(Kitchen.Kit.tools).map(({ name }) => ({ name }))

/** What a type is, exactly. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
type KitchenCalls = McpTools.Calls<typeof Kitchen.Kit.tools>
/** Fails to compile if an argument, a result or a failure of a typed call were anything else. */
const TYPES: readonly [
  Same<Parameters<KitchenCalls["add"]>, [params: { readonly a: number; readonly b: number }]>,
  Same<Effect.Success<ReturnType<KitchenCalls["add"]>>, { readonly sum: number }>,
  Same<
    Effect.Error<ReturnType<KitchenCalls["divide"]>>,
    { readonly reason: string } | McpError | McpServer.ToolFailed | Schema.SchemaError
  >,
  Same<Parameters<KitchenCalls["whoami"]>["length"], 0 | 1>,
  { a: string; b: number } extends Parameters<KitchenCalls["add"]>[0] ? false : true,
  { a: number } extends Parameters<KitchenCalls["add"]>[0] ? false : true
] = [true, true, true, true, true, true]

describe("McpTools", () => {
  it.effect("calls are typed by the tools of the kit; results come structured, as JSON text, or as text", () =>
    Effect.gen(function* () {
      assert.isTrue(TYPES.every(Boolean))
      const asked: Array<Json.JsonObject> = []
      const kit = yield* McpTools.typed(
        server(listed, (name, args) => {
          asked.push(args)
          return Effect.succeed(
            name === "add"
              ? { ...text("ignored"), structured: { sum: 5 } }
              : name === "divide"
                ? text("0.5")
                : text("there")
          )
        }),
        Kitchen.Kit
      )

      assert.deepStrictEqual(yield* kit.add({ a: 2, b: 3 }), { sum: 5 })
      assert.strictEqual(yield* kit.divide({ a: 1, b: 2 }), 0.5)
      assert.strictEqual(yield* kit.walk({ steps: 1 }), "there")
      assert.deepStrictEqual(asked, [{ a: 2, b: 3 }, { a: 1, b: 2 }, { steps: 1 }])
    })
  )

  it.effect(
    "a declared failure is that failure, any other is ToolFailed, a result of another shape a SchemaError",
    () =>
      Effect.gen(function* () {
        const failing = (message: string) =>
          McpTools.typed(
            server(listed, (tool) => Effect.fail(new McpServer.ToolFailed({ tool, message }))),
            Kitchen.Kit
          )

        const declared = yield* Effect.flip((yield* failing('{"reason":"no"}')).divide({ a: 1, b: 0 }))
        const other = yield* Effect.flip((yield* failing("on fire")).divide({ a: 1, b: 0 }))
        const kit = yield* McpTools.typed(
          server(listed, () => Effect.succeed(text("nonsense"))),
          Kitchen.Kit
        )
        const shape = yield* Effect.flip(kit.add({ a: 1, b: 2 }))

        assert.deepStrictEqual(declared, { reason: "no" })
        assert.deepInclude(other, { _tag: "ToolFailed", message: "on fire" })
        assert.isTrue(Schema.isSchemaError(shape))
      })
  )

  it.effect("a tool that is missing, or that wants other parameters, is told before any call", () =>
    Effect.gen(function* () {
      const none = server([], () => Effect.succeed(text("")))
      const other = server(
        listed.map((tool) => ({ ...tool, inputSchema: { type: "object", required: ["oven"] } })),
        () => Effect.succeed(text(""))
      )

      const missing = yield* Effect.flip(McpTools.typed(none, Kitchen.Kit))
      const misfit = yield* Effect.flip(McpTools.typed(other, Kitchen.Kit))

      assert.strictEqual(missing.message, "add: the server has no such tool")
      assert.strictEqual(misfit.message, "add: oven is required")
    })
  )

  it.effect("a model is given a peer's tools, calls one, and gets failures as text", () =>
    Effect.gen(function* () {
      const asked: Array<readonly [string, Json.JsonObject]> = []
      const kit = yield* McpTools.forModel(
        server(
          [
            {
              name: "files/read",
              description: "Reads\u200b a file",
              inputSchema: { properties: { path: { type: "string" } } }
            },
            { name: "files.read" },
            { name: "secret" }
          ],
          (name, args) => {
            asked.push([name, args])
            return name === "files/read"
              ? Effect.succeed(text("contents"))
              : Effect.fail(new McpServer.ToolFailed({ tool: name, message: "no such file" }))
          }
        ),
        { prefix: "peer_", only: (name) => name !== "secret" }
      )
      assert.deepStrictEqual(Object.keys(kit.tools), ["peer_files_read", "peer_files_read_2"])
      assert.strictEqual(Tool.getDescription(Object.values(kit.tools)[0]!), "Reads a file")

      const response = yield* LanguageModel.generateText({ prompt: "read both", toolkit: kit }).pipe(
        Effect.provideServiceEffect(LanguageModel.LanguageModel, model)
      )

      assert.deepStrictEqual(
        response.toolResults.map(({ id, isFailure, result }) => [id, isFailure, result]).toSorted(),
        [
          ["1", false, "contents"],
          ["2", true, "no such file"]
        ]
      )
      assert.deepStrictEqual(asked, [
        ["files/read", { path: "a" }],
        ["files.read", { path: "b" }]
      ])
    })
  )
})

/** Calls both tools once. */
const model = LanguageModel.make({
  generateText: () =>
    Effect.succeed([
      { type: "tool-call", id: "1", name: "peer_files_read", params: { path: "a" } },
      { type: "tool-call", id: "2", name: "peer_files_read_2", params: { path: "b" } },
      {
        type: "finish",
        reason: "tool-calls",
        usage: {
          inputTokens: { uncached: 1, total: 1, cacheRead: 0, cacheWrite: 0 },
          outputTokens: { total: 1, text: 1, reasoning: 0 }
        },
        response: undefined
      }
    ]),
  streamText: () => Stream.empty
})
