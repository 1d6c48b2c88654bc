/** Datagrams follow the path (architecture, decision 7): whole nodes, virtual time, links with an MTU that nobody tells them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as StreamConfig from "../../../src/protocol/stream/StreamConfig.ts"
import * as TunnelConfig from "../../../src/protocol/tunnel/TunnelConfig.ts"
import { Port } from "../../../src/protocol/wire/Address.ts"
import type * as MemoryNetwork from "../../../src/testing/MemoryNetwork.ts"
import * as NodeNet from "../../support/NodeNet.ts"
import { isSame, pattern } from "../../support/StreamPair.ts"

const PORT = Port(1000)
const [A, B, BEACON] = ["192.0.2.1", "192.0.2.2", "192.0.2.254"]
/** IPv4 and UDP. */
const HEADERS = 28

/** Two nodes that trust each other, and every datagram that leaves `a`. */
const pair = Effect.fnUntraced(function* (
  options: Parameters<typeof NodeNet.make>[0] & { readonly capabilities?: number } = {}
) {
  const net = yield* NodeNet.make(options)
  const { capabilities = TunnelConfig.defaultConfig.capabilities } = options
  const a = yield* net.node(A)
  const b = yield* net.node(B, { tunnel: { ...TunnelConfig.defaultConfig, capabilities } })
  yield* NodeNet.pinEachOther(a, b)
  const sent: Array<MemoryNetwork.Passage> = []
  net.network.tap((passage) => {
    if (passage.from.host === A) sent.push(passage)
  })
  return { net, a, b, sent }
})

type Pair = Effect.Success<ReturnType<typeof pair>>

/** Moves the bytes from `a` to `b` over a new stream and returns what arrived; `half` happens after half of it. */
const transfer = Effect.fnUntraced(function* ({ a, b }: Pair, bytes: Uint8Array, half: () => void = () => {}) {
  const listener = yield* b.node.listen(PORT)
  const dialled = yield* a.node.dial(b.address, PORT)
  // The search takes a round trip for each size.
  yield* Effect.sleep("1 second")
  yield* Effect.forkScoped(Effect.andThen(dialled.write(bytes), dialled.close))
  const accepted = yield* listener.accept
  const received = new Uint8Array(bytes.length)
  let at = 0
  while (at < received.length) {
    const chunk = yield* accepted.read
    if (at < received.length / 2 && at + chunk.length >= received.length / 2) half()
    received.set(chunk, at)
    at += chunk.length
  }
  return received
}, Effect.scoped)

const largest = (sent: ReadonlyArray<MemoryNetwork.Passage>): number =>
  Math.max(...sent.filter(({ copies }) => copies > 0).map(({ bytes }) => bytes.length))

/** Sizes lost on the way, each once for every time. */
const lost = (sent: ReadonlyArray<MemoryNetwork.Passage>): ReadonlyArray<number> =>
  sent.filter(({ copies }) => copies === 0).map(({ bytes }) => bytes.length)

const DATA = pattern(600_000)

