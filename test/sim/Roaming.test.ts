import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import type { Connection } from "../../src/api/Connection.ts"
import * as Pilot from "../../src/api/Pilot.ts"
import type { Location, NatKind } from "../../src/testing/SimNat.ts"
import * as SimNet from "../../src/testing/SimNet.ts"
import type * as SimNode from "../../src/testing/SimNode.ts"
import { PATIENCE_MS } from "./Patience.ts"
import { payload } from "./Programs.ts"

const PORT = 4000
const BYTES = payload(64 * 1024, 3)
const SECONDS = 8
const SILENCE_MS_MAX = 1_000

/** What happens, and when, in milliseconds since the stream began; changes of addresses are looked for every 250 ms. */
type Events = ReadonlyArray<readonly [atMs: number, happens: Effect.Effect<void>]>

/**
 * 64 KiB every 50 ms from one node to the other for eight seconds, while something happens; gives the longest silence at the
 * reader after three seconds, in ms, and asserts that each byte came once and in order.
 */
const stream = Effect.fnUntraced(function* (
  net: SimNet.SimNet,
  writer: SimNode.SimNode,
  reader: SimNode.SimNode,
  events: Events
) {
  const arrivals: Array<number> = []
  let wrong = 0
  let received = 0
  const read = (connection: Connection) =>
    Stream.runForEach(connection.readable, (chunk) =>
      Effect.sync(() => {
        for (const byte of chunk) if (byte !== BYTES[received++ % BYTES.length]) wrong += 1
        arrivals.push(net.nowMs())
      })
    ).pipe(Effect.ignore)
  const listening = Stream.runForEach(Pilot.listen(PORT), read)
  yield* Effect.forkScoped(reader.run(listening), { startImmediately: true })
  const writing = Effect.scoped(
    Effect.gen(function* () {
      const connection = yield* Pilot.dial(reader.name, PORT)
      for (let count = 0; count < SECONDS * 20; count++) {
        yield* connection.write(BYTES)
        yield* Effect.sleep("50 millis")
      }
    })
  )
  const startedAtMs = net.nowMs()
  for (const [atMs, happens] of events) yield* net.at(`${startedAtMs + atMs} millis`, happens)
  yield* writer.run(writing)
  yield* net.sleep("5 seconds")

  assert.strictEqual(received, SECONDS * 20 * BYTES.length)
  assert.strictEqual(wrong, 0)
  const after = arrivals.filter((atMs) => atMs > startedAtMs + 3_000)
  return Math.max(...after.slice(1).map((atMs, index) => atMs - after[index]!))
})

const KINDS: ReadonlyArray<readonly [NatKind | undefined, NatKind | undefined]> = [
  [undefined, undefined],
  ["portRestrictedCone", "fullCone"],
  ["portRestrictedCone", "portRestrictedCone"],
  ["symmetric", "restrictedCone"],
  ["symmetric", "symmetric"]
]

const ROLES = ["writer", "reader"] as const

describe("roaming, in the simulator", { timeout: PATIENCE_MS }, () => {
  /** `a` is the one to whom something happens. */
  const placed = Effect.fnUntraced(function* (
    net: SimNet.SimNet,
    role: (typeof ROLES)[number],
    [moving, staying]: readonly [Location, Location]
  ) {
    const a = yield* net.node("a", { ...(moving && { nat: moving }), link: { rttMs: 20 } })
    const b = yield* net.node("b", { ...(staying && { nat: staying }), link: { rttMs: 30 } })
    yield* net.trust(a, b)
    return { a, b, ends: role === "writer" ? ([a, b] as const) : ([b, a] as const) }
  })

  /** `a` is behind the router `home`. */
  const atHome = Effect.fnUntraced(function* (net: SimNet.SimNet, role: (typeof ROLES)[number]) {
    const home = net.nat("portRestrictedCone")
    return { home, ...(yield* placed(net, role, [home, "portRestrictedCone"])) }
  })

  for (const [index, kinds] of KINDS.entries()) {
    for (const role of ROLES) {
      const [moving, staying] = kinds
      it.effect(
        `a ${role} gets another address (${moving ?? "open"}, ${staying ?? "open"}): it goes on within a second, nothing is lost`,
        () =>
          SimNet.run({ seed: 61 + index }, (net) =>
            Effect.gen(function* () {
              const { a, ends } = yield* placed(net, role, kinds)
              // It is noticed between none and a quarter of a second later.
              const atMs = 4_025 + 45 * index + (role === "writer" ? 20 : 0)
              const silenceMs = yield* stream(net, ...ends, [[atMs, net.move(a, "portRestrictedCone")]])

              assert.isBelow(silenceMs, SILENCE_MS_MAX)
            })
          )
      )
    }
  }

  for (const role of ROLES) {
    it.effect(`a ${role} goes to another network and back: it goes on within a second each time`, () =>
      SimNet.run({ seed: 71 }, (net) =>
        Effect.gen(function* () {
          const { a, ends, home } = yield* atHome(net, role)
          const silenceMs = yield* stream(net, ...ends, [
            [4_030, net.move(a, "fullCone")],
            [6_050, net.move(a, home)]
          ])

          assert.isBelow(silenceMs, SILENCE_MS_MAX)
        })
      )
    )

    it.effect(`the router of a ${role} is restarted with another address: it goes on within a second`, () =>
      SimNet.run({ seed: 72 }, (net) =>
        Effect.gen(function* () {
          const { ends, home } = yield* atHome(net, role)
          const silenceMs = yield* stream(net, ...ends, [[4_000, net.renumber(home)]])

          assert.isBelow(silenceMs, SILENCE_MS_MAX)
        })
      )
    )
  }
})
