import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Queue, Scope, Stream } from "effect"
import * as Mcp from "../../src/api/Mcp.ts"
import * as SimNet from "../../src/testing/SimNet.ts"
import type * as SimNode from "../../src/testing/SimNode.ts"
import * as Kitchen from "../support/Kitchen.ts"
import { PATIENCE_MS } from "./Patience.ts"

/** `host` exposes the kitchen to `user`, who has opened it. */
const kitchen = Effect.fnUntraced(function* (net: SimNet.SimNet) {
  const host = yield* net.node("host", { nat: "portRestrictedCone" })
  const user = yield* net.node("user", { nat: "symmetric", link: { rttMs: 60, loss: 0.02 } })
  yield* net.trust(user, host)
  const log = yield* Kitchen.Log.make
  yield* serve(host, log)
  const server = yield* user.run(Mcp.connect("host/kitchen"))
  return { host, user, log, server, kit: yield* user.run(Mcp.typed(server, Kitchen.Kit)) }
})

const serve = (host: SimNode.SimNode, log: Kitchen.Log["Service"]) =>
  host.run(Effect.provideService(Mcp.expose("kitchen", Kitchen.source, { allow: ["user"] }), Kitchen.Log, log))

describe("Mcp.expose, Mcp.toolkit and Mcp.connect across the simulated network", { timeout: PATIENCE_MS }, () => {
  it.effect("typed calls reach the handlers of a peer's program, which know who calls", () =>
    SimNet.run({ seed: 31 }, (net) =>
      Effect.gen(function* () {
        const { kit, server, user } = yield* kitchen(net)

        assert.deepStrictEqual(yield* user.run(kit.add({ a: 2, b: 3 })), { sum: 5 })
        assert.strictEqual(yield* user.run(kit.divide({ a: 1, b: 4 })), 0.25)
        assert.deepStrictEqual(yield* Effect.flip(user.run(kit.divide({ a: 1, b: 0 }))), { reason: "division by zero" })
        const { fingerprint, hostname } = yield* user.run(kit.whoami())
        assert.deepStrictEqual([hostname, fingerprint.length > 20], ["user", true])
        assert.strictEqual(server.info.instructions, "Be patient.")
      })
    )
  )

  it.effect("steps of a handler arrive in order, and the result last", () =>
    SimNet.run({ seed: 32 }, (net) =>
      Effect.gen(function* () {
        const { server, user } = yield* kitchen(net)

        const updates = yield* user.run(Stream.runCollect(server.watch("walk", { steps: 3, seconds: 2 })))

        assert.deepStrictEqual(
          updates.map((update) => (update._tag === "Progress" ? update.progress.message : update.result.text)),
          ["step 1", "step 2", "step 3", '"there"']
        )
      })
    )
  )

  it.effect("interrupting the call at one end interrupts the handler at the other", () =>
    SimNet.run({ seed: 33 }, (net) =>
      Effect.gen(function* () {
        const { kit, log, user } = yield* kitchen(net)
        const call = yield* Effect.forkChild(user.run(kit.cook({ seconds: 3600 })))
        assert.strictEqual(yield* net.run(Queue.take(log.started)), "user")

        yield* Fiber.interrupt(call)

        assert.strictEqual(yield* net.run(Queue.take(log.ended)), "interrupted")
        assert.isBelow(net.nowMs(), 60_000)
      })
    )
  )

  it.effect("a time limit cancels the call, and says so", () =>
    SimNet.run({ seed: 34 }, (net) =>
      Effect.gen(function* () {
        const { log, user } = yield* kitchen(net)
        const server = yield* user.run(Mcp.connect("host/kitchen", { timeLimit: "5 seconds" }))

        const failure = yield* Effect.flip(user.run(server.call("cook", { seconds: 3600 })))

        assert.deepInclude(failure, { _tag: "McpError", reason: "Timeout", delivered: true })
        assert.strictEqual(yield* net.run(Queue.take(log.ended)), "interrupted")
      })
    )
  )

  it.effect("a node killed in the middle of a call: the outcome is unknown, and only what is safe runs again", () =>
    SimNet.run({ seed: 35 }, (net) =>
      Effect.gen(function* () {
        const { host, log, user } = yield* kitchen(net)
        for (const safe of [[], ["cook"]]) {
          const server = yield* user.run(Mcp.connect("host/kitchen", { safe }))
          const call = yield* Effect.forkChild(Effect.exit(user.run(server.call("cook", { seconds: 20 }))))
          yield* net.run(Queue.take(log.started))

          yield* net.kill(host)
          yield* net.sleep("2 seconds")
          yield* net.restart(host)
          yield* serve(host, log)

          const exit = yield* Fiber.join(call)
          if (safe.length > 0) assert.isTrue(Exit.isSuccess(exit), String(exit))
          else assert.include(String(exit), "restarted")
          assert.strictEqual(yield* Queue.size(log.started), safe.length)
          yield* Queue.clear(log.started)
          assert.strictEqual((yield* user.run(server.call("add", { a: 1, b: 1 }))).text, '{"sum":2}')
        }
      })
    )
  )

  it.effect("a service is there as long as the scope that exposed it; who is not named never has it", () =>
    SimNet.run({ seed: 36 }, (net) =>
      Effect.gen(function* () {
        const { host, log, user } = yield* kitchen(net)
        const scope = yield* Scope.make()
        const exposing = Mcp.expose("second", Kitchen.source, { allow: ["user"] })
        yield* host.run(Effect.provideService(exposing, Kitchen.Log, log)).pipe(Scope.provide(scope))
        const server = yield* user.run(Mcp.connect("host/second"))
        yield* user.run(server.call("add", { a: 1, b: 1 }))
        const stranger = yield* net.node("stranger")
        yield* net.trust(stranger, host)
        const denied = yield* Effect.flip(stranger.run(Mcp.connect("host/second")))
        assert.deepInclude(denied, { _tag: "McpError", delivered: false, retryable: false })

        yield* Scope.close(scope, Exit.void)
        yield* net.sleep("2 seconds")

        const gone = yield* Effect.flip(user.run(server.call("add", { a: 1, b: 1 })))
        assert.deepInclude(gone, { _tag: "McpError", delivered: false })
      })
    )
  )
})
