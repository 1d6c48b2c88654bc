import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Fiber, Queue } from "effect"
import { TestClock } from "effect/testing"
import type { RegistryClient } from "../../../src/actors/registry/RegistryClient.ts"
import * as RegistryClientActor from "../../../src/actors/registry/RegistryClientActor.ts"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import * as Json from "../../../src/core/data/Json.ts"
import { type ClientStream, StreamLost, TlsClient } from "../../../src/core/net/TlsClient.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"
import * as LengthPrefix from "../../../src/protocol/wire/LengthPrefix.ts"

/** One connection that the client has opened. */
interface Far {
  /** The node ids of the lookups that arrived. */
  readonly asked: Array<number>
  /** Answers for these nodes, all in one chunk. */
  readonly answer: (...nodes: ReadonlyArray<number>) => void
  readonly send: (bytes: Uint8Array) => void
  readonly lose: () => void
  isClosed: boolean
}

/** A registry whose every answer the test gives, and the client of it. */
const rig = Effect.gen(function* () {
  const opened: Array<Far> = []
  const gate = { toOpen: undefined as Deferred.Deferred<void> | undefined }
  const connect = Effect.acquireRelease(
    Effect.gen(function* () {
      const chunks = yield* Queue.unbounded<Uint8Array, StreamLost | Cause.Done>()
      const splitter = new LengthPrefix.Splitter(1 << 20)
      const far: Far = {
        asked: [],
        answer: (...nodes) => void Queue.offerUnsafe(chunks, Buffer.concat(nodes.map(answerFor))),
        send: (bytes) => void Queue.offerUnsafe(chunks, bytes),
        lose: () => void Queue.failCauseUnsafe(chunks, Cause.fail(new StreamLost({ detail: "cut" }))),
        isClosed: false
      }
      const stream: ClientStream = {
        fingerprint: undefined,
        read: Queue.take(chunks),
        write: (bytes) =>
          Effect.sync(() => {
            for (const frame of splitter.push(bytes).frames) {
              far.asked.push(Json.integer(Json.parseObject(new TextDecoder().decode(frame)) ?? {}, "node_id"))
            }
          }),
        end: Effect.void
      }
      opened.push(far)
      if (gate.toOpen !== undefined) yield* Deferred.await(gate.toOpen)
      return { far, stream }
    }),
    ({ far }) =>
      Effect.sync(() => {
        far.isClosed = true
      }),
    { interruptible: true }
  )
  const client = yield* RegistryClientActor.make({
    host: "registry",
    port: 9000,
    security: { _tag: "Plaintext" },
    key: NativeCrypto.crypto.signingKey(new Uint8Array(32).fill(1))
  }).pipe(
    Effect.provideService(TlsClient, TlsClient.of({ connect: () => Effect.map(connect, ({ stream }) => stream) }))
  )
  return { client, opened, gate }
})

const answerFor = (node: number): Uint8Array =>
  LengthPrefix.encode(
    new TextEncoder().encode(
      JSON.stringify({
        type: "lookup_ok",
        node_id: node,
        address: `0:0000.0000.000${node}`,
        public_key: Buffer.alloc(32, node).toString("base64")
      })
    )
  )

/** Asks for these nodes at once; gives which nodes the answers were about, or why there was none. */
const lookups = Effect.fnUntraced(function* (client: RegistryClient["Service"], ...nodes: ReadonlyArray<number>) {
  const fibers = yield* Effect.forEach(nodes, (node) =>
    Effect.forkChild(
      Effect.match(client.lookup(NodeId(node)), {
        onSuccess: (found): number | string => found.node,
        onFailure: ({ reason }) => reason
      })
    )
  )
  yield* settled
  return Effect.forEach(fibers, Fiber.join)
})

/** Until nothing moves any more. */
const settled = TestClock.adjust(0)

