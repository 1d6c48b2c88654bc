import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import type { FrameStream } from "../../../src/actors/mcp/FrameStream.ts"
import * as RelayEnd from "../../../src/actors/mcp/RelayEnd.ts"
import { LIMITS_DEFAULT } from "../../../src/protocol/relay/RelayControl.ts"
import { CONFIG_DEFAULT } from "../../../src/protocol/relay/RelaySession.ts"

describe("RelayEnd", () => {
  it.effect("a path that takes nothing any more is noticed as one that is silent (mcp §6.2)", () =>
    Effect.gen(function* () {
      const relay = yield* RelayEnd.make(CONFIG_DEFAULT)
      const stream: FrameStream = {
        next: Effect.never,
        read: Effect.never,
        write: () => Effect.never,
        send: () => Effect.never,
        end: Effect.void
      }
      relay.session.isWaiting = true
      const carried = yield* Effect.forkChild(Effect.flip(relay.carry(stream, 0, LIMITS_DEFAULT)), {
        startImmediately: true
      })
      relay.sendNow(new Uint8Array(1024))
      for (let count = 0; count < 5; count++) yield* TestClock.adjust(CONFIG_DEFAULT.pingIntervalWaitingMs)

      const ended = carried.pollUnsafe()
      assert.isDefined(ended)
      assert.strictEqual((yield* Fiber.join(carried)).reason, "Silent")
    })
  )
})
