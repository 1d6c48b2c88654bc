import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as Names from "../../../src/actors/registry/Names.ts"
import { RegistryClient } from "../../../src/actors/registry/RegistryClient.ts"
import { PeerKeys } from "../../../src/actors/trust/PeerKeys.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"
import { ScriptedNode } from "../../support/ScriptedNode.ts"

const PLACE = { host: "127.0.0.1", port: 4000 }

/** A registry that counts what it is asked, and answers until `isAway`. */
const counting = Effect.gen(function* () {
  const services = yield* Layer.build(new ScriptedNode().layer)
  const registry = Context.get(services, RegistryClient)
  const asked: Array<string | number> = []
  const world = { isAway: false }
  const guesses = new Map<string, NodeId>()
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
      }),
    resolve: (node) =>
      Effect.suspend(() => {
        asked.push(`where ${node}`)
        return node === 2 ? Effect.succeed(PLACE) : registry.resolve(node)
      })
  })
  const keys = { ...Context.get(services, PeerKeys), guess: (name: string) => guesses.get(name) }
  const provided = services.pipe(Context.add(RegistryClient, client), Context.add(PeerKeys, keys))
  const run = <A, E>(effect: Effect.Effect<A, E, RegistryClient | PeerKeys>) => Effect.provide(effect, provided)
  return { world, asked, guesses, run }
})

describe("Names", () => {
  it.effect("are remembered for ten seconds, whoever asks for them", () =>
    Effect.gen(function* () {
      const { asked, run } = yield* counting
      const first = yield* run(Names.recent("bravo"))
      yield* TestClock.adjust("9 seconds")
      assert.strictEqual(yield* run(Names.recent("bravo")), first)
      assert.deepStrictEqual(asked, ["bravo", 2, "where 2"])
      yield* TestClock.adjust("1 seconds")
      yield* run(Names.recent("bravo"))

      assert.deepStrictEqual(asked, ["bravo", 2, "where 2", "bravo", 2, "where 2"])
    })
  )

  it.effect("are asked for again by whoever wants to know, or has not reached them", () =>
    Effect.gen(function* () {
      const { asked, run } = yield* counting
      yield* run(Names.recent(NodeId(2)))
      yield* run(Names.lookup(NodeId(2)))
      assert.deepStrictEqual(asked, [2, "where 2", 2])
      yield* run(Names.recent(NodeId(2)))
      assert.deepStrictEqual(asked, [2, "where 2", 2])
      yield* run(Names.forget(NodeId(2)))
      yield* run(Names.recent(NodeId(2)))

      assert.deepStrictEqual(asked, [2, "where 2", 2, 2, "where 2"])
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

  it.effect("are asked for together with the node they led to before, which saves a round trip if they still do", () =>
    Effect.gen(function* () {
      const { asked, guesses, run } = yield* counting
      guesses.set("bravo", NodeId(2))
      assert.strictEqual((yield* run(Names.recent("bravo"))).node, 2)
      assert.deepStrictEqual(asked, ["bravo", 2, "where 2"])
    })
  )

  it.effect("are followed to the node they lead to now, whatever was guessed", () =>
    Effect.gen(function* () {
      const { asked, guesses, run } = yield* counting
      guesses.set("bravo", NodeId(5))
      const found = yield* run(Names.recent("bravo"))
      assert.strictEqual(found.node, 2)
      assert.deepStrictEqual(asked, ["bravo", 5, 2, "where 2"])
      assert.strictEqual(yield* run(Names.remembered(NodeId(2))), found)
      assert.strictEqual(yield* run(Names.remembered(NodeId(5))), undefined)
    })
  )

  it.effect("tell whoever reaches peers where a dial probably leads, before anybody has answered", () =>
    Effect.gen(function* () {
      const { asked, guesses, run } = yield* counting
      const expected: Array<readonly [number, number]> = []
      yield* run(Names.anticipate((node) => expected.push([node, asked.length])))
      yield* run(Names.recent("bravo"))
      // Nobody knew it before the registry had named the node; its key and place were still to be asked for.
      assert.deepStrictEqual(expected, [[2, 1]])
      expected.length = 0
      yield* run(Names.forget("bravo"))
      guesses.set("bravo", NodeId(5))
      asked.length = 0
      yield* run(Names.recent("bravo"))
      assert.deepStrictEqual(expected[0], [5, 0])
      assert.deepStrictEqual(
        expected.slice(1).map(([node]) => node),
        [2]
      )
      expected.length = 0
      asked.length = 0
      yield* run(Names.recent(NodeId(7)).pipe(Effect.ignore))
      // Of those who only want to know, nothing follows.
      yield* run(Names.resolve("bravo"))

      assert.deepStrictEqual(expected, [[7, 0]])
    })
  )

  it.effect("say where a peer is to the dial that asked, and ask again a second later, or after a failure", () =>
    Effect.gen(function* () {
      const { asked, run } = yield* counting
      yield* run(Names.recent("bravo"))
      const place = yield* run(Names.endpoint(NodeId(2)))
      assert.strictEqual(place, PLACE)
      assert.deepStrictEqual(asked, ["bravo", 2, "where 2"])
      yield* TestClock.adjust("1 seconds")
      yield* run(Names.endpoint(NodeId(2)))
      yield* run(Names.forget("bravo"))
      yield* run(Names.endpoint(NodeId(2)))
      yield* run(Names.askEndpoint(NodeId(2)))
      assert.strictEqual(yield* run(Names.seekEndpoint(NodeId(2))), PLACE)

      assert.deepStrictEqual(asked, ["bravo", 2, "where 2", "where 2", "where 2", "where 2"])
    })
  )

  it.effect("are not taken to be without a place for long: whoever seeks one asks again", () =>
    Effect.gen(function* () {
      const { asked, run } = yield* counting
      const [refused, sought] = [Names.endpoint(NodeId(5)), Names.seekEndpoint(NodeId(5))]
      assert.deepStrictEqual(
        [yield* run(refused), yield* run(refused), yield* run(sought)],
        [undefined, undefined, undefined]
      )

      assert.deepStrictEqual(asked, ["where 5", "where 5"])
    })
  )

  it.effect("a hint is where a node is sought for ten minutes, if the registry does not say better", () =>
    Effect.gen(function* () {
      const { run } = yield* counting
      const other = { host: "203.0.113.7", port: 9 }
      yield* run(Names.hint(NodeId(2), other))
      yield* run(Names.hint(NodeId(5), other))

      assert.deepStrictEqual(yield* run(Names.askEndpoint(NodeId(2))), PLACE)
      assert.deepStrictEqual(yield* run(Names.askEndpoint(NodeId(5))), other)
      yield* TestClock.adjust("10 minutes")
      assert.isUndefined(yield* run(Names.askEndpoint(NodeId(5))))
    })
  )
})
