import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Schema, Stream } from "effect"
import { McpServer, Tool, Toolkit } from "effect/ai"
import * as Mcp from "../../src/api/Mcp.ts"
import * as SimNet from "../../src/testing/SimNet.ts"
import { PATIENCE_MS } from "./Patience.ts"

const WhoAsks = Tool.make("who", {
  parameters: Tool.EmptyParams,
  success: Schema.Struct({ hostname: Schema.String }),
  dependencies: [Mcp.Caller]
})
const Learn = Tool.make("learn", { parameters: Schema.Struct({ prompt: Schema.String }), success: Schema.String })
const Kit = Toolkit.make(WhoAsks, Learn)

/** `who` depends on the caller of each call; `learn` adds a prompt to the server that it runs in. */
const Handlers = Kit.toLayer(
  Effect.map(McpServer.McpServer, (registry) => ({
    who: () => Effect.map(Mcp.Caller, ({ hostname }) => ({ hostname })),
    learn: ({ prompt }) =>
      McpServer.registerPrompt({ name: prompt, content: () => Effect.succeed("Learned.") }).pipe(
        Effect.provideService(McpServer.McpServer, registry),
        Effect.as(prompt)
      )
  }))
)

const Registrations = Layer.mergeAll(
  McpServer.toolkit(Kit).pipe(Layer.provide(Handlers)),
  McpServer.resource({
    uri: "notes://today",
    name: "today",
    mimeType: "text/plain",
    content: Effect.map(Mcp.Caller, ({ hostname }) => `Nothing for ${hostname}.`)
  }),
  McpServer.prompt({
    name: "greet",
    description: "Greets somebody",
    parameters: { who: Schema.String },
    content: ({ who }) => Effect.map(Mcp.Caller, ({ hostname }) => `Hello ${who}, says ${hostname}.`)
  })
)

/** `host` serves notes to `user` and `other`, who have opened them. */
const stage = Effect.fnUntraced(function* (net: SimNet.SimNet) {
  const host = yield* net.node("host", { nat: "portRestrictedCone" })
  const user = yield* net.node("user", { nat: "portRestrictedCone" })
  const other = yield* net.node("other", { nat: "symmetric" })
  yield* net.trust(user, host)
  yield* net.trust(other, host)
  yield* host.run(Mcp.expose("notes", Mcp.serve(Registrations), { allow: ["user", "other"] }))
  return {
    user,
    other,
    ofUser: yield* user.run(Mcp.connect("host/notes")),
    ofOther: yield* other.run(Mcp.connect("host/notes"))
  }
})

describe("Mcp.serve across the simulated network", { timeout: PATIENCE_MS }, () => {
  it.effect("resources, prompts and tools know who asks, by the dependency that they name", () =>
    SimNet.run({ seed: 51 }, (net) =>
      Effect.gen(function* () {
        const { ofOther, ofUser, other, user } = yield* stage(net)

        assert.deepStrictEqual(
          (yield* user.run(ofUser.resources)).map(({ mimeType, name, uri }) => ({ mimeType, name, uri })),
          [{ mimeType: "text/plain", name: "today", uri: "notes://today" }]
        )
        const texts = [yield* user.run(ofUser.read("notes://today")), yield* other.run(ofOther.read("notes://today"))]
        assert.deepStrictEqual(
          texts.map(([contents]) => contents?.text),
          ["Nothing for user.", "Nothing for other."]
        )
        const [greet] = yield* user.run(ofUser.prompts)
        assert.deepInclude(greet, { name: "greet", description: "Greets somebody" })
        assert.deepInclude(greet?.arguments[0], { name: "who", isRequired: true })
        const { messages } = yield* other.run(ofOther.prompt("greet", { who: "Ann" }))
        assert.deepStrictEqual(messages, [{ role: "user", content: { type: "text", text: "Hello Ann, says other." } }])
        assert.deepStrictEqual((yield* user.run(ofUser.call("who"))).structured, { hostname: "user" })
        assert.deepStrictEqual((yield* other.run(ofOther.call("who"))).structured, { hostname: "other" })
      })
    )
  )

  it.effect("a list that changes is told to the client whose server it is, and to nobody else", () =>
    SimNet.run({ seed: 52 }, (net) =>
      Effect.gen(function* () {
        const { ofOther, ofUser, other, user } = yield* stage(net)
        const heard: Array<string> = []
        const listen = (who: string, changes: Mcp.McpServer["promptsChanged"]) =>
          Stream.runForEach(changes, () => Effect.sync(() => heard.push(who)))
        const listening = [
          yield* Effect.forkChild(user.run(listen("user", ofUser.promptsChanged))),
          yield* Effect.forkChild(other.run(listen("other", ofOther.promptsChanged)))
        ]
        yield* net.sleep("5 seconds")
        assert.deepStrictEqual(heard, [])

        yield* user.run(ofUser.call("learn", { prompt: "late" }))
        yield* net.sleep("5 seconds")

        assert.deepStrictEqual(heard, ["user"])
        const names = (prompts: ReadonlyArray<{ readonly name: string }>) => prompts.map(({ name }) => name)
        assert.deepStrictEqual(names(yield* user.run(ofUser.prompts)), ["greet", "late"])
        assert.deepStrictEqual(names(yield* other.run(ofOther.prompts)), ["greet"])
        yield* Fiber.interruptAll(listening)
      })
    )
  )
})
