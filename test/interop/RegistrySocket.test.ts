import { connect } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, type Scope } from "effect"
import * as RegistryServerActor from "../../src/actors/registry/RegistryServerActor.ts"
import { RegistryStore } from "../../src/actors/registry/RegistryStore.ts"
import * as RowTable from "../../src/actors/registry/RowTable.ts"
import * as NativeCrypto from "../../src/core/crypto/NativeCrypto.ts"
import * as Bytes from "../../src/core/data/Bytes.ts"
import * as NodeTlsSniffServer from "../../src/core/net/NodeTlsSniffServer.ts"
import { noRows } from "../../src/protocol/registry/Change.ts"
import * as RegistryPolicy from "../../src/protocol/registry/RegistryPolicy.ts"
import * as LengthPrefix from "../../src/protocol/wire/LengthPrefix.ts"
import * as Mutation from "../fuzz/Mutation.ts"
import * as Random from "../fuzz/Random.ts"
import * as RawRegistry from "../support/RawRegistry.ts"
import { unsignedRegister } from "../support/RegistryRequests.ts"

/** The real socket, and a store in memory; few connections, so that the bounds are met. */
const serve = Effect.gen(function* () {
  const rows = RowTable.make(noRows)
  const store = Layer.succeed(RegistryStore, {
    load: Effect.sync(() => RowTable.rows(rows)),
    commit: (changes) => Effect.sync(() => RowTable.apply(rows, changes))
  })
  return yield* RegistryServerActor.spawn({
    host: "127.0.0.1",
    port: 0,
    tls: { certificatePem: "", privateKeyPem: "" },
    policy: { ...RegistryPolicy.defaults, allowUnsignedRegister: true },
    limits: { ...RegistryServerActor.defaultLimits, connectionsMax: 12, connectionsPerSourceMax: 8 }
  }).pipe(Effect.provide(Layer.mergeAll(store, NodeTlsSniffServer.layer, NativeCrypto.layer)))
})

const requests = [
  { type: "lookup", node_id: 1 },
  { type: "resolve_hostname", hostname: "somebody" },
  { type: "heartbeat", node_id: 1, signature: "" },
  unsignedRegister(1)
].map((request) => RawRegistry.frame(JSON.stringify(request)))

/** An honest client is served, whatever others do. */
const isServing = (port: number): Effect.Effect<boolean> =>
  Effect.scoped(
    Effect.gen(function* () {
      const client = yield* RawRegistry.open(port, "127.0.0.2")
      return (yield* client.ask(JSON.stringify({ type: "lookup", node_id: 424242 }))).includes("not found")
    })
  )

/** Sends pieces one after the other and waits for the server to close, or for `replies` answers. */
const until = (port: number, pieces: ReadonlyArray<Uint8Array>, replies: number) =>
  Effect.scoped(
    Effect.gen(function* () {
      const client = yield* RawRegistry.open(port)
      for (const piece of pieces) client.send(piece)
      const answers: Array<string> = []
      while (answers.length < replies && answers.at(-1) !== "closed") answers.push(yield* client.next)
      return answers
    })
  )

/** A connection that is left open without a whole frame. */
const idle = (port: number, bytes: Uint8Array): Effect.Effect<RawRegistry.RawConnection, never, Scope.Scope> =>
  Effect.tap(RawRegistry.open(port), (client) => Effect.sync(() => client.send(bytes)))

