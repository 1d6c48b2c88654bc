import { networkInterfaces } from "node:os"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import * as NodeUdpEndpoint from "../../src/core/net/NodeUdpEndpoint.ts"
import { type Datagram, UdpEndpoint, type UdpSocket } from "../../src/core/net/UdpEndpoint.ts"

const bind = (host = "127.0.0.1", port = 0) => Effect.flatMap(UdpEndpoint, (udp) => udp.bind({ host, port }))

/** Begins to listen now; the fiber ends with the batches once `count` datagrams have arrived. */
const collect = (socket: UdpSocket, count: number) =>
  Effect.callback<ReadonlyArray<ReadonlyArray<Datagram>>>((resume) => {
    const batches: Array<ReadonlyArray<Datagram>> = []
    socket.onBatch((batch) => {
      batches.push(batch)
      if (batches.flat().length >= count) resume(Effect.succeed(batches))
    })
  }).pipe(Effect.forkChild({ startImmediately: true }))

describe("NodeUdpEndpoint", () => {
  for (const host of ["127.0.0.1", "::1"]) {
    it.live(`carries datagrams of any size over ${host}, in batches`, () =>
      Effect.gen(function* () {
        const a = yield* bind(host)
        const b = yield* bind(host)
        const sizes = [0, 1, 1400, 9000, 0, 1, 1400, 9000]
        const collecting = yield* collect(b, sizes.length)
        for (const size of sizes) a.send(new Uint8Array(size).fill(size), b.local)
        const batches = yield* Fiber.join(collecting)

        const datagrams = batches.flat()
        assert.deepStrictEqual(
          datagrams.map(({ bytes }) => bytes.length),
          sizes
        )
        assert.isTrue(datagrams.every(({ bytes }) => bytes.every((byte) => byte === (bytes.length & 0xff))))
        assert.isTrue(datagrams.every(({ from }) => from.host === host && from.port === a.local.port))
        assert.isBelow(batches.length, datagrams.length)
        assert.strictEqual(a.counters.sentDatagrams, sizes.length)
        assert.strictEqual(b.counters.receivedBytes, a.counters.sentBytes)
      }).pipe(Effect.scoped, Effect.provide(NodeUdpEndpoint.layer))
    )
  }

  it.live("counts what cannot be sent and goes on", () =>
    Effect.gen(function* () {
      const a = yield* bind()
      const b = yield* bind()
      const collecting = yield* collect(b, 1)
      a.send(new Uint8Array(70_000), b.local)
      a.send(new Uint8Array(1), { host: "127.0.0.1", port: 0 })
      a.send(new Uint8Array(1), { host: "127.0.0.1", port: 65_536 })
      a.send(new Uint8Array(1), { host: "::1", port: b.local.port })
      a.send(new Uint8Array(1), { host: "not an address", port: b.local.port })
      a.send(new Uint8Array(1), b.local)
      yield* Fiber.join(collecting)

      assert.strictEqual(a.counters.sendErrors, 5)
      assert.strictEqual(b.counters.receivedDatagrams, 1)
    }).pipe(Effect.scoped, Effect.provide(NodeUdpEndpoint.layer))
  )

  it.live("says why an address cannot be bound", () =>
    Effect.gen(function* () {
      const taken = yield* bind()
      const errors = yield* Effect.forEach(
        [taken.local, { host: "192.0.2.1", port: 0 }, { host: "not an address", port: 0 }],
        ({ host, port }) => Effect.flip(bind(host, port))
      )

      assert.deepStrictEqual(
        errors.map(({ reason, host, port }) => ({ reason, host, port })),
        [
          { reason: "PortInUse", ...taken.local },
          { reason: "AddressNotAvailable", host: "192.0.2.1", port: 0 },
          { reason: "Other", host: "not an address", port: 0 }
        ]
      )
    }).pipe(Effect.scoped, Effect.provide(NodeUdpEndpoint.layer))
  )

  it.live("closing the scope frees the port; sending afterwards is a counted loss", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const first = yield* Scope.provide(bind(), scope)
      yield* Scope.close(scope, Exit.void)
      const second = yield* bind("127.0.0.1", first.local.port)
      first.send(new Uint8Array(1), second.local)

      assert.deepStrictEqual(second.local, first.local)
      assert.strictEqual(first.counters.sendErrors, 1)
    }).pipe(Effect.scoped, Effect.provide(NodeUdpEndpoint.layer))
  )

  it.live("knows the MTU of the interface that leads to an address: that of the loopback is the largest", () =>
    Effect.gen(function* () {
      const socket = yield* bind("0.0.0.0")
      const loopback = yield* socket.mtuTowards({ host: "127.0.0.1", port: 9 })
      const nowhere = yield* socket.mtuTowards({ host: "not an address", port: 9 })
      const world = yield* socket.mtuTowards({ host: "192.0.2.1", port: 9 })

      assert.isAtLeast(loopback, 16_384)
      assert.strictEqual(nowhere, 1500)
      assert.isAtLeast(world, 576)
      for (const addresses of Object.values(networkInterfaces()))
        for (const { address, family } of addresses ?? [])
          if (family === "IPv4")
            assert.strictEqual(yield* socket.mtuTowards({ host: address, port: 9 }), loopback, "on this machine")
    }).pipe(Effect.scoped, Effect.provide(NodeUdpEndpoint.layer))
  )
})