describe("RegistryClientActor", () => {
  it.effect("asks at once, over one connection, and matches the replies by their order (rendezvous §2.1)", () =>
    Effect.gen(function* () {
      const { client, opened } = yield* rig
      const found = yield* lookups(client, 3, 1, 2)
      assert.deepStrictEqual(opened[0]?.asked, [3, 1, 2])
      opened[0]?.answer(3)
      opened[0]?.answer(1, 2)

      assert.deepStrictEqual(yield* found, [3, 1, 2])
      assert.lengthOf(opened, 1)
    })
  )

  it.effect("waits for one connection only, however many want it", () =>
    Effect.gen(function* () {
      const { client, gate, opened } = yield* rig
      gate.toOpen = yield* Deferred.make<void>()
      const found = yield* lookups(client, 1, 2)
      assert.lengthOf(opened, 1)
      yield* Deferred.succeed(gate.toOpen, undefined)
      yield* settled
      opened[0]?.answer(1, 2)

      assert.deepStrictEqual(yield* found, [1, 2])
    })
  )

  it.effect("repeats on a new connection what had no reply when the old one broke, once", () =>
    Effect.gen(function* () {
      const { client, opened } = yield* rig
      const found = yield* lookups(client, 1, 2, 3)
      opened[0]?.answer(1)
      yield* settled
      opened[0]?.lose()
      yield* settled
      assert.deepStrictEqual(opened[1]?.asked, [2, 3])
      assert.isTrue(opened[0]?.isClosed)
      opened[1]?.answer(2)
      yield* settled
      opened[1]?.lose()

      assert.deepStrictEqual(yield* found, [1, 2, "Unavailable"])
    })
  )

  it.effect("does not repeat what would count twice: points whose reply was lost are lost", () =>
    Effect.gen(function* () {
      const { client, opened } = yield* rig
      const registered = yield* Effect.forkChild(client.register({ listenAddress: "192.0.2.1:4000" }))
      yield* settled
      const text = JSON.stringify({ type: "register_ok", node_id: 7, address: "0:0000.0000.0007" })
      opened[0]?.send(LengthPrefix.encode(new TextEncoder().encode(text)))
      yield* Fiber.join(registered)
      const added = yield* Effect.forkChild(Effect.flip(client.addScore(NodeId(3), 1)))
      const found = yield* lookups(client, 4)
      opened[0]?.lose()

      assert.strictEqual((yield* Fiber.join(added)).reason, "Unavailable")
      yield* settled
      assert.deepStrictEqual(opened[1]?.asked, [4])
      opened[1]?.answer(4)
      assert.deepStrictEqual(yield* found, [4])
    })
  )

  it.effect("believes no reply any more after one that nobody asked for, or that is none", () =>
    Effect.gen(function* () {
      for (const bytes of [Buffer.concat([1, 2, 3].map(answerFor)), LengthPrefix.encode(Uint8Array.of(0x5b))]) {
        const { client, opened } = yield* rig
        const found = yield* lookups(client, 1, 2)
        opened[0]?.send(bytes)

        assert.deepStrictEqual(yield* found, ["BadReply", "BadReply"])
        yield* settled
        assert.isTrue(opened[0]?.isClosed)
        const again = yield* lookups(client, 4)
        opened[1]?.answer(4)
        assert.deepStrictEqual(yield* again, [4])
      }
    })
  )

  it.effect("gives up a connection on which a reply does not come in time, but not the calls that came later", () =>
    Effect.gen(function* () {
      const { client, opened } = yield* rig
      const first = yield* lookups(client, 1)
      yield* TestClock.adjust("6 seconds")
      const second = yield* lookups(client, 2)
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(yield* first, ["Timeout"])
      assert.isTrue(opened[0]?.isClosed)
      assert.deepStrictEqual(opened[1]?.asked, [2])
      opened[1]?.answer(2)

      assert.deepStrictEqual(yield* second, [2])
    })
  )

  it.effect("has a bounded number of calls without a reply; the others follow", () =>
    Effect.gen(function* () {
      const { client, opened } = yield* rig
      const nodes = Array.from({ length: 40 }, () => 7)
      const found = yield* lookups(client, ...nodes)
      assert.lengthOf(opened[0]?.asked ?? [], 32)
      opened[0]?.answer(7, 7, 7)
      yield* settled
      assert.lengthOf(opened[0]?.asked ?? [], 35)
      opened[0]?.answer(...nodes.slice(3, 35))
      yield* settled
      opened[0]?.answer(...nodes.slice(35))

      assert.deepStrictEqual(yield* found, nodes)
    })
  )
})
