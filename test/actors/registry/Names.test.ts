import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as Names from "../../../src/actors/registry/Names.ts"
import { RegistryClient } from "../../../src/actors/registry/RegistryClient.ts"
import type { PeerKeys } from "../../../src/actors/trust/PeerKeys.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"
import { ScriptedNode } from "../../support/ScriptedNode.ts"

/** A registry that counts what it is asked, and answers until `isAway`. */
const counting = Effect.gen(function* () {
  const services = yield* Layer.build(new ScriptedNode().layer)
  const registry = Context.get(services, RegistryClient)
  const asked: Array<string | number> = []
  const world = { isAway: false }
  const client = RegistryClient.of({
    ...registry,
    resolveHostname: (name) =>
      Effect.suspend(() => {
        asked.push(name)
        return registry.resolveHostname(world.isAway ? "nobody" : name)
      }),
    lookup: (node) =>
      Effect.suspend(() => {
        asked.push(node)
        return registry.lookup(node)
      })
  })
  const provided = Context.add(services, RegistryClient, client)
  const run = <A, E>(effect: Effect.Effect<A, E, RegistryClient | PeerKeys>) => Effect.provide(effect, provided)
  return { world, asked, run }
})

describe("Names", () => {
  it.effect("are remembered for ten seconds, whoever asks for them", () =>
    Effect.gen(function* () {
      const { asked, run } = yield* counting
      const first = yield* run(Names.recent("bravo"))
      yield* TestClock.adjust("9 seconds")
      assert.strictEqual(yield* run(Names.recent("bravo")), first)
      assert.deepStrictEqual(asked, ["bravo", 2])
      yield* TestClock.adjust("1 seconds")
      yield* run(Names.recent("bravo"))

      assert.deepStrictEqual(asked, ["bravo", 2, "bravo", 2])
    })
  )

  it.effect("are asked for again by whoever wants to know, or has not reached them", () =>
    Effect.gen(function* () {
      const { asked, run } = yield* counting
      yield* run(Names.recent(NodeId(2)))
      yield* run(Names.lookup(NodeId(2)))
      assert.deepStrictEqual(asked, [2, 2])
      yield* run(Names.recent(NodeId(2)))
      assert.deepStrictEqual(asked, [2, 2])
      yield* run(Names.forget(NodeId(2)))
      yield* run(Names.recent(NodeId(2)))

      assert.deepStrictEqual(asked, [2, 2, 2])
    })
  )

  it.effect("are forgotten when the registry no longer knows them", () =>
    Effect.gen(function* () {
      const { run, world } = yield* counting
      yield* run(Names.recent("bravo"))
      world.isAway = true
      yield* Effect.flip(run(Names.resolve("bravo")))

      assert.strictEqual((yield* Effect.flip(run(Names.recent("bravo"))))._tag, "RegistryError")
    })
  )
})
