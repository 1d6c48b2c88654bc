import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Actor from "../../../src/core/actor/Actor.ts"
import { NameTaken } from "../../../src/core/actor/ActorError.ts"
import { ActorExit } from "../../../src/core/actor/ActorRef.ts"
import * as ActorSystem from "../../../src/core/actor/ActorSystem.ts"

const named = (name: string, log: Array<string> = []): Actor.Behaviour<"stop", never, never> => ({
  name,
  mailbox: { capacity: 4, overflow: "fail" },
  restart: "never",
  start: Effect.acquireRelease(Effect.succeed({ receive: () => Actor.stopSelf }), () =>
    Effect.sync(() => log.push(name))
  )
})

describe("ActorSystem", () => {
  it.effect("a name is unique among the living", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make
      const first = yield* system.spawn(named("socket"))

      assert.deepStrictEqual(yield* Effect.flip(system.spawn(named("socket"))), new NameTaken({ actor: "socket" }))
      yield* first.stop
      yield* system.spawn(named("socket"))
      assert.deepStrictEqual(system.actors(), [{ name: "socket", dropped: 0 }])
    })
  )

  it.effect("shuts down in the reverse order of start, leaving out who has ended", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const system = yield* ActorSystem.make
      const refs = yield* Effect.forEach(["socket", "tunnel", "listener"], (name) => system.spawn(named(name, log)))
      yield* refs[1]!.tell("stop")
      yield* refs[1]!.exit
      yield* system.shutdown

      assert.deepStrictEqual(log, ["tunnel", "listener", "socket"])
      assert.deepStrictEqual(system.actors(), [])
    })
  )

  it.effect("an actor spawned after the shutdown ends at once", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make
      yield* system.shutdown
      const late = yield* system.spawn(named("late"))

      assert.deepStrictEqual(yield* late.exit, ActorExit.Stopped())
      assert.deepStrictEqual(system.actors(), [])
    })
  )
})
