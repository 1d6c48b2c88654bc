import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import type { ConnectError } from "../../src/core/net/TlsClient.ts"
import type { ServerEvent } from "../../src/core/net/TlsSniffServer.ts"
import * as SimLink from "../../src/testing/SimLink.ts"
import * as SimWorld from "../../src/testing/SimWorld.ts"
import * as VirtualTls from "../../src/testing/VirtualTls.ts"

const PORT = 9000
const TLS = { certificatePem: "a certificate", privateKeyPem: "" }
const text = (value: string) => new TextEncoder().encode(value)
const string = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

/** A client behind a translator and an echoing server, 50 ms apart there and back. */
const world = <A, E>(body: (rig: Rig) => Effect.Effect<A, E, Scope.Scope>) => {
  const sim = new SimWorld.SimWorld(1)
  const access = SimLink.access({ rttMs: 50 })
  const [near, far] = ["client", "server"].map((name) => sim.network.addHost(name, sim.network.public, access)) as [
    Host,
    Host
  ]
  const events: Array<ServerEvent> = []
  const rig = Effect.gen(function* () {
    const listening = yield* VirtualTls.server(sim.tcp, far, () => true).listen({
      host: undefined,
      port: PORT,
      tls: TLS,
      connectionsMax: 2,
      connectionsPerSourceMax: 2,
      openingTimeoutMs: 1000
    })
    listening.onBatch((batch) => {
      events.push(...batch)
      for (const event of batch) if (event._tag === "Received") event.connection.send(event.bytes)
    })
    const client = VirtualTls.client(sim.tcp, near, () => true)
    const connect = (accept?: (fingerprint: string) => boolean, port = PORT) =>
      client.connect({ host: far.address, port, accept, timeoutMs: 5000 })
    return yield* body({ sim, near, far, events, connect })
  })
  return sim.driver.run(Effect.scoped(rig), sim.services("test"))
}

type Host = ReturnType<SimWorld.SimWorld["network"]["addHost"]>
interface Rig {
  readonly sim: SimWorld.SimWorld
  readonly near: Host
  readonly far: Host
  readonly events: Array<ServerEvent>
  readonly connect: (
    accept?: (fingerprint: string) => boolean,
    port?: number
  ) => ReturnType<ReturnType<typeof VirtualTls.client>["connect"]>
}

const reasonOf = <A, R>(effect: Effect.Effect<A, ConnectError, R>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

describe("VirtualTls", () => {
  it.effect("carries bytes both ways in order, after the round trips of its handshakes", () =>
    world(({ connect, events, sim }) =>
      Effect.gen(function* () {
        const stream = yield* connect(() => true)
        const openedAtMs = sim.time.nowMs
        yield* stream.write(text("one "))
        yield* stream.write(text("two"))

        assert.strictEqual(string(yield* stream.read) + string(yield* stream.read), "one two")
        assert.deepStrictEqual([openedAtMs, sim.time.nowMs], [200, 300])
        assert.strictEqual(stream.fingerprint, sim.tcp.fingerprint(TLS.certificatePem))
        assert.isTrue(events[0]?._tag === "Opened" && events[0].connection.isTls)
      })
    )
  )

  it.effect("says why there is no connection", () =>
    world(({ connect, near }) =>
      Effect.gen(function* () {
        assert.strictEqual(yield* reasonOf(connect(() => false)), "Refused")
        assert.strictEqual(yield* reasonOf(connect(() => true, 1)), "Unreachable")
        yield* connect()
        yield* connect()
        assert.strictEqual(yield* reasonOf(connect()), "Unreachable")
        near.isCut = true
        assert.strictEqual(yield* reasonOf(connect()), "Timeout")
      })
    )
  )

  it.effect("waits while the path is cut, and is reset when the other machine has forgotten it", () =>
    world(({ connect, far, near, sim }) =>
      Effect.gen(function* () {
        const stream = yield* connect()
        near.isCut = true
        yield* stream.write(text("late"))
        yield* Effect.sleep("10 seconds")
        near.isCut = false
        assert.strictEqual(string(yield* stream.read), "late")

        sim.tcp.stop(far, true)
        sim.network.switchOff(far)
        sim.network.switchOn(far)
        yield* stream.write(text("gone"))
        assert.strictEqual((yield* Effect.flip(stream.read))._tag, "StreamLost")
      })
    )
  )

  it.effect("a killed machine's connections are reset, and none is left", () =>
    world(({ connect, events, far, near, sim }) =>
      Effect.gen(function* () {
        const stream = yield* connect()
        sim.tcp.stop(far, false)
        assert.strictEqual((yield* Effect.flip(stream.read))._tag, "StreamLost")

        yield* Effect.sleep("1 second")
        assert.strictEqual(sim.tcp.size, 0)
        assert.deepStrictEqual([near.sockets.size, events.at(-1)?._tag], [0, "Opened"])
      })
    )
  )
})
