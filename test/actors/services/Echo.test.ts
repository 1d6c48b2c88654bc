import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { type Connection, Node } from "../../../src/actors/node/Node.ts"
import * as Echo from "../../../src/actors/services/Echo.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Address from "../../../src/protocol/wire/Address.ts"
import { MemoryNodes } from "../../support/MemoryNodes.ts"
import * as TrustStation from "../../support/TrustStation.ts"

const SERVER = Address.make(0, 1)

/** A server with echo, and clients that dial it. */
const scene = Effect.gen(function* () {
  const nodes = new MemoryNodes()
  const server = nodes.add(1, new Uint8Array(32))
  const scope = yield* Scope.fork(yield* Effect.scope)
  yield* Echo.spawn.pipe(Effect.provideService(Node, server.service), Scope.provide(scope))
  const client = (id: number) => nodes.add(id, new Uint8Array(32)).service.dial(SERVER, Echo.PORT)
  return { client, stop: Scope.close(scope, Exit.void) }
})
const exchange = (connection: Connection, bytes: Uint8Array) => Effect.andThen(connection.write(bytes), connection.read)

describe("Echo", () => {
  it.effect("sends every segment back as it came (node §3)", () =>
    Effect.gen(function* () {
      const { client } = yield* scene
      const connection = yield* client(2)
      for (const bytes of [Bytes.fromUtf8("ping-0"), new Uint8Array(4096).map((_, i) => i), Uint8Array.of(0)])
        assert.deepStrictEqual(yield* exchange(connection, bytes), bytes)
    })
  )

  it.effect("ends its side after everything when the peer ends its own", () =>
    Effect.gen(function* () {
      const { client } = yield* scene
      const connection = yield* client(2)
      yield* connection.write(Uint8Array.of(1))
      yield* connection.write(Uint8Array.of(2))
      yield* connection.close

      assert.deepStrictEqual(yield* connection.read, Uint8Array.of(1))
      assert.deepStrictEqual(yield* connection.read, Uint8Array.of(2))
      assert.isTrue(Cause.isDone(yield* Effect.flip(connection.read)))
    })
  )

  it.effect("stops reading from a peer that does not read", () =>
    Effect.gen(function* () {
      const { client } = yield* scene
      const connection = yield* client(2)
      let written = 0
      const flood = yield* Effect.forkChild(
        Effect.forever(Effect.tap(connection.write(new Uint8Array(8)), () => Effect.sync(() => written++)))
      )
      yield* TrustStation.pass(100)
      const stalledAt = written
      yield* TrustStation.pass(100)

      // Both directions of the stream hold 64 segments, and one is in the server's hands.
      assert.strictEqual(written, stalledAt)
      assert.strictEqual(stalledAt, 129)
      yield* Fiber.interrupt(flood)
    })
  )

  it.effect("answers a trace segment with its own time (node §3)", () =>
    Effect.gen(function* () {
      const { client } = yield* scene
      yield* TestClock.adjust("5 seconds")
      const connection = yield* client(2)
      const sent = Bytes.concat(Bytes.fromUtf8("TRCE"), new Uint8Array(8).fill(7))
      const answer = yield* exchange(connection, Bytes.concat(sent, new Uint8Array(20)))

      assert.deepStrictEqual(answer.subarray(0, 12), sent)
      assert.strictEqual(Bytes.readU64(answer, 12), 5_000_000_000)
      assert.strictEqual(answer.length, 20)
      assert.deepStrictEqual(yield* exchange(connection, Bytes.fromUtf8("TRCE")), Bytes.fromUtf8("TRCE"))
    })
  )

  it.effect("serves 32 streams of one peer and 256 in all; the next is reset, and a free place is taken again", () =>
    Effect.gen(function* () {
      const { client } = yield* scene
      const streams = yield* Effect.forEach(Array.from({ length: 33 }), () => client(2))
      yield* TestClock.adjust(1)
      assert.isTrue(yield* isRefused(streams[32]!))
      yield* streams[0]!.close
      yield* TrustStation.pass(1)
      assert.deepStrictEqual(yield* exchange(yield* client(2), Uint8Array.of(1)), Uint8Array.of(1))

      for (let i = 0; i < 256 - 32; i++) yield* client(3 + Math.floor(i / 32))
      yield* TestClock.adjust(1)
      assert.isTrue(yield* isRefused(yield* client(99)))
    })
  )

  it.effect("resets its streams and frees its port when it ends", () =>
    Effect.gen(function* () {
      const { client, stop } = yield* scene
      const connection = yield* client(2)
      yield* TestClock.adjust(1)
      yield* stop

      assert.isTrue(yield* isRefused(connection))
      assert.strictEqual((yield* Effect.flip(client(2)))._tag, "DialError")
    })
  )
})

const isRefused = (connection: Connection) => Effect.map(Effect.exit(connection.read), Exit.isFailure)
