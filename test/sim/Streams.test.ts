import { assert, describe, it } from "@effect/vitest"
import { type Duration, Effect, Fiber, Ref, Stream } from "effect"
import * as Pilot from "../../src/api/Pilot.ts"
import type * as SimLink from "../../src/testing/SimLink.ts"
import * as SimNet from "../../src/testing/SimNet.ts"
import { PATIENCE_MS } from "./Patience.ts"
import { echo, payload, push, serveEcho } from "./Programs.ts"

const PORT = 4000
const SLOW = 4001
const SINK = 4002
const STREAMS = 40
const SMALL = payload(1000, 5)

/** Reads one chunk, then sleeps, to the end; counts the bytes. */
const readSlowly = (bytes: Ref.Ref<number>) =>
  Stream.runForEach(Pilot.listen(SLOW), ({ readable }) =>
    Effect.ignore(
      Stream.runForEach(readable, (chunk) =>
        Effect.andThen(
          Ref.update(bytes, (count) => count + chunk.length),
          Effect.sleep("20 millis")
        )
      )
    )
  )

/** Paths of 30 ms, what happens to them while 5 MB are on the way, and how many virtual milliseconds that may take at most. */
const TRANSFERS: ReadonlyArray<readonly [string, SimLink.SimLink, number, Duration.Input?]> = [
  ["of random losses", { loss: 0.02 }, 800],
  ["of losses in bursts", { bursts: { beginRate: 0.002, endRate: 0.2, lossRate: 0.8 } }, 900],
  ["that reorders", { reordering: 0.05, jitterMs: 5 }, 1000],
  ["of 20 Mbit/s with a short queue", { bitsPerSecond: 20_000_000, queueBytes: 64_000 }, 3000],
  ["that is cut for three seconds", { bitsPerSecond: 20_000_000, queueBytes: 64_000 }, 6000, "3 seconds"]
]

