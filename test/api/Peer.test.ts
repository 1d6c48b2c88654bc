import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as InProcess from "../../src/api/InProcess.ts"
import * as Peer from "../../src/api/Peer.ts"
import { Pilot } from "../../src/api/PilotService.ts"
import { ScriptedNode } from "../support/ScriptedNode.ts"

const onScripted = <A, E>(program: Effect.Effect<A, E, Pilot>) =>
  Effect.suspend(() =>
    Effect.provide(program, Layer.provide(Layer.effect(Pilot, InProcess.make), new ScriptedNode().layer))
  )

describe("Peer", () => {
  it.effect("a name, an address, a number and a key lead to the same peer", () =>
    onScripted(
      Effect.gen(function* () {
        const { fingerprint } = yield* Peer.resolve("bravo")
        const spoken = fingerprint.toLowerCase().replaceAll("-", " ")
        const selectors = [
          Peer.byName("bravo"),
          Peer.byAddress("0:0000.0000.0002"),
          Peer.byAddress(2),
          Peer.byKey(spoken)
        ]

        const found = yield* Effect.forEach(selectors, (selector) => Peer.resolve(selector))

        assert.deepStrictEqual(
          found.map(({ node }) => Number(node)),
          [2, 2, 2, 2]
        )
        assert.deepStrictEqual(new Set(found.map((peer) => peer.fingerprint)), new Set([fingerprint]))
      })
    )
  )

  it.effect("a key that nobody trusted has, and what is no key, are told apart", () =>
    onScripted(
      Effect.gen(function* () {
        const stranger = yield* Effect.flip(Peer.resolve(Peer.byKey("0".repeat(32))))
        const nonsense = yield* Effect.flip(Peer.resolve(Peer.byKey("bravo")))

        assert.deepInclude(stranger, { _tag: "NoSuchPeer" })
        assert.include(stranger.message, "no trusted peer has this key")
        assert.include(nonsense.message, "this is no fingerprint")
      })
    )
  )

  it.effect("capable finds nobody where nobody has a card, and says what was asked for", () =>
    onScripted(
      Effect.gen(function* () {
        const asking = yield* Effect.forkChild(Effect.flip(Peer.resolve(Peer.capable("research papers"))))
        // A peer that says nothing is waited for.
        yield* TestClock.adjust("10 seconds")
        const failure = yield* Fiber.join(asking)

        assert.deepInclude(failure, { _tag: "NoSuchPeer", selector: 'whoever can "research papers"' })
      })
    )
  )
})
