/** What one mechanism alone repairs in time: each test fails without it (`scripts/soak/mutation-list.ts` names it). */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Option, Ref, Stream } from "effect"
import * as Pilot from "../../src/api/Pilot.ts"
import * as Bytes from "../../src/core/data/Bytes.ts"
import * as SimNet from "../../src/testing/SimNet.ts"
import type { SimNode } from "../../src/testing/SimNode.ts"
import { PATIENCE_MS } from "./Patience.ts"
import { echo, payload, push, serveEcho } from "./Programs.ts"

const PORT = 4000
const SINK = 4001
const SMALL = payload(1000, 5)

/** How long an exchange takes, in virtual milliseconds; all bytes must come back. */
const exchangeMs = (net: SimNet.SimNet, from: SimNode, to: string) =>
  Effect.gen(function* () {
    const startedAtMs = net.nowMs()
    assert.strictEqual(Buffer.compare(yield* from.run(echo(to, PORT, SMALL)), SMALL), 0)
    return net.nowMs() - startedAtMs
  })

/** Two trusting nodes in the open, with a round trip of 40 ms and a direct path. */
const pair = Effect.fnUntraced(function* (net: SimNet.SimNet, main: Effect.Effect<void, unknown, Pilot.Pilot>) {
  const a = yield* net.node("a")
  const b = yield* net.node("b", { main: Effect.all([serveEcho(PORT), main], { concurrency: 2, discard: true }) })
  yield* net.trust(a, b)
  yield* exchangeMs(net, a, "b")
  yield* net.sleep("2 seconds")
  return { a, b }
})

/** The magic of a frame, relayed or not (wire §4). */
const kindOf = (bytes: Uint8Array): number => Bytes.readU32(bytes, bytes[0] === RELAY ? RELAY_HEADER_BYTES : 0)

/** The key exchanges that a host sends, by relay or directly. */
const recordExchanges = Effect.fnUntraced(function* (net: SimNet.SimNet, from: SimNode) {
  const recorded: Array<Parameters<SimNet.SimNet["inject"]>> = []
  yield* net.tap(({ bytes, port, sender, to }) => {
    if (sender === from.machine.host && kindOf(bytes) === PILA)
      recorded.push([{ host: sender.address, port }, to, bytes.slice()])
  })
  return recorded
})

