import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Queue } from "effect"
import * as McpClient from "../../src/actors/mcp/client/McpClient.ts"
import * as McpReopening from "../../src/api/McpReopening.ts"
import * as Server from "../../src/api/McpServer.ts"
import * as NativeCrypto from "../../src/core/crypto/NativeCrypto.ts"
import * as Kitchen from "../support/Kitchen.ts"

/** A kitchen behind shim and keeper, and sessions that a test can end; after `limit` of them none can be opened. */
const station = Effect.fnUntraced(function* (limit: number) {
  const log = yield* Kitchen.Log.make
  const rig = yield* Kitchen.rig(log)
  const overs: Array<Deferred.Deferred<never, Error>> = []
  let refused = 0
  const open = Effect.gen(function* () {
    if (overs.length >= limit) {
      refused++
      const facts = { code: -31001, message: "no keeper", retryable: true, delivered: true }
      return yield* new McpClient.McpError({ reason: "Rpc", ...facts })
    }
    const over = yield* Deferred.make<never, Error>()
    overs.push(over)
    const duplex = yield* Effect.provide(rig.client("kitchen"), NativeCrypto.layer)
    const stream = { ...duplex, read: Effect.raceFirst(duplex.read, Deferred.await(over)) }
    return yield* McpClient.make(stream, { name: "test", version: "1" })
  })
  const client = yield* McpReopening.make(open)
  const end = Effect.suspend(() => Deferred.fail(overs.at(-1)!, new Error("over")))
  return { client, end, log, opened: () => overs.length, refused: () => refused }
})

describe("a client whose session ends", () => {
  it.live("the next calls share one new session; what was under way fails, and a safe tool is made again", () =>
    Effect.gen(function* () {
      const { client, end, log, opened } = yield* station(5)
      const server = Server.fromClient(client, { safe: ["cook"] })
      const unsafe = Server.fromClient(client)
      const lost = yield* Effect.forkChild(Effect.flip(unsafe.call("cook", { seconds: 3600 })))
      yield* Queue.take(log.started)
      const repeated = yield* Effect.forkChild(server.call("cook", { seconds: 3600 }))
      yield* Queue.take(log.started)

      yield* end

      assert.deepInclude(yield* Fiber.join(lost), { reason: "Closed", delivered: true })
      yield* Queue.take(log.started)
      const sums = yield* Effect.all(
        [1, 2, 3].map((a) => server.call("add", { a, b: 1 })),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(
        sums.map(({ structured }) => structured),
        [{ sum: 2 }, { sum: 3 }, { sum: 4 }]
      )
      assert.strictEqual(opened(), 2)
      yield* Fiber.interrupt(repeated)
    })
  )

  it.live("a session that cannot be opened again is tried once for each attempt, and the call is told so", () =>
    Effect.gen(function* () {
      const { client, end, refused } = yield* station(1)
      const server = Server.fromClient(client, { retry: false })
      yield* end
      // The reader notices the end on its own turn.
      yield* Effect.ignore(server.call("add", { a: 1, b: 1 }))
      const before = refused()
      const failure = yield* Effect.flip(server.call("add", { a: 1, b: 1 }))
      assert.deepInclude(failure, { code: -31001, delivered: false, retryable: true })
      assert.strictEqual(refused(), before + 1)
    })
  )
})
