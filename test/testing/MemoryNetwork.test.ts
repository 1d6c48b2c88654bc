import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { TestClock } from "effect/testing"
import { type Datagram, UdpEndpoint, type UdpSocket } from "../../src/core/net/UdpEndpoint.ts"
import * as MemoryNetwork from "../../src/testing/MemoryNetwork.ts"

const A = "10.0.0.1"
const B = "10.0.0.2"
const C = "10.0.0.3"

const bind = (network: MemoryNetwork.MemoryNetwork, ip: string, port = 4000, host = ip) =>
  UdpEndpoint.use((udp) => udp.bind({ host, port })).pipe(Effect.provide(network.host(ip)))

/** Everything a socket receives, batch by batch. */
const record = (socket: UdpSocket) => {
  const batches: Array<ReadonlyArray<Datagram>> = []
  socket.onBatch((batch) => void batches.push(batch))
  return batches
}

const values = (batches: ReadonlyArray<ReadonlyArray<Datagram>>) =>
  batches.map((batch) => batch.map(({ bytes }) => bytes[0]))

const sendAll = (from: UdpSocket, to: UdpSocket, count: number) => {
  for (let value = 0; value < count; value++) from.send(Uint8Array.of(value), to.local)
}

/** The values that B receives of a thousand from A, one per millisecond. */
const stream = (link: MemoryNetwork.Options["link"], seed: number) =>
  Effect.gen(function* () {
    const network = yield* MemoryNetwork.make({ seed, ...(link === undefined ? {} : { link }) })
    const a = yield* bind(network, A)
    const b = yield* bind(network, B)
    const batches = record(b)
    for (let value = 0; value < 1000; value++) {
      a.send(Uint8Array.of(value >> 8, value), b.local)
      yield* TestClock.adjust(1)
    }
    yield* TestClock.adjust(1000)
    return batches.flat().map(({ bytes }) => bytes[0]! * 256 + bytes[1]!)
  }).pipe(Effect.scoped)