describe("datagram size", () => {
  for (const [mtu, expected] of [
    [1280, 1252],
    [1400, 1372],
    [1500, 1472],
    [9000, 8972]
  ] as const) {
    it.effect(`grows to an MTU of ${mtu} on the way that nobody told, and loses one probe at most`, () =>
      NodeNet.run(
        Effect.gen(function* () {
          const nodes = yield* pair({ link: { delayMs: 10, mtuBytes: mtu }, mtuBytes: 9000 })

          assert.isTrue(isSame(yield* transfer(nodes, DATA), DATA))
          assert.strictEqual(largest(nodes.sent), expected)
          assert.isAtMost(lost(nodes.sent).length, 1)
        })
      )
    )
  }

  it.effect("never exceeds the MTU of the interface, whatever the way would carry", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const nodes = yield* pair({ link: { delayMs: 10 }, mtuBytes: 1400 })

        yield* transfer(nodes, DATA)
        assert.strictEqual(largest(nodes.sent) + HEADERS, 1400)
        assert.deepStrictEqual(lost(nodes.sent), [])
      })
    )
  )

  it.effect("each size is probed once; ten minutes later the search goes on", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const nodes = yield* pair({ link: { delayMs: 10, mtuBytes: 1400 } })
        const listener = yield* nodes.b.node.listen(PORT)
        const dialled = yield* nodes.a.node.dial(nodes.b.address, PORT)
        yield* listener.accept
        const exchange = Effect.andThen(dialled.write(Uint8Array.of(1)), Effect.sleep("10 seconds"))
        yield* Effect.repeat(exchange, { times: 55 })
        assert.deepStrictEqual(lost(nodes.sent), [1392])

        nodes.net.network.setLink(A, B, { delayMs: 10, mtuBytes: 1500 })
        yield* Effect.repeat(exchange, { times: 10 })
        assert.deepStrictEqual(lost(nodes.sent), [1392])
        assert.strictEqual(largest(nodes.sent), 1472)
      }),
      900_000
    )
  )

  it.effect("falls back at once when the MTU shrinks under a stream, which loses nothing", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const nodes = yield* pair({ link: { delayMs: 10 } })
        const data = pattern(3_000_000)
        let shrunkAt = 0
        const received = yield* transfer(nodes, data, () => {
          shrunkAt = nodes.sent.length
          nodes.net.network.setLink(A, B, { delayMs: 10, mtuBytes: 1300 })
        })

        assert.isTrue(isSame(received, data))
        assert.strictEqual(largest(nodes.sent.slice(0, shrunkAt)), 1472)
        const after = nodes.sent.slice(shrunkAt)
        const lastLost = after.findLastIndex(({ copies }) => copies === 0)
        assert.isAtMost(largest(after) + HEADERS, 1300)
        // All the rest was in flight, with the end of the stream behind it: it is lost once, and comes through at once then.
        assert.isAtLeast(after.length - lastLost, (2 * after.length) / 5)
      })
    )
  )

  it.effect("stays at the base over the relay, sealed and wrapped", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const nodes = yield* pair({ beacon: true, link: { delayMs: 10 } })
        nodes.net.network.setLink(A, B, { lossRate: 1 })
        nodes.net.network.setLink(B, A, { lossRate: 1 })

        assert.isTrue(isSame(yield* transfer(nodes, DATA), DATA))
        const relayed = nodes.sent.filter(({ to }) => to.host === BEACON)
        assert.strictEqual(largest(relayed), 1200)
      })
    )
  )

  it.effect("shrinks to the base when the stream moves from a direct path to the relay", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const nodes = yield* pair({ beacon: true, link: { delayMs: 10 } })
        const data = pattern(2_000_000)
        let cutAt = 0
        const received = yield* transfer(nodes, data, () => {
          cutAt = nodes.sent.length
          nodes.net.network.setLink(A, B, { lossRate: 1 })
          nodes.net.network.setLink(B, A, { lossRate: 1 })
        })

        assert.isTrue(isSame(received, data))
        assert.strictEqual(largest(nodes.sent.slice(0, cutAt)), 1472)
        const relayed = nodes.sent.slice(cutAt).filter(({ to, copies }) => to.host === BEACON && copies > 0)
        const large = relayed.filter(({ bytes }) => bytes.length > 1200)
        assert.isAbove(relayed.length, 500)
        assert.isBelow(large.length, relayed.length / 10, "what was under way when the path changed")
      })
    )
  )

  it.effect("a peer that has announced nothing gets no probe and no segment above 1152 bytes", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const nodes = yield* pair({ link: { delayMs: 10 }, capabilities: 0 })

        assert.isTrue(isSame(yield* transfer(nodes, DATA), DATA))
        assert.isAtMost(StreamConfig.defaults.segmentBytesMax, 1152)
        assert.strictEqual(largest(nodes.sent), StreamConfig.defaults.segmentBytesMax + 70)
      })
    )
  )

  it.effect("without noDelay short writes wait for the acknowledgement of the first and share a datagram (Nagle)", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, b, sent } = yield* pair({ link: { delayMs: 50 } })
        const listener = yield* b.node.listen(PORT)
        const dialled = yield* a.node.dial(b.address, PORT)
        const accepted = yield* listener.accept
        yield* Effect.forkScoped(Effect.ignore(Effect.forever(accepted.read)))
        const datagrams = Effect.fnUntraced(function* (noDelay: boolean) {
          yield* dialled.setNoDelay(noDelay)
          yield* Effect.sleep("2 seconds")
          const from = sent.length
          // Apart by turns of the event loop, and by less than the delay of an acknowledgement.
          for (let write = 0; write < 6; write++) {
            yield* dialled.write(new Uint8Array(10))
            yield* Effect.sleep("5 millis")
          }
          yield* Effect.sleep("1 second")
          const isData = ({ bytes }: MemoryNetwork.Passage) => bytes.length >= 70 + 10 && (bytes.length - 70) % 10 === 0
          return sent
            .slice(from)
            .filter(isData)
            .map(({ bytes }) => bytes.length - 70)
        })

        assert.deepStrictEqual(yield* datagrams(true), [10, 10, 10, 10, 10, 10])
        assert.deepStrictEqual(yield* datagrams(false), [10, 50])
      })
    )
  )

  it.effect("small writes of one turn share a datagram, large ones fill them", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const nodes = yield* pair({ link: { delayMs: 10 }, mtuBytes: 1500 })
        const { a, b, sent } = nodes
        const listener = yield* b.node.listen(PORT)
        const dialled = yield* a.node.dial(b.address, PORT)
        const accepted = yield* listener.accept
        yield* Effect.sleep("1 second")

        const before = sent.length
        for (let write = 0; write < 100; write++) yield* dialled.write(Uint8Array.of(write, write))
        yield* Effect.sleep("1 second")
        assert.deepStrictEqual(
          sent.slice(before).map(({ bytes }) => bytes.length),
          [270]
        )
        const small = yield* accepted.read
        assert.strictEqual(small.length, 200)

        const from = sent.length
        yield* dialled.write(pattern(1402 * 20))
        yield* Effect.sleep("1 second")
        assert.deepStrictEqual(new Set(sent.slice(from).map(({ bytes }) => bytes.length)), new Set([1472]))
        assert.strictEqual(sent.length - from, 20)
      })
    )
  )
})