describe("what nothing else repairs in time, in the simulator", { timeout: PATIENCE_MS }, () => {
  it.effect("a stream goes on soon after its reader, though every word of the room was lost (RFC 9293 §3.8.6.1)", () =>
    SimNet.run({ seed: 81 }, (net) =>
      Effect.gen(function* () {
        const bytes = payload(6_000_000, 4)
        const received = yield* Ref.make(0)
        const wake = yield* Deferred.make<void>()
        const read = Stream.runForEach(Pilot.listen(SINK), ({ readable }) =>
          Effect.andThen(
            Deferred.await(wake),
            Effect.ignore(Stream.runForEach(readable, (chunk) => Ref.update(received, (count) => count + chunk.length)))
          )
        )
        const { a, b } = yield* pair(net, read)
        yield* Effect.forkScoped(a.run(push("b", SINK, bytes)))
        yield* net.sleep("4 seconds")
        yield* net.cut(b)
        yield* Deferred.succeed(wake, undefined)
        yield* net.sleep("100 millis")
        yield* net.heal(b)
        const healedAtMs = net.nowMs()
        while ((yield* Ref.get(received)) < bytes.length) yield* net.sleep("5 millis")

        // A probe comes after half a second, then after twice as long each time; a keepalive after half a minute.
        assert.isAtMost(net.nowMs() - healedAtMs, 6000)
      })
    )
  )

  it.effect("an end that was lost is told again (wire §9.4)", () =>
    SimNet.run({ seed: 82 }, (net) =>
      Effect.gen(function* () {
        const ended = yield* Deferred.make<number>()
        const read = Stream.runForEach(Pilot.listen(SINK), ({ readable }) =>
          Effect.flatMap(
            Effect.orDie(
              Stream.runFold(
                readable,
                () => 0,
                (count, chunk) => count + chunk.length
              )
            ),
            (count) => Deferred.succeed(ended, count)
          )
        )
        const { a, b } = yield* pair(net, read)
        const cutAndEnd = Effect.gen(function* () {
          const connection = yield* Pilot.dial("b", SINK)
          yield* connection.write(SMALL)
          yield* Effect.sleep("1 second")
          yield* net.cut(b)
          yield* connection.end
          yield* Effect.sleep("100 millis")
          yield* net.heal(b)
          yield* Effect.sleep("1 minute")
        })
        yield* Effect.forkScoped(a.run(Effect.scoped(cutAndEnd)))
        yield* net.sleep("1100 millis")
        const startedAtMs = net.nowMs()

        const count = yield* Effect.timeoutOption(Deferred.await(ended), "10 seconds")

        assert.deepStrictEqual(count, Option.some(SMALL.length))
        assert.isAtMost(net.nowMs() - startedAtMs, 2000)
      })
    )
  )

  it.effect("keys of an earlier life, replayed, are not used while others work (security rule 5)", () =>
    SimNet.run({ seed: 83 }, (net) =>
      Effect.gen(function* () {
        const a = yield* net.node("a")
        const b = yield* net.node("b", { main: serveEcho(PORT) })
        const recorded = yield* recordExchanges(net, a)
        yield* net.trust(a, b)
        yield* exchangeMs(net, a, "b")
        yield* net.sleep("2 seconds")
        const old = [...recorded]
        assert.isAbove(old.length, 0)
        yield* net.stop(a)
        yield* net.restart(a)
        yield* exchangeMs(net, a, "b")
        const times: Array<number> = []
        for (let round = 0; round < 10; round++) {
          for (const frame of old) yield* net.inject(...frame)
          times.push(yield* exchangeMs(net, a, "b"))
          yield* net.sleep("1 second")
        }

        // Dial and data are two round trips.
        assert.isAtMost(Math.max(...times), 120, times.join(" "))
      })
    )
  )

  it.effect(
    "a dial without a tunnel takes three round trips to a peer met before; the registry answers meanwhile",
    () =>
      SimNet.run({ seed: 84, link: { rttMs: 100 }, rendezvousLink: { rttMs: 0 } }, (net) =>
        Effect.gen(function* () {
          const { a } = yield* pair(net, Effect.void)
          yield* net.stop(a)
          yield* net.restart(a)
          yield* net.sleep("2 seconds")

          // Keys, handshake and data at 200 each; the registry takes 100.
          assert.isAtMost(yield* exchangeMs(net, a, "b"), 620)
        })
      )
  )

  it.effect("a challenge that was lost is repeated while somebody waits, not with the key exchange (wire §15.1)", () =>
    SimNet.run({ seed: 86 }, (net) =>
      Effect.gen(function* () {
        const a = yield* net.node("a", { nat: "symmetric" })
        const b = yield* net.node("b", { nat: "symmetric", main: serveEcho(PORT) })
        yield* net.trust(a, b)
        yield* exchangeMs(net, a, "b")
        yield* net.stop(a)
        yield* net.restart(a)
        yield* net.sleep("2 seconds")
        const untilMs = net.nowMs() + 240
        // Whoever seals a frame has no cable for that moment; what it sent just before gets through.
        yield* net.tap(({ bytes, sender }) => {
          const node = [a, b].find(({ machine }) => machine.host === sender)
          if (node === undefined || net.nowMs() > untilMs || kindOf(bytes) !== PILS) return
          Effect.runSync(Effect.andThen(net.cut(node), net.at(net.nowMs() + 1, net.heal(node))))
        })

        assert.isAtMost(yield* exchangeMs(net, a, "b"), 2000)
      })
    )
  )

  it.effect("key exchanges get through a path that loses a fifth, well before they are repeated", () =>
    SimNet.run({ seed: 85 }, (net) =>
      Effect.gen(function* () {
        const { b } = yield* pair(net, Effect.void)
        const clients = yield* Effect.forEach(CLIENTS, (name) =>
          Effect.gen(function* () {
            const client = yield* net.node(name)
            yield* net.trust(client, b)
            yield* net.stop(client)
            yield* net.restart(client)
            return client
          })
        )
        yield* net.setLink(b, { rttMs: 20, loss: 0.2 })
        const dials = clients.map((client) =>
          client.run(
            Effect.scoped(
              Effect.gen(function* () {
                const startedAtMs = net.nowMs()
                yield* Pilot.dial("b", PORT)
                return net.nowMs() - startedAtMs
              })
            )
          )
        )
        const dialling = yield* Effect.forkScoped(Effect.all(dials, { concurrency: "unbounded" }))
        const times = (yield* Fiber.join(dialling)).toSorted((x, y) => x - y)

        // They are repeated after one second and after four, challenges after a quarter of one.
        assert.isAtMost(Math.max(...times), 2000, times.join(" "))
      })
    )
  )
})

const CLIENTS = Array.from({ length: 16 }, (_, index) => `client-${index}`)
const PILA = 0x50494c41
const PILS = 0x50494c53
const RELAY = 5
const RELAY_HEADER_BYTES = 9
