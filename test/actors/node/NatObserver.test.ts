import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as NatObserver from "../../../src/actors/node/NatObserver.ts"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import { type UdpEndpoint, type UdpSocket, uncounted } from "../../../src/core/net/UdpEndpoint.ts"
import * as NatReport from "../../../src/nat/NatReport.ts"
import type { Socket } from "../../../src/nat/ProbeSending.ts"
import * as ProbedNat from "../../support/ProbedNat.ts"

type Receive = Parameters<UdpSocket["onBatch"]>[0]

/** An observer on a host with interfaces, behind a translator; `asked` counts the questions for the host's addresses. */
const onHost = Effect.fnUntraced(function* (known: NatObserver.Options["known"]) {
  const world = new ProbedNat.ProbedNat({ nat: {} })
  const receivers: Partial<Record<Socket, Receive>> = {}
  const hosts = ["127.0.0.1", ProbedNat.INSIDE.tunnel.host]
  let asked = 0
  const socketOf = (name: Socket): UdpSocket => ({
    local: { host: "0.0.0.0", port: ProbedNat.INSIDE[name].port },
    counters: uncounted(),
    onBatch: (receive) => {
      receivers[name] = receive
    },
    send: (pieces, to) => {
      const bytes = pieces instanceof Uint8Array ? pieces : Bytes.concat(...pieces)
      for (const { bytes: answer, from, socket } of world.send({ socket: name, bytes, to }, 0))
        receivers[socket]?.([{ bytes: answer, from }])
    },
    mtuTowards: () => Effect.succeed(1500)
  })
  const udp: UdpEndpoint["Service"] = {
    bind: () => Effect.succeed(socketOf("second")),
    addresses: () => {
      asked += 1
      return hosts
    }
  }
  const socket = socketOf("tunnel")
  const observer = yield* NatObserver.make({
    ...{ socket, udp, known, crypto: NativeCrypto.crypto },
    beacons: () => [ProbedNat.BEACON]
  })
  socket.onBatch((batch) => {
    for (const { bytes, from } of batch) observer.received(bytes, from)
  })
  return { observer, asked: () => asked }
})

describe("NatObserver", () => {
  it.effect("knows the pause of its network, and asks the host for nothing when it is asked for it", () =>
    Effect.gen(function* () {
      const network = NatReport.networkOf(ProbedNat.INSIDE.tunnel.host, { host: "198.51.100.7", port: 1 })
      const { asked, observer } = yield* onHost(new Map([[network, { aliveMs: 100_000, goneMs: 120_000 }]]))

      assert.strictEqual(observer.keepaliveMs, NatReport.KEEPALIVE_DEFAULT_MS)
      const looking = yield* Effect.forkChild(observer.measure, { startImmediately: true })
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(looking)

      assert.deepStrictEqual(observer.knowledge.lifetime, { aliveMs: 100_000, goneMs: 120_000 })
      assert.isTrue(observer.knowledge.report?.isTranslated)
      const before = asked()
      for (let count = 0; count < 100; count++) assert.strictEqual(observer.keepaliveMs, 80_000)
      assert.strictEqual(asked(), before)
    })
  )
})