describe("streams, in the simulator", { timeout: PATIENCE_MS }, () => {
  for (const [index, [name, link, limitMs, outage]] of TRANSFERS.entries()) {
    it.effect(`a transfer over a path ${name} takes at most ${limitMs} ms`, () =>
      SimNet.run({ seed: 54 + index, link: { rttMs: 0 } }, (net) =>
        Effect.gen(function* () {
          const received = yield* Ref.make(0)
          const bytes = payload(5_000_000, 6)
          const read = Stream.runForEach(Pilot.listen(SINK), ({ readable }) =>
            Effect.ignore(Stream.runForEach(readable, (chunk) => Ref.update(received, (count) => count + chunk.length)))
          )
          const a = yield* net.node("a")
          const b = yield* net.node("b", { main: Effect.all([serveEcho(PORT), read], { concurrency: 2 }) })
          yield* net.trust(a, b)
          yield* a.run(echo("b", PORT, SMALL))
          yield* net.sleep("2 seconds")
          yield* net.setLink(b, { rttMs: 30, ...link })
          const startedAtMs = net.nowMs()
          yield* Effect.forkScoped(a.run(push("b", SINK, bytes)))
          if (outage !== undefined) {
            yield* net.sleep("500 millis")
            yield* net.cut(b)
            yield* net.sleep(outage)
            yield* net.heal(b)
          }
          while ((yield* Ref.get(received)) < bytes.length) yield* net.sleep("5 millis")

          assert.isAtMost(net.nowMs() - startedAtMs, limitMs)
        })
      )
    )
  }

  it.effect("an open stream goes on as soon as its peer answers after twenty seconds, not when its timers would", () =>
    SimNet.run({ seed: 59, link: { rttMs: 15 } }, (net) =>
      Effect.gen(function* () {
        const received = yield* Ref.make(0)
        const read = Stream.runForEach(Pilot.listen(SINK), ({ readable }) =>
          Effect.ignore(Stream.runForEach(readable, (chunk) => Ref.update(received, (count) => count + chunk.length)))
        )
        const a = yield* net.node("a")
        const b = yield* net.node("b", { main: read })
        yield* net.trust(a, b)
        const write = Effect.gen(function* () {
          const connection = yield* Pilot.dial("b", SINK)
          yield* connection.write(SMALL)
          yield* Effect.sleep("2 seconds")
          yield* connection.write(SMALL)
          yield* Effect.sleep("1 minute")
        })
        yield* Effect.forkScoped(a.run(Effect.scoped(write)))
        while ((yield* Ref.get(received)) < SMALL.length) yield* net.sleep("5 millis")
        yield* net.cut(b)
        yield* net.sleep("20 seconds")
        yield* net.heal(b)
        const healedAtMs = net.nowMs()
        while ((yield* Ref.get(received)) < 2 * SMALL.length) yield* net.sleep("5 millis")

        // It is asked every second whether the peer is there; what waits follows within two round trips.
        assert.isAtMost(net.nowMs() - healedAtMs, 1_200)
      })
    )
  )

  it.effect("every stream ends cleanly, after its last byte, although one datagram in ten is lost", () =>
    SimNet.run({ seed: 60 }, (net) =>
      Effect.gen(function* () {
        const ended = yield* Ref.make<ReadonlyArray<number>>([])
        const read = Stream.mapEffect(
          Pilot.listen(SINK),
          ({ readable }) =>
            Effect.flatMap(
              Stream.runFold(
                readable,
                () => 0,
                (count, chunk) => count + chunk.length
              ),
              (count) => Ref.update(ended, (all) => [...all, count])
            ),
          { concurrency: "unbounded" }
        )
        const a = yield* net.node("a")
        const b = yield* net.node("b", { main: Stream.runDrain(read) })
        yield* net.trust(a, b)
        yield* net.setLink(b, { rttMs: 40, loss: 0.1 })
        const pushes = Array.from({ length: STREAMS }, (_, index) =>
          a.run(push("b", SINK, payload(1000 * index, index)))
        )
        yield* Effect.all(pushes, { concurrency: "unbounded" })
        yield* net.sleep("20 seconds")

        const expected = Array.from({ length: STREAMS }, (_, index) => 1000 * index)
        assert.deepStrictEqual(
          [...(yield* Ref.get(ended))].toSorted((a, b) => a - b),
          expected
        )
      })
    )
  )

  it.effect("a reader that sleeps stops its own stream for minutes, loses nothing of it, and stops no other", () =>
    SimNet.run({ seed: 51 }, (net) =>
      Effect.gen(function* () {
        const bytes = yield* Ref.make(0)
        const pages = payload(8_000_000, 4)
        const link = { rttMs: 30, loss: 0.01 }
        const a = yield* net.node("a", { link })
        const b = yield* net.node("b", {
          link,
          main: Effect.all([serveEcho(PORT), readSlowly(bytes)], { concurrency: 2 })
        })
        yield* net.trust(a, b)
        const writing = yield* Effect.forkScoped(a.run(push("b", SLOW, pages)))
        yield* net.sleep("10 seconds")
        assert.isBelow(yield* Ref.get(bytes), pages.length)
        const startedAtMs = net.nowMs()
        assert.strictEqual(Buffer.compare(yield* a.run(echo("b", PORT, SMALL)), SMALL), 0)
        assert.isBelow(net.nowMs() - startedAtMs, 2000)
        yield* Fiber.join(writing)
        while ((yield* Ref.get(bytes)) < pages.length) yield* net.sleep("1 second")

        assert.isAbove(net.nowMs(), 60_000)
      })
    )
  )

  it.effect("clocks that run a thousandth fast or slow, for an hour, are nothing to notice", () =>
    SimNet.run({ seed: 52, limit: "2 hours" }, (net) =>
      Effect.gen(function* () {
        const a = yield* net.node("a", { drift: 1000, nat: "portRestrictedCone" })
        const b = yield* net.node("b", { drift: -1000, nat: "portRestrictedCone", main: serveEcho(PORT) })
        yield* net.trust(a, b)
        for (let rounds = 0; rounds < 12; rounds++) {
          assert.strictEqual(Buffer.compare(yield* a.run(echo("b", PORT, SMALL)), SMALL), 0)
          yield* net.sleep("5 minutes")
        }
        const [fast, slow] = [yield* a.run(Pilot.info), yield* b.run(Pilot.info)]

        assert.isAtLeast(fast.uptimeSeconds - slow.uptimeSeconds, 6)
      })
    )
  )

  it.effect("a rendezvous that loses its power knows everybody again, and who trusts whom", () =>
    SimNet.run({ seed: 53 }, (net) =>
      Effect.gen(function* () {
        const a = yield* net.node("a")
        const b = yield* net.node("b", { main: serveEcho(PORT) })
        yield* net.trust(a, b)
        const before = yield* a.run(Pilot.resolve("b"))
        yield* net.crash(b)
        yield* net.crashRendezvous
        yield* net.sleep("2 seconds")
        yield* net.restartRendezvous
        yield* net.sleep("1 second")
        const c = yield* net.node("c")
        yield* net.restart(b)

        assert.deepStrictEqual(yield* a.run(Pilot.resolve("b")), before)
        assert.notStrictEqual((yield* c.run(Pilot.info)).address, before.address)
        assert.strictEqual(Buffer.compare(yield* a.run(echo("b", PORT, SMALL)), SMALL), 0)
      })
    )
  )
})
