import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer, Queue, Schema } from "effect"
import { McpServer, Tool, Toolkit } from "effect/ai"
import * as McpClient from "../../../../src/actors/mcp/client/McpClient.ts"
import type { ChildGone } from "../../../../src/actors/mcp/server/Child.ts"
import * as EffectServer from "../../../../src/actors/mcp/server/EffectServer.ts"
import * as Mcp from "../../../../src/api/Mcp.ts"
import * as McpApi from "../../../../src/api/McpServer.ts"
import * as Json from "../../../../src/core/data/Json.ts"
import type { Duplex } from "../../../../src/core/net/Duplex.ts"

const Add = Tool.make("add", {
  description: "Adds two numbers",
  parameters: Schema.Struct({ a: Schema.Finite, b: Schema.Finite }),
  success: Schema.Struct({ sum: Schema.Finite })
})
const Divide = Tool.make("divide", {
  parameters: Schema.Struct({ a: Schema.Finite, b: Schema.Finite }),
  success: Schema.Struct({ quotient: Schema.Finite }),
  failure: Schema.String
})
const Walk = Tool.make("walk", { parameters: Schema.Struct({ steps: Schema.Int }), success: Schema.String })
const Wait = Tool.make("wait", { parameters: Tool.EmptyParams, success: Schema.String })
const Kit = Toolkit.make(Add, Divide, Walk, Wait)

class Interrupted extends Context.Service<Interrupted, Deferred.Deferred<void>>()("test/Interrupted") {}

const Handlers = Kit.toLayer(
  Effect.map(Interrupted, (interrupted) => ({
    add: ({ a, b }) => Effect.succeed({ sum: a + b }),
    divide: ({ a, b }) => (b === 0 ? Effect.fail("division by zero") : Effect.succeed({ quotient: a / b })),
    walk: Effect.fnUntraced(function* ({ steps }) {
      for (let step = 1; step <= steps; step++)
        yield* Mcp.progress({ progress: step, total: steps, message: `step ${step}` })
      return "there"
    }),
    wait: () => Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
  }))
)

/** The kit at the other end of a client. */
const open = Effect.gen(function* () {
  const interrupted = yield* Deferred.make<void>()
  const child = yield* EffectServer.open({
    name: "kit",
    version: "2.0.0",
    instructions: "Be brief.",
    registrations: McpServer.toolkit(Kit).pipe(
      Layer.provide(Handlers),
      Layer.provide(Layer.succeed(Interrupted, interrupted))
    )
  })
  return { child, interrupted }
})

const clientOf = Effect.fnUntraced(function* (stream: Duplex<ChildGone>) {
  return McpApi.fromClient(yield* McpClient.make(stream, { name: "test", version: "1" }))
})

describe("EffectServer", () => {
  it.live("lists and runs the tools of a toolkit, and says what it is", () =>
    Effect.gen(function* () {
      const { child } = yield* open
      const server = yield* clientOf(child.stdio)

      assert.deepStrictEqual(
        [server.revision, server.info],
        ["2026-07-28", { name: "kit", version: "2.0.0", instructions: "Be brief." }]
      )
      assert.deepStrictEqual(
        (yield* server.tools).map(({ name }) => name),
        ["add", "divide", "walk", "wait"]
      )
      assert.deepStrictEqual((yield* server.call("add", { a: 2, b: 3 })).structured, { sum: 5 })
    })
  )

  it.live(
    "a failure that the tool declares and wrong arguments are results with isError, which a model can react to",
    () =>
      Effect.gen(function* () {
        const { child } = yield* open
        const server = yield* clientOf(child.stdio)

        const failed = yield* Effect.flip(server.call("divide", { a: 1, b: 0 }))
        assert.deepInclude(failed, { _tag: "ToolFailed", message: '"division by zero"' })
        const wrong = yield* Effect.flip(server.call("add", { a: "one" }))
        assert.strictEqual(wrong._tag, "ToolFailed")
        assert.include(wrong.message, "Invalid parameters for tool 'add'")
      })
  )

  it.live("the steps of a handler reach its caller in order, and nobody else", () =>
    Effect.gen(function* () {
      const { child } = yield* open
      const client = yield* McpClient.make(child.stdio, { name: "test", version: "1" })
      const steps: Array<McpClient.Progress> = []

      yield* client.request("tools/call", { name: "walk", arguments: { steps: 3 } }, (step) => steps.push(step))
      yield* client.request("tools/call", { name: "walk", arguments: { steps: 2 } })

      assert.deepStrictEqual(
        steps,
        [1, 2, 3].map((progress) => ({ progress, total: 3, message: `step ${progress}` }))
      )
    })
  )

  it.live("interrupting the call interrupts the handler", () =>
    Effect.gen(function* () {
      const { child, interrupted } = yield* open
      const server = yield* clientOf(child.stdio)
      const call = yield* Effect.forkChild(server.call("wait"))
      yield* server.call("add", { a: 1, b: 1 })

      yield* Fiber.interrupt(call)

      yield* Deferred.await(interrupted)
    })
  )

  it.live("ends with its input, and says so", () =>
    Effect.gen(function* () {
      const { child } = yield* open
      const server = yield* clientOf(child.stdio)
      yield* server.call("add", { a: 1, b: 1 })

      yield* child.stdio.end

      assert.strictEqual(yield* child.exited, "it was stopped")
    })
  )

  it.live("errors carry nothing but code, message and data", () =>
    Effect.gen(function* () {
      const { child } = yield* open
      const lines = yield* Queue.unbounded<string>()
      yield* Effect.forkScoped(
        Effect.ignore(
          Effect.forever(
            Effect.flatMap(child.stdio.read, (bytes) => Queue.offer(lines, new TextDecoder().decode(bytes)))
          )
        )
      )
      const say = (message: Json.JsonObject) =>
        child.stdio.write(new TextEncoder().encode(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`))
      yield* say({
        id: 1,
        method: "initialize",
        params: { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "t", version: "1" } }
      })
      yield* Queue.take(lines)
      yield* say({ method: "notifications/initialized" })
      for (const [id, request] of [
        { method: "tools/call", params: { name: "nothing", arguments: {} } },
        { method: "no/such" },
        { method: "tools/call", params: { name: "add", arguments: {} } }
      ].entries()) {
        yield* say({ id: id + 2, ...request })
        const answer = Json.parseObject(yield* Queue.take(lines)) ?? {}
        assert.deepStrictEqual(
          Object.keys(Json.member(answer, "error") as Json.JsonObject).toSorted(),
          ["code", "message"],
          JSON.stringify(answer)
        )
      }
    })
  )
})
