import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Client as Client2 } from "@modelcontextprotocol/client"
import { Client as Client1 } from "@modelcontextprotocol/sdk/client/index.js"
import { McpError } from "@modelcontextprotocol/sdk/types.js"
import { Effect, Fiber, Layer, Schema, type Scope } from "effect"
import type { Crypto } from "../../../src/core/crypto/Crypto.ts"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import type { McpRig } from "../../support/McpRig.ts"
import * as RealServers from "./RealServers.ts"

const live = Layer.merge(NodeServices.layer, NativeCrypto.layer)
/** What an SDK's promise was rejected with. */
class Rejected extends Schema.TaggedError<Rejected>()("Rejected", { error: Schema.Unknown }) {}

const promise = <A>(run: () => Promise<A>) => Effect.tryPromise({ try: run, catch: (error) => new Rejected({ error }) })

describe("MCP relay with the official SDKs", () => {
  it.live("SDK 1 client: lists the tools and calls two of server-everything, one with progress", () =>
    Effect.gen(function* () {
      const rig = yield* RealServers.make(1000)
      const transport = yield* RealServers.transport(rig, "everything", 2)
      const client = new Client1({ name: "test", version: "1" }, { capabilities: {} })
      yield* promise(() => client.connect(transport))

      const { tools } = yield* promise(() => client.listTools())
      const echo = yield* promise(() => client.callTool({ name: "echo", arguments: { message: "hé 𝄞" } }))
      const steps: Array<number> = []
      const long = yield* promise(() =>
        client.callTool({ name: "trigger-long-running-operation", arguments: { duration: 1, steps: 4 } }, undefined, {
          onprogress: ({ progress }) => steps.push(progress)
        })
      )

      assert.isAtLeast(tools.length, 5)
      assert.include(JSON.stringify(echo), "hé 𝄞")
      assert.include(JSON.stringify(long), "completed")
      assert.deepStrictEqual(steps.slice(0, 3), [1, 2, 3])
      yield* promise(() => client.close())
    }).pipe(Effect.scoped, Effect.provide(live))
  )

  it.live("SDK 2 client: lists the tools and calls two of server-everything, one with progress", () =>
    Effect.gen(function* () {
      const rig = yield* RealServers.make(70_000)
      const transport = yield* RealServers.transport(rig, "everything", 2)
      const client = new Client2(
        { name: "test", version: "1" },
        { capabilities: {}, versionNegotiation: { mode: "auto" } }
      )
      yield* promise(() => client.connect(transport))

      const { tools } = yield* promise(() => client.listTools())
      const echo = yield* promise(() => client.callTool({ name: "echo", arguments: { message: "two" } }))
      const steps: Array<number> = []
      const long = yield* promise(() =>
        client.callTool(
          { name: "trigger-long-running-operation", arguments: { duration: 1, steps: 4 } },
          { onprogress: ({ progress }) => steps.push(progress) }
        )
      )

      assert.isAtLeast(tools.length, 5)
      assert.include(JSON.stringify(echo), "two")
      assert.include(JSON.stringify(long), "completed")
      assert.isAtLeast(steps.length, 3)
      yield* promise(() => client.close())
    }).pipe(Effect.scoped, Effect.provide(live))
  )

  const withClient = <A>(
    service: string,
    node: number,
    use: (client: Client1, rig: McpRig) => Effect.Effect<A, unknown, Crypto | Scope.Scope>
  ) =>
    Effect.gen(function* () {
      const rig = yield* RealServers.make(70_000)
      const client = yield* connected(rig, service, node)
      return yield* use(client, rig)
    }).pipe(Effect.scoped, Effect.provide(live))

  const connected = Effect.fnUntraced(function* (rig: McpRig, service: string, node: number) {
    const client = new Client1({ name: "test", version: "1" }, { capabilities: {} })
    const transport = yield* RealServers.transport(rig, service, node)
    yield* promise(() => client.connect(transport))
    return client
  })

  const call = (client: Client1, name: string, value = "") =>
    promise(() => client.callTool({ name, arguments: { value } })).pipe(Effect.map((result) => textOf(result)))

  /** The failure of a call as JSON-RPC code and data. */
  const failure = <A, R>(effect: Effect.Effect<A, unknown, R>) =>
    Effect.map(Effect.flip(effect), (failed) => {
      const error = failed instanceof Rejected ? failed.error : failed
      return error instanceof McpError ? { code: error.code, message: error.message, data: error.data } : { error }
    })

  it.live("a call whose server dies ends with -31002, and the session goes on with a new one (mcp §6.3)", () =>
    withClient("fixture", 2, (client) =>
      Effect.gen(function* () {
        const [crashed, hung] = yield* Effect.all(
          [failure(call(client, "hang")), Effect.delay(failure(call(client, "crash")), "50 millis")],
          { concurrency: "unbounded" }
        )
        const data = { retryable: false, delivered: true, service: "fixture", peer: "mcp-host" }

        assert.deepInclude(crashed, { code: -31002, data })
        assert.deepInclude(hung, { code: -31002, data })
        assert.notInclude(JSON.stringify(hung), "somebody")
        assert.strictEqual(yield* call(client, "recall"), "")
        const { tools } = yield* promise(() => client.listTools())
        assert.includeMembers(
          tools.map(({ name }) => name),
          ["hang", "recall"]
        )
      })
    )
  )

  it.live("a peer that is not allowed and a service that does not exist get the same answer (mcp §8)", () =>
    Effect.gen(function* () {
      const outcomes = yield* Effect.forEach(
        [
          ["fixture", 99],
          ["nothing", 99],
          ["nothing", 2]
        ] as const,
        ([service, node]) => failure(withClient(service, node, () => Effect.void))
      )

      for (const outcome of outcomes) {
        assert.strictEqual(outcome.code, -31003)
        assert.include(outcome.message, "mcp-host offers no service")
        assert.deepInclude(outcome.data, { retryable: false, delivered: false })
      }
    })
  )

  it.live("a result of 9 MB arrives whole; one over the limit of stdio clients becomes -31005 (mcp §6.8)", () =>
    withClient("fixture", 2, (client) =>
      Effect.gen(function* () {
        assert.strictEqual((yield* call(client, "big", "9000000")).length, 9_000_000)
        assert.deepInclude(yield* failure(call(client, "big", "11000000")), { code: -31005 })
        assert.deepInclude(yield* failure(call(client, "big", "20000000")), { code: -31005 })
        assert.strictEqual((yield* call(client, "big", "5")).length, 5)
      })
    )
  )

  it.live("lines that are no messages are dropped and the next one arrives (mcp §2.1)", () =>
    withClient("fixture", 2, (client) =>
      Effect.gen(function* () {
        assert.strictEqual(yield* call(client, "noise"), "after the noise")
      })
    )
  )

  it.live("two clients of one service have servers of their own (mcp §6.4)", () =>
    withClient("fixture", 2, (first, rig) =>
      Effect.gen(function* () {
        const second = yield* connected(rig, "fixture", 3)
        yield* call(first, "remember", "first")
        yield* call(second, "remember", "second")

        assert.strictEqual(yield* call(first, "recall"), "first")
        assert.strictEqual(yield* call(second, "recall"), "second")
        assert.notStrictEqual(yield* call(first, "pid"), yield* call(second, "pid"))
      })
    )
  )

  it.live("a fifth session of a peer is refused with -31007 until one is closed (mcp §6.4)", () =>
    withClient("fixture", 2, (first, rig) =>
      Effect.gen(function* () {
        for (let count = 0; count < 3; count++) yield* connected(rig, "fixture", 2)

        assert.deepInclude(yield* failure(connected(rig, "fixture", 2)), { code: -31007 })
        yield* promise(() => first.close())
        yield* Effect.sleep("200 millis")
        const fifth = yield* connected(rig, "fixture", 2)
        assert.strictEqual(yield* call(fifth, "recall"), "")
      })
    )
  )

  it.live("calls survive streams that are cut while they run (mcp §6.2)", () =>
    withClient("fixture", 2, (client, rig) =>
      Effect.gen(function* () {
        yield* call(client, "remember", "kept")
        const cutting = yield* Effect.forkChild(Effect.forever(Effect.delay(rig.cut, "70 millis")))
        const results = yield* Effect.forEach(
          Array.from({ length: 40 }, (_, index) => index),
          (index) => Effect.delay(call(client, "big", String(200_000 + index)), `${index * 20} millis`),
          { concurrency: "unbounded" }
        )
        yield* Fiber.interrupt(cutting)

        assert.deepStrictEqual(
          results.map((result) => result.length),
          results.map((_, index) => 200_000 + index)
        )
        assert.strictEqual(yield* call(client, "recall"), "kept")
      })
    )
  )

  it.live("a server behind a shell is stopped with it (mcp §2.2)", () =>
    withClient("grandchild", 2, (client) =>
      Effect.gen(function* () {
        const pid = Number(yield* call(client, "pid"))
        yield* promise(() => client.close())
        yield* Effect.sleep("500 millis")

        assert.throws(() => process.kill(pid, 0))
      })
    )
  )

  it.live("a command that cannot start gives -31001 and says where to look, without its path (mcp §8)", () =>
    Effect.gen(function* () {
      const outcome = yield* failure(withClient("missing", 2, () => Effect.void))

      assert.deepInclude(outcome, { code: -31001 })
      assert.include(outcome.message, "pilotctl mcp status")
      assert.notInclude(JSON.stringify(outcome), "nonexistent")
    })
  )

  it.live("when the client closes, its server's process is gone (mcp §2.2)", () =>
    withClient("fixture", 2, (client, rig) =>
      Effect.gen(function* () {
        const pid = Number(yield* call(client, "pid"))
        yield* promise(() => client.close())
        yield* Effect.sleep("500 millis")

        assert.throws(() => process.kill(pid, 0))
        assert.deepStrictEqual(yield* rig.keeper().status, [])
      })
    )
  )
})

const textOf = (result: unknown): string => {
  const decoded = Schema.decodeUnknownSync(Result)(result)
  return decoded.content[0]?.text ?? ""
}
const Result = Schema.Struct({ content: Schema.Array(Schema.Struct({ text: Schema.String })) })
