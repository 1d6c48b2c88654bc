import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import type { Connection } from "../../src/api/Connection.ts"
import * as Pilot from "../../src/api/Pilot.ts"
import { defaults } from "../../src/protocol/stream/StreamConfig.ts"
import type { SimLink } from "../../src/testing/SimLink.ts"
import * as SimNet from "../../src/testing/SimNet.ts"
import { PATIENCE_MS } from "./Patience.ts"
import { readBytes, serveEcho } from "./Programs.ts"

const SINK = 4000
const ECHO = 4001
const SMALL = new Uint8Array(64).fill(1)

/** An access with a queue of one product of bandwidth and delay. */
const access = (megabitsPerSecond: number, rttMs: number): SimLink => {
  const bitsPerSecond = megabitsPerSecond * 1e6
  return { rttMs, bitsPerSecond, queueBytes: Math.round((bitsPerSecond / 8000) * rttMs) }
}

/** Two nodes; everything between them goes through the access of the first. The second counts what each stream brings. */
const pair = Effect.fnUntraced(function* (net: SimNet.SimNet, link: SimLink) {
  const near = yield* net.node("near", { link })
  const far = yield* net.node("far", { link: { rttMs: 0 } })
  yield* net.trust(near, far)
  const received: Array<number> = []
  const count = (connection: Connection) =>
    Effect.suspend(() => {
      const stream = received.push(0) - 1
      return Stream.runForEach(connection.readable, (chunk) =>
        Effect.sync(() => {
          received[stream] = (received[stream] ?? 0) + chunk.length
        })
      )
    }).pipe(Effect.ignore)
  const sink = Stream.runDrain(Stream.mapEffect(Pilot.listen(SINK), count, { concurrency: "unbounded" }))
  yield* Effect.forkScoped(far.run(Effect.all([sink, serveEcho(ECHO)], { concurrency: 2 })), { startImmediately: true })
  return { near, far, received }
})

/** Writes for ever. */
const bulk = Effect.scoped(
  Effect.flatMap(Pilot.dial("far", SINK), (connection) =>
    Effect.forever(connection.write(new Uint8Array(64 * 1024).fill(7)))
  )
)

/** Round trips of pings and of small requests on a stream, by turns, milliseconds. */
const probe = Effect.fnUntraced(function* (net: SimNet.SimNet) {
  const connection = yield* Pilot.dial("far", ECHO)
  const pings: Array<number> = []
  const requests: Array<number> = []
  for (let count = 0; count < PROBES; count++) {
    yield* Effect.sleep("21 millis")
    pings.push((yield* Pilot.ping("far")).rttMs)
    requests.push(yield* requestMs(net, connection))
  }
  return { pingMs: ninth(pings), requestMs: ninth(requests) }
}, Effect.scoped)

const requestMs = Effect.fnUntraced(function* (net: SimNet.SimNet, connection: Connection) {
  const startedAtMs = net.nowMs()
  yield* connection.write(SMALL)
  yield* readBytes(connection, SMALL.length)
  return net.nowMs() - startedAtMs
})

/** The ninth of ten. */
const ninth = (values: ReadonlyArray<number>): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.9)]!

const jain = (shares: ReadonlyArray<number>): number => {
  const sum = shares.reduce((total, share) => total + share, 0)
  return sum ** 2 / (shares.length * shares.reduce((total, share) => total + share ** 2, 0))
}

const PROBES = 40

describe("streams of one tunnel", { timeout: PATIENCE_MS }, () => {
  it.effect("share a link of 20 Mbit/s fairly in the long run, whenever they began", () =>
    SimNet.run({ seed: 29 }, (net) =>
      Effect.gen(function* () {
        const { near, received } = yield* pair(net, access(20, 40))
        for (let stream = 0; stream < 4; stream++) {
          yield* Effect.forkScoped(near.run(bulk), { startImmediately: true })
          yield* net.sleep("500 millis")
        }
        yield* net.sleep("12 seconds")
        const before = [...received]
        yield* net.sleep("10 seconds")
        const shares = received.map((bytes, stream) => bytes - before[stream]!)

        assert.lengthOf(shares, 4)
        assert.isAtLeast(jain(shares), 0.9)
        assert.isAbove(
          shares.reduce((total, share) => total + share),
          0.85 * 25_000_000
        )
      })
    )
  )

  for (const megabits of [20, 100]) {
    it.effect(`filling a link of ${megabits} Mbit/s make pings and small requests at most three times as long`, () =>
      SimNet.run({ seed: 31 }, (net) =>
        Effect.gen(function* () {
          const { near } = yield* pair(net, access(megabits, 20))
          const idle = yield* near.run(probe(net))
          yield* Effect.forkScoped(near.run(bulk), { startImmediately: true })
          const starting = yield* near.run(probe(net))
          const steady = yield* near.run(probe(net))

          for (const busy of [starting, steady]) {
            assert.isAtMost(busy.pingMs, 3 * idle.pingMs)
            assert.isAtMost(busy.requestMs, 3 * idle.requestMs)
          }
        })
      )
    )
  }

  it.effect("whose reader never reads stop only themselves, and hold no more than they may", () =>
    SimNet.run({ seed: 37 }, (net) =>
      Effect.gen(function* () {
        const { far, near, received } = yield* pair(net, access(20, 20))
        const stalled = 4002
        // Takes the stream and leaves it alone.
        const never = Stream.runForEach(Pilot.listen(stalled), () => Effect.void)
        yield* Effect.forkScoped(far.run(never), { startImmediately: true })
        let written = 0
        const fill = Effect.gen(function* () {
          const connection = yield* Pilot.dial("far", stalled)
          while (true) {
            yield* connection.write(new Uint8Array(1024))
            written += 1024
          }
        })
        for (let stream = 0; stream < 2; stream++) {
          yield* Effect.forkScoped(near.run(Effect.scoped(fill)), { startImmediately: true })
        }
        yield* net.sleep("15 seconds")
        const full = written
        const idle = yield* near.run(probe(net))
        yield* Effect.forkScoped(near.run(bulk), { startImmediately: true })
        yield* net.sleep("2 seconds")
        const before = received[0]!
        yield* net.sleep("5 seconds")

        assert.strictEqual(written, full)
        assert.isAtMost(full, 2 * (defaults.sendBufferBytesMax + 2 * defaults.receiveBytesMax))
        assert.isBelow(idle.requestMs, 25)
        assert.isAbove(received[0]! - before, 0.85 * 12_500_000)
      })
    )
  )

  it.effect("do not wait for what another one has lost", () =>
    SimNet.run({ seed: 41 }, (net) =>
      Effect.gen(function* () {
        const { near } = yield* pair(net, { rttMs: 30 })
        const { idleMs, lostMs, otherMs } = yield* near.run(
          Effect.scoped(
            Effect.gen(function* () {
              const losing = yield* Pilot.dial("far", ECHO)
              const other = yield* Pilot.dial("far", ECHO)
              yield* requestMs(net, losing)
              const idleMs = yield* requestMs(net, other)
              yield* net.cut(near)
              const lost = yield* Effect.forkChild(requestMs(net, losing), { startImmediately: true })
              yield* Effect.sleep("1 millis")
              yield* net.heal(near)
              const otherMs = yield* requestMs(net, other)
              const lostMs = yield* Fiber.join(lost)
              return { idleMs, lostMs, otherMs }
            })
          )
        )

        assert.strictEqual(otherMs, idleMs)
        assert.isAbove(lostMs, 1.5 * idleMs)
      })
    )
  )
})