describe("the registry's own socket", () => {
  it.live("closes at a length above its limit, before any of that much is held", () =>
    Effect.gen(function* () {
      const { local, metrics } = yield* serve
      for (const length of [0xffff_ffff, 0x8000_0000, 0x0100_0001]) {
        const header = new Uint8Array(4)
        new DataView(header.buffer).setUint32(0, length)
        const heldBefore = process.memoryUsage().arrayBuffers
        assert.deepStrictEqual((yield* until(local.port, [header, new Uint8Array(1000)], 2)).at(-1), "closed")
        assert.isBelow(process.memoryUsage().arrayBuffers - heldBefore, 16 * 1024 * 1024)
      }
      assert.deepStrictEqual(metrics.malformed, { FrameTooLong: 3, NotAnObject: 0 })
      assert.isTrue(yield* isServing(local.port))
    }).pipe(Effect.scoped)
  )

  it.live("gives the place of a client away at once for a frame above the limit, though it never closes its end", () =>
    Effect.gen(function* () {
      const { local } = yield* serve
      const tooLong = Uint8Array.of(0xff, 0xff, 0xff, 0xff)
      // As many as one source may have.
      for (let count = 0; count < 8; count++) {
        const stubborn = yield* RawRegistry.open(local.port, "127.0.0.1", true)
        stubborn.send(count % 2 === 0 ? tooLong : RawRegistry.frame("no JSON"))
        assert.strictEqual(yield* stubborn.next, "ended")
      }
      const next = yield* RawRegistry.open(local.port)

      assert.include(yield* next.ask(JSON.stringify({ type: "lookup", node_id: 1 })), "not found")
    }).pipe(Effect.scoped)
  )

  it.live("ends and counts a connection that sends a frame of garbage, and goes on", () =>
    Effect.gen(function* () {
      const { local, metrics } = yield* serve
      const next = Random.make(1)
      for (let round = 0; round < 300; round++) {
        const garbage = LengthPrefix.encode(Random.bytes(1 + next(200), next))
        assert.deepStrictEqual(yield* until(local.port, [garbage], 1), ["closed"])
      }
      assert.deepInclude(metrics, { totalRequests: 0, malformed: { FrameTooLong: 0, NotAnObject: 300 } })
      assert.isTrue(yield* isServing(local.port))
      assert.strictEqual(metrics.totalRequests, 1)
    }).pipe(Effect.scoped)
  )

  it.live("outlives changed streams of valid requests, cut anywhere, from many connections", () =>
    Effect.gen(function* () {
      const { local, metrics } = yield* serve
      const next = Random.make(2)
      yield* Effect.forEach(
        Array.from({ length: 400 }, (_, round) => round),
        () =>
          Effect.suspend(() => {
            const stream = Mutation.make([...requests, Bytes.concat(...requests)], next, "binary")
            const cut = next(stream.length + 1)
            const pieces = [stream.subarray(0, cut), stream.subarray(cut), Random.bytes(next(3), next)]
            return Effect.scoped(
              Effect.gen(function* () {
                const client = yield* RawRegistry.open(local.port)
                for (const piece of pieces) client.send(piece)
                client.end()
                // Whatever it was, the server answers what is whole and lets the connection go.
                while ((yield* client.next) !== "closed");
              })
            )
          }),
        { concurrency: 6, discard: true }
      )
      assert.isTrue(yield* isServing(local.port))
      assert.isAtLeast(metrics.totalRequests, 1)
    }).pipe(Effect.scoped)
  )

  it.live("lets slow clients have no more than their source's connections, and serves others meanwhile", () =>
    Effect.gen(function* () {
      const { local } = yield* serve
      const half = (requests[0] ?? new Uint8Array(8)).subarray(0, 7)
      for (let count = 0; count < 8; count++) yield* idle(local.port, half.subarray(0, 1 + (count % 7)))
      const refused = yield* Effect.forEach([1, 2, 3], () => until(local.port, [half], 1))

      assert.deepStrictEqual(refused.flat(), ["closed", "closed", "closed"])
      assert.isTrue(yield* isServing(local.port))
    }).pipe(Effect.scoped)
  )

  it.live("takes a TLS handshake of garbage for the end of that connection only", () =>
    Effect.gen(function* () {
      const { local } = yield* serve
      const next = Random.make(3)
      for (let round = 0; round < 20; round++) {
        const hello = Uint8Array.of(0x16, 3, 1, 0, 80, ...Random.bytes(80, next))
        yield* Effect.callback<void>((resume) => {
          const socket = connect({ host: "127.0.0.1", port: local.port }, () => socket.write(hello))
          socket.on("error", () => {})
          socket.on("data", () => {})
          socket.once("close", () => resume(Effect.void))
          return Effect.sync(() => socket.destroy())
        })
      }
      assert.isTrue(yield* isServing(local.port))
    }).pipe(Effect.scoped)
  )
})
