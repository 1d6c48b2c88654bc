import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as SimNet from "../../src/testing/SimNet.ts"
import { answer, ask, call, initialize, server } from "./McpPrograms.ts"
import { PATIENCE_MS } from "./Patience.ts"

/** A node that exposes the server, one that may use it, and an open session between them. */
const bridge = (net: SimNet.SimNet) =>
  Effect.gen(function* () {
    const host = yield* net.node("host", { nat: "portRestrictedCone", programs: { say: server } })
    const user = yield* net.node("user", { nat: "symmetric", link: { rttMs: 60, loss: 0.02 } })
    yield* net.trust(user, host)
    yield* net.expose(host, { name: "say", command: "say", allow: [user] })
    const client = yield* net.connect(user, "host", "say")
    yield* initialize(client)
    return { client, host, user }
  })

describe("MCP across the simulated network", { timeout: PATIENCE_MS }, () => {
  it.effect("a call is carried by shim, tunnel and keeper to the server of a peer, and back", () =>
    SimNet.run({ seed: 21 }, (net) =>
      Effect.gen(function* () {
        const { client } = yield* bridge(net)

        assert.deepStrictEqual(yield* call(client, 1, "hello", 100), { _tag: "Result", text: "hello", pid: 101 })
      })
    )
  )

  it.effect("a call outlives the death of either daemon, because children belong to the keeper (mcp §6.1)", () =>
    SimNet.run({ seed: 22 }, (net) =>
      Effect.gen(function* () {
        const { client, host, user } = yield* bridge(net)
        for (const [id, node] of [
          [1, host],
          [2, user]
        ] as const) {
          yield* ask(client, id, "slowly", 6000)
          yield* net.sleep("1 second")
          yield* net.kill(node)
          yield* net.sleep("2 seconds")
          yield* net.restart(node)

          assert.deepStrictEqual(yield* answer(client), [id, { _tag: "Result", text: "slowly", pid: 101 }])
        }
      })
    )
  )

  it.effect("a call that a power cut takes along ends as of unknown outcome, and the next one works (mcp §6.3)", () =>
    SimNet.run({ seed: 23 }, (net) =>
      Effect.gen(function* () {
        const { client, host } = yield* bridge(net)
        yield* ask(client, 1, "lost", 5000)
        yield* net.sleep("1 second")
        yield* net.crash(host)
        yield* net.sleep("2 seconds")
        yield* net.restart(host)

        assert.deepStrictEqual(yield* answer(client), [
          1,
          { _tag: "Failed", code: -31002, retryable: false, delivered: true }
        ])
        assert.deepStrictEqual(yield* call(client, 2, "again", 10), { _tag: "Result", text: "again", pid: 102 })
      })
    )
  )

  it.effect("a server that dies alone is told as such, and started again by the next call (mcp §6.4)", () =>
    SimNet.run({ seed: 24 }, (net) =>
      Effect.gen(function* () {
        const { client, host } = yield* bridge(net)
        yield* ask(client, 1, "lost", 5000)
        yield* net.sleep("1 second")
        yield* net.killChildren(host)

        const [id, outcome] = yield* answer(client)
        assert.deepInclude(outcome, { _tag: "Failed", delivered: true })
        assert.strictEqual(id, 1)
        assert.deepInclude(yield* call(client, 2, "again", 10), { _tag: "Result", pid: 102 })
      })
    )
  )

  it.effect("a keeper that dies alone takes its calls along, and is there again when a service is exposed", () =>
    SimNet.run({ seed: 25 }, (net) =>
      Effect.gen(function* () {
        const { client, host, user } = yield* bridge(net)
        yield* ask(client, 1, "lost", 30_000)
        yield* net.sleep("1 second")
        yield* net.killKeeper(host)
        yield* net.sleep("1 second")
        yield* net.expose(host, { name: "say", command: "say", allow: [user] })

        assert.deepInclude((yield* answer(client))[1], { _tag: "Failed", delivered: true })
        assert.deepInclude(yield* call(client, 2, "again", 10), { _tag: "Result", text: "again" })
      })
    )
  )

  it.effect("who is not named gets no service, however trusted (security rule 3)", () =>
    SimNet.run({ seed: 26 }, (net) =>
      Effect.gen(function* () {
        const { host } = yield* bridge(net)
        const other = yield* net.node("other")
        yield* net.trust(other, host)
        const client = yield* net.connect(other, "host", "say")

        assert.deepInclude(yield* call(client, 1, "please", 10), { _tag: "Failed", delivered: false, retryable: false })
      })
    )
  )

  it.effect("works for tests outside of the world too", () =>
    Effect.gen(function* () {
      const net = yield* SimNet.make({ seed: 27 })
      const { client } = yield* bridge(net)
      const fiber = yield* Effect.forkScoped(call(client, 1, "outside", 3000))

      assert.deepInclude(yield* Fiber.join(fiber), { _tag: "Result", text: "outside" })
    })
  )

  it.effect("goes the same way with the same seed", () => {
    const story = SimNet.run({ seed: 28 }, (net) =>
      Effect.gen(function* () {
        const { client } = yield* bridge(net)
        const outcome = yield* call(client, 1, "hello", 700)
        return { outcome, hash: net.hash(), nowMs: net.nowMs() }
      })
    )
    return Effect.gen(function* () {
      assert.deepStrictEqual(yield* story, yield* story)
    })
  })
})
