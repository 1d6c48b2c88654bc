import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import * as Mcp from "../../../src/api/Mcp.ts"

const EVERYTHING = new URL(
  "../../../node_modules/@modelcontextprotocol/server-everything/dist/index.js",
  import.meta.url
).pathname

describe("Mcp against server-everything", () => {
  it.live("completions of a prompt's argument, which may depend on another", () =>
    Effect.gen(function* () {
      const server = yield* Mcp.stdio(process.execPath, [EVERYTHING])
      const prompt = "completable-prompt"
      const departments = yield* server.complete({ prompt, argument: "department", value: "S" })
      const others = { department: "Sales" }
      const names = yield* server.complete({ prompt, argument: "name", value: "E", others })
      assert.deepStrictEqual([...departments.values], ["Sales", "Support"])
      assert.deepStrictEqual([...names.values], ["Eve"])
    })
  )

  it.live("a resource that changes is told as long as its stream runs", () =>
    Effect.gen(function* () {
      const server = yield* Mcp.stdio(process.execPath, [EVERYTHING])
      const uri = "demo://resource/dynamic/text/1"
      const logged = server.notifications.pipe(
        Stream.filter(({ params }) => JSON.stringify(params).includes("Received Subscribe")),
        Stream.take(1),
        Stream.runDrain
      )
      const subscribed = yield* Effect.forkChild(logged, { startImmediately: true })
      const updates = yield* Effect.forkChild(Stream.runCollect(Stream.take(server.updates(uri), 1)))
      yield* Fiber.join(subscribed)
      yield* server.call("toggle-subscriber-updates")
      assert.lengthOf(yield* Fiber.join(updates), 1)
    })
  )
})
