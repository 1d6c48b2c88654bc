/** Every kind of translator against every other one, at random distances: which path two nodes get, and how soon. */
import { assert } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { Node } from "../../src/actors/node/Node.ts"
import * as Pilot from "../../src/api/Pilot.ts"
import * as Birthday from "../../src/nat/Birthday.ts"
import * as SeededRandom from "../../src/testing/SeededRandom.ts"
import type * as SimNat from "../../src/testing/SimNat.ts"
import * as SimNet from "../../src/testing/SimNet.ts"
import type * as SimNode from "../../src/testing/SimNode.ts"
import { readBytes } from "./Programs.ts"

/** Where a node can be. */
export const places = {
  open: undefined,
  fullCone: "fullCone",
  restrictedCone: "restrictedCone",
  portRestrictedCone: "portRestrictedCone",
  symmetric: "symmetric",
  sequential: "sequential",
  twoLevels: ["restrictedCone", "portRestrictedCone"]
} as const satisfies Readonly<Record<string, SimNat.Location>>

/** One of them. */
export type Place = keyof typeof places

/** All of them. */
export const kinds = Object.keys(places) as ReadonlyArray<Place>

/** What one pair got. Times are virtual, in milliseconds since dialling began. */
export interface Outcome {
  readonly from: Place
  readonly to: Place
  readonly path: "direct" | "relay"
  /** The first byte is with the peer. */
  readonly firstByteMs: number
  /** Its answer is back. */
  readonly answerMs: number
  /** When a ping came back by a direct path, at the latest; `undefined` if it was the relay for as long as was waited. */
  readonly directMs: number | undefined
  /** A round trip from one node to the other by way of the rendezvous. */
  readonly relayRttMs: number
}

/** From one kind of place to every kind, each target a node of its own. */
export const row = (seed: number, from: Place): Effect.Effect<ReadonlyArray<Outcome>, unknown> =>
  SimNet.run({ seed, rendezvousLink: { rttMs: RENDEZVOUS_RTT_MS } }, (net) =>
    Effect.gen(function* () {
      const random = SeededRandom.make(seed)
      const rttMs = () => 4 + SeededRandom.index(random, 80)
      const placed = Effect.fnUntraced(function* (name: string, place: Place, program?: SimNode.Settings["main"]) {
        const link = { rttMs: rttMs(), jitterMs: 1 }
        const node = yield* net.node(name, {
          nat: places[place],
          link,
          ...(program === undefined ? {} : { main: program })
        })
        yield* node.run(look)
        return { node, rttMs: link.rttMs }
      })
      const here = yield* placed("from", from)
      const targets = yield* Effect.forEach(kinds, (to) =>
        Effect.gen(function* () {
          let heardAtMs = 0
          const there = yield* placed(
            to.toLowerCase(),
            to,
            serve(() => {
              heardAtMs = net.nowMs()
            })
          )
          yield* net.trust(here.node, there.node)
          return { ...there, to, heardAtMs: () => heardAtMs }
        })
      )
      // Until nobody remembers the way that the handshakes took.
      yield* net.sleep("12 minutes")
      return yield* Effect.forEach(targets, (target) =>
        Effect.gen(function* () {
          yield* net.sleep(SeededRandom.index(random, 10_000))
          const startedAtMs = net.nowMs()
          const met = yield* meet(net, here.node, target.node.name, patienceMs(theory(from, target.to)))
          const relayRttMs = here.rttMs + target.rttMs + 2 * RENDEZVOUS_RTT_MS
          return { from, to: target.to, ...met, firstByteMs: target.heardAtMs() - startedAtMs, relayRttMs }
        })
      )
    })
  )

const meet = Effect.fnUntraced(function* (
  net: SimNet.SimNet,
  node: SimNode.SimNode,
  target: string,
  patientMs: number
) {
  const startedAtMs = net.nowMs()
  const sinceMs = () => net.nowMs() - startedAtMs
  const talk = Effect.gen(function* () {
    const connection = yield* Pilot.dial(target, PORT)
    yield* connection.write(BYTE)
    yield* readBytes(connection, 1)
    const answerMs = sinceMs()
    while (sinceMs() < patientMs) {
      const { path } = yield* Pilot.ping(target)
      if (path === "direct") return { path, answerMs, directMs: sinceMs() } as const
      yield* Effect.sleep("20 millis")
    }
    return { path: "relay", answerMs, directMs: undefined } as const
  })
  return yield* node.run(Effect.scoped(talk))
})

/** Answers each stream's first byte. */
const serve = (heard: () => void) =>
  Pilot.listen(PORT).pipe(
    Stream.mapEffect(
      (connection) =>
        Effect.ignore(
          Effect.gen(function* () {
            const byte = yield* readBytes(connection, 1)
            heard()
            yield* connection.write(byte)
            yield* Stream.runDrain(connection.readable)
          })
        ),
      { concurrency: "unbounded" }
    ),
    Stream.runDrain
  )

/**
 * What a pair of places allows: who filters by port must know the other's, be able to tell the next one (`direct`), or guess it
 * among all there are, which is no certainty (`guess`).
 */
export const theory = (one: Place, other: Place): "direct" | "guess" | "relay" => {
  const strictness = STRICTNESS[one] + STRICTNESS[other]
  if (strictness < 4 || (strictness === 4 && (one === "sequential" || other === "sequential"))) return "direct"
  return strictness === 4 ? "guess" : "relay"
}

/** Three: every peer sees another port. One: lets in only ports that were sent to. */
const STRICTNESS: Readonly<Record<Place, number>> = {
  open: 0,
  fullCone: 0,
  restrictedCone: 0,
  portRestrictedCone: 1,
  twoLevels: 1,
  sequential: 3,
  symmetric: 3
}

/** Holds the outcomes against what the pairs allow and the times that are promised. */
export const check = (seed: number, outcomes: ReadonlyArray<Outcome>): void => {
  for (const { directMs, firstByteMs, from, path, relayRttMs, to } of outcomes) {
    const pair = `${from} to ${to}, seed ${seed}`
    const allowed = theory(from, to)
    if (allowed !== "guess") assert.strictEqual(path, allowed, pair)
    assert.isAtMost(firstByteMs, ROUND_TRIPS * relayRttMs + 100, `first byte, ${pair}`)
    if (STRICTNESS[from] < 2 && STRICTNESS[to] < 2) assert.isAtMost(directMs ?? Infinity, 1_000, `direct, ${pair}`)
  }
}

/** Also what a daemon does when it starts. */
const look = Effect.flatMap(Node, (node) => node.nat)
const PORT = 4000
const BYTE = Uint8Array.of(7)
const RENDEZVOUS_RTT_MS = 10
/** A pair that is not direct after this stays with the relay; where ports are guessed it takes that long before they are. */
const PATIENT_MS = 3_000
const patienceMs = (allowed: ReturnType<typeof theory>): number =>
  allowed === "guess" ? PATIENT_MS + Birthday.defaults.lastsMs : PATIENT_MS
/** Until the first byte is there. */
const ROUND_TRIPS = 3
