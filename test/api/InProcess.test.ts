import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { RegistryClient } from "../../src/actors/registry/RegistryClient.ts"
import * as InProcess from "../../src/api/InProcess.ts"
import { ScriptedNode } from "../support/ScriptedNode.ts"

/** The service on a scripted node, with a count of the names its registry was asked for. */
const make = Effect.gen(function* () {
  const scripted = new ScriptedNode()
  const services = yield* Layer.build(scripted.layer)
  const registry = Context.get(services, RegistryClient)
  const asked: Array<string> = []
  const counting = Context.add(services, RegistryClient, {
    ...registry,
    resolveHostname: (name) =>
      Effect.andThen(
        Effect.sync(() => asked.push(name)),
        registry.resolveHostname(name)
      )
  })
  return { asked, scripted, pilot: yield* Effect.provide(InProcess.make, counting) }
})

describe("InProcess", () => {
  it.effect("asks the registry once for a name that is dialled again and again, until ten seconds later", () =>
    Effect.gen(function* () {
      const { asked, pilot } = yield* make

      yield* pilot.dial("bravo", 4000)
      yield* TestClock.adjust("9 seconds")
      yield* pilot.dial("bravo", 4000)
      yield* pilot.ping("bravo")
      assert.strictEqual(asked.length, 1)

      yield* TestClock.adjust("1 second")
      yield* pilot.dial("bravo", 4000)
      assert.strictEqual(asked.length, 2)
    })
  )

  it.effect("asks again after a dial that failed, because the name may have moved", () =>
    Effect.gen(function* () {
      const { asked, pilot, scripted } = yield* make

      yield* pilot.dial("bravo", 4000)
      scripted.dialError = "Timeout"
      yield* Effect.flip(pilot.dial("bravo", 4000))
      scripted.dialError = undefined
      yield* pilot.dial("bravo", 4000)

      assert.strictEqual(asked.length, 2)
    })
  )

  it.effect("always asks when told to resolve", () =>
    Effect.gen(function* () {
      const { asked, pilot } = yield* make

      yield* pilot.dial("bravo", 4000)
      yield* pilot.resolve("bravo")

      assert.strictEqual(asked.length, 2)
    })
  )
})
