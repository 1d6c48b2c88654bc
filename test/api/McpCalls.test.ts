import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Schedule } from "effect"
import { TestClock } from "effect/testing"
import { McpError } from "../../src/actors/mcp/client/McpClient.ts"
import * as McpCalls from "../../src/api/McpCalls.ts"
import * as BridgeError from "../../src/protocol/relay/BridgeError.ts"

const failure = (facts: Partial<Pick<McpError, "code" | "delivered" | "reason" | "retryable">>) =>
  new McpError({ reason: "Rpc", code: 0, message: "", retryable: false, delivered: true, ...facts })

const UNREACHABLE = failure({ code: BridgeError.CODE.unreachable, retryable: true, delivered: false })
const UNKNOWN = failure({ code: BridgeError.CODE.outcomeUnknown })
const DENIED = failure({ code: BridgeError.CODE.denied, delivered: false })
const OF_SERVER = failure({ code: -32602 })

/** How often a request is made that always fails like this. */
const attempts = Effect.fnUntraced(function* (
  error: McpError,
  method: string,
  options: McpCalls.CallOptions = {},
  name = "cook"
) {
  let count = 0
  const request = () =>
    Effect.suspend(() => {
      count++
      return Effect.fail(error)
    })
  const fiber = yield* Effect.forkChild(Effect.flip(McpCalls.guarded({ request }, options)(method, { name })))
  yield* TestClock.adjust("1 minute")
  assert.strictEqual(yield* Fiber.join(fiber), error)
  return count
})

describe("McpCalls", () => {
  it.effect("a request that was not delivered is made again, five times in all, if that may help (mcp §6.3)", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* attempts(UNREACHABLE, "tools/call"), 5)
      assert.strictEqual(yield* attempts(DENIED, "tools/call"), 1)
      assert.strictEqual(yield* attempts(UNREACHABLE, "tools/call", { retry: false }), 1)
      assert.strictEqual(yield* attempts(UNREACHABLE, "tools/call", { retry: Schedule.recurs(2) }), 3)
    })
  )

  it.effect("an unknown outcome is asked for again only where that is harmless (mcp §6.3)", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* attempts(UNKNOWN, "tools/call"), 1)
      assert.strictEqual(yield* attempts(UNKNOWN, "tools/call", { safe: ["eat"] }), 1)
      assert.strictEqual(yield* attempts(UNKNOWN, "tools/call", { safe: ["cook"] }), 5)
      assert.strictEqual(yield* attempts(UNKNOWN, "resources/read"), 5)
      // The name of a prompt is no name of a tool, and a notification of tasks is no call.
      assert.strictEqual(yield* attempts(UNKNOWN, "tasks/cancel", { safe: ["cook"] }), 1)
    })
  )

  it.effect("what the server itself says is not asked again", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* attempts(OF_SERVER, "tools/call", { safe: ["cook"] }), 1)
      assert.strictEqual(yield* attempts(OF_SERVER, "tools/list"), 1)
    })
  )

  it.effect("the time limit holds for everything together, and interrupts what runs", () =>
    Effect.gen(function* () {
      let interrupted = 0
      const request = () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => void interrupted++))
      const limited = McpCalls.guarded({ request }, { timeLimit: Duration.seconds(3) })
      const fiber = yield* Effect.forkChild(Effect.flip(limited("tools/call", { name: "cook" })))
      yield* TestClock.adjust("3 seconds")

      assert.deepInclude(yield* Fiber.join(fiber), { reason: "Timeout", delivered: true, retryable: false })
      assert.strictEqual(interrupted, 1)
    })
  )
})