describe("MemoryNetwork", () => {
  it.effect("carries datagrams in one batch per turn, with their sender's address", () =>
    Effect.gen(function* () {
      const network = yield* MemoryNetwork.make({ seed: 1 })
      const a = yield* bind(network, A)
      const b = yield* bind(network, B)
      const batches = record(b)
      sendAll(a, b, 3)
      assert.deepStrictEqual(batches, [])
      yield* TestClock.adjust(0)

      assert.deepStrictEqual(values(batches), [[0, 1, 2]])
      assert.deepStrictEqual(batches[0]?.[0]?.from, { host: A, port: 4000 })
      assert.deepStrictEqual(
        [a.counters.sentDatagrams, a.counters.sentBytes, b.counters.receivedDatagrams, b.counters.receivedBytes],
        [3, 3, 3, 3]
      )
    })
  )

  it.effect("answers within the same instant go on without time passing", () =>
    Effect.gen(function* () {
      const network = yield* MemoryNetwork.make({ seed: 1 })
      const a = yield* bind(network, A)
      const b = yield* bind(network, B)
      let rounds = 0
      b.onBatch((batch) => batch.forEach(({ bytes, from }) => void b.send(bytes, from)))
      a.onBatch(() => {
        if (++rounds < 50) a.send(Uint8Array.of(rounds), b.local)
      })
      a.send(Uint8Array.of(0), b.local)
      yield* Effect.forEach(Array.from({ length: 300 }), () => Effect.yieldNow, { discard: true })

      assert.strictEqual(rounds, 50)
    })
  )

  it.effect("delays each direction by its own link", () =>
    Effect.gen(function* () {
      const network = yield* MemoryNetwork.make({ seed: 1, link: { delayMs: 30 } })
      network.setLink(B, A, { delayMs: 5 })
      const a = yield* bind(network, A)
      const b = yield* bind(network, B)
      const [atA, atB] = [record(a), record(b)]
      sendAll(a, b, 1)
      sendAll(b, a, 1)
      yield* TestClock.adjust(4)
      assert.deepStrictEqual([atA.length, atB.length], [0, 0])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual([atA.length, atB.length], [1, 0])
      yield* TestClock.adjust(24)
      assert.deepStrictEqual([atA.length, atB.length], [1, 0])
      yield* TestClock.adjust(1)

      assert.deepStrictEqual([atA.length, atB.length], [1, 1])
    })
  )

  it.effect("a quiet link keeps the order and loses nothing", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(
        yield* stream({ delayMs: 20 }, 7),
        Array.from({ length: 1000 }, (_, value) => value)
      )
    })
  )

  it.effect("loses, duplicates and reorders at the rates asked for, the same way for the same seed", () =>
    Effect.gen(function* () {
      const link = { delayMs: 20, lossRate: 0.1, duplicationRate: 0.05, reorderRate: 0.1 }
      const received = yield* stream(link, 7)
      const distinct = new Set(received).size
      const overtaken = received.filter((value, index) => index > 0 && value < received[index - 1]!).length

      assert.isTrue(distinct > 850 && distinct < 950, `${distinct} distinct`)
      assert.isTrue(received.length - distinct > 20 && received.length - distinct < 80, `${received.length} in all`)
      assert.isAbove(overtaken, 30)
      assert.deepStrictEqual(yield* stream(link, 7), received)
      assert.notDeepEqual(yield* stream(link, 8), received)
    })
  )

  it.effect("a partition stops both directions and what is under way, until it is healed", () =>
    Effect.gen(function* () {
      const network = yield* MemoryNetwork.make({ seed: 1, link: { delayMs: 10 } })
      const [a, b, c] = [yield* bind(network, A), yield* bind(network, B), yield* bind(network, C)]
      const [atA, atB] = [record(a), record(b)]
      sendAll(a, b, 1)
      yield* TestClock.adjust(5)
      network.partition([A], [B])
      sendAll(b, a, 1)
      sendAll(c, a, 2)
      yield* TestClock.adjust(100)
      assert.deepStrictEqual([values(atA), values(atB)], [[[0, 1]], []])
      network.heal()
      sendAll(a, b, 3)
      yield* TestClock.adjust(100)

      assert.deepStrictEqual(values(atB), [[0, 1, 2]])
    })
  )

  it.effect("a tap sees every datagram when it is sent, lost ones too", () =>
    Effect.gen(function* () {
      const network = yield* MemoryNetwork.make({ seed: 1 })
      network.setLink(A, B, { lossRate: 1 })
      const seen: Array<string> = []
      network.tap(({ bytes, copies, from, to }) => seen.push(`${from.host} ${to.host} ${bytes[0]} ${copies}`))
      const a = yield* bind(network, A)
      const b = yield* bind(network, B)
      sendAll(a, b, 2)
      sendAll(b, a, 1)

      assert.deepStrictEqual(seen, [`${A} ${B} 0 0`, `${A} ${B} 1 0`, `${B} ${A} 0 1`])
    })
  )

  it.effect("what a sender or receiver does to its bytes concerns nobody else", () =>
    Effect.gen(function* () {
      const network = yield* MemoryNetwork.make({ seed: 1, link: { duplicationRate: 1 } })
      const a = yield* bind(network, A)
      const b = yield* bind(network, B)
      const received: Array<number | undefined> = []
      b.onBatch((batch) => {
        for (const { bytes } of batch) {
          received.push(bytes[0])
          bytes.fill(0)
        }
      })
      const bytes = Uint8Array.of(7)
      a.send(bytes, b.local)
      bytes.fill(0)
      yield* TestClock.adjust(0)

      assert.deepStrictEqual(received, [7, 7])
    })
  )

  it.effect("binds own, wildcard and loopback addresses, each port once, and frees it with the scope", () =>
    Effect.gen(function* () {
      const network = yield* MemoryNetwork.make({ seed: 1 })
      const scope = yield* Scope.make()
      const loopback = yield* Scope.provide(bind(network, A, 0, "127.0.0.1"), scope)
      const wildcard = yield* bind(network, A, 0, "0.0.0.0")
      const remote = yield* bind(network, B)
      const [atLoopback, atWildcard] = [record(loopback), record(wildcard)]
      loopback.send(Uint8Array.of(1), { host: "127.0.0.1", port: wildcard.local.port })
      remote.send(Uint8Array.of(2), { host: A, port: wildcard.local.port })
      remote.send(Uint8Array.of(3), { host: A, port: loopback.local.port })
      loopback.send(Uint8Array.of(4), remote.local)
      yield* TestClock.adjust(0)

      assert.deepStrictEqual([values(atWildcard), values(atLoopback)], [[[1, 2]], []])
      assert.strictEqual(loopback.counters.sendErrors, 1)
      const refused = yield* Effect.flip(bind(network, A, loopback.local.port))
      const foreign = yield* Effect.flip(bind(network, A, 0, B))
      assert.deepStrictEqual([refused.reason, foreign.reason], ["PortInUse", "AddressNotAvailable"])
      yield* Scope.close(scope, Exit.void)
      loopback.send(Uint8Array.of(5), wildcard.local)
      yield* bind(network, A, loopback.local.port)
      assert.strictEqual(loopback.counters.sendErrors, 2)
    })
  )
})
