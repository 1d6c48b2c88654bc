import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Result } from "effect"
import { TestClock } from "effect/testing"
import * as ServiceLister from "../../../../src/actors/mcp/client/ServiceLister.ts"
import { CannotStart } from "../../../../src/actors/mcp/server/Child.ts"
import * as Bytes from "../../../../src/core/data/Bytes.ts"
import * as ServiceListing from "../../../../src/protocol/relay/ServiceListing.ts"
import * as DuplexPair from "../../../support/DuplexPair.ts"
import * as McpRig from "../../../support/McpRig.ts"

const rig = McpRig.make({
  services: [{ ...McpRig.service("files"), title: "Our files" }, McpRig.service("other")],
  spawn: () => Effect.fail(new CannotStart({ detail: "nothing starts here" }))
})

const said = (bytes: Uint8Array) => JSON.parse(Bytes.toUtf8Lossy(bytes))

describe("ServiceLister", () => {
  it.effect("a peer is told what it may use, and a stranger nothing", () =>
    Effect.gen(function* () {
      const { stream } = yield* rig
      assert.deepStrictEqual(yield* ServiceLister.ask(stream(2)), [
        { name: "files", title: "Our files", health: { breaker: "closed", retryInMs: 0 } },
        { name: "other", title: "", health: { breaker: "closed", retryInMs: 0 } }
      ])
      assert.deepStrictEqual(yield* ServiceLister.ask(stream(99)), [])
    })
  )

  it.effect("another question is refused, and what is no question is not answered", () =>
    Effect.gen(function* () {
      const { stream } = yield* rig
      const asker = yield* stream(2)
      yield* asker.write(Bytes.fromUtf8('{"jsonrpc":"2.0","id":"x","method":"tools/list"}\n'))
      assert.deepInclude(said(yield* asker.read), { id: "x" })
      for (const text of ['{"id":1}\n', `{${"a".repeat(ServiceListing.REQUEST_BYTES_MAX)}\n`]) {
        const silent = yield* stream(2)
        yield* silent.write(Bytes.fromUtf8(text))
        assert.isTrue(Result.isFailure(yield* Effect.result(silent.read)))
      }
    })
  )

  it.effect("who asks without pause is told to wait, others are not", () =>
    Effect.gen(function* () {
      const { stream } = yield* rig
      const answers = yield* Effect.forEach(Array.from({ length: 17 }), () =>
        Effect.result(ServiceLister.ask(stream(2)))
      )
      assert.deepStrictEqual(answers.map(Result.isSuccess), [...Array.from({ length: 16 }, () => true), false])
      assert.lengthOf(yield* ServiceLister.ask(stream(3)), 2)
      yield* TestClock.adjust("1 second")
      assert.lengthOf(yield* ServiceLister.ask(stream(2)), 2)
    })
  )

  it.effect("a peer that says nothing, or hangs up, is an error in time", () =>
    Effect.gen(function* () {
      const silent = yield* DuplexPair.make({})
      const asking = yield* Effect.forkChild(Effect.flip(ServiceLister.ask(Effect.succeed(silent.left))))
      yield* TestClock.adjust("15 seconds")
      assert.strictEqual((yield* Fiber.join(asking))._tag, "NoListing")

      const closed = yield* DuplexPair.make({})
      yield* closed.right.end
      assert.strictEqual((yield* Effect.flip(ServiceLister.ask(Effect.succeed(closed.left))))._tag, "NoListing")
    })
  )
})
