import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { Pilot } from "effect-pilot"
import * as PilotNetwork from "../../support/PilotNetwork.ts"
import * as PilotProcesses from "../../support/PilotProcesses.ts"
import * as PilotSuite from "../../support/PilotSuite.ts"

PilotSuite.run({
  name: "Pilot.layerDaemon",
  isOwnNode: false,
  open: (_, { home }) => Pilot.layerDaemon({ home })
})

PilotSuite.run({
  name: "Pilot.layer",
  isOwnNode: true,
  open: ({ card }, { home, name }) =>
    Pilot.layer({
      home,
      hostname: name,
      listen: "127.0.0.1:0",
      registry: card.registry,
      registryFingerprint: card.fingerprint,
      beacon: card.beacon
    })
})

describe("Pilot.layerDaemon without its daemon", () => {
  it.live("says that it is not running", () =>
    Effect.gen(function* () {
      const home = yield* PilotProcesses.directory

      const failure = yield* Effect.flip(Effect.provide(Pilot.info, Pilot.layerDaemon({ home })))

      assert.deepInclude(failure, { _tag: "PilotError", reason: "NotRunning" })
    }).pipe(Effect.scoped)
  )

  it.live("open streams end with ConnectionReset when it is killed, and the next call says it is gone", () =>
    Effect.gen(function* () {
      const network = yield* PilotNetwork.make
      const [alice] = yield* PilotNetwork.startPair(network, "alice", "bob")
      const failures = yield* Effect.gen(function* () {
        const connection = yield* Pilot.dial("bob", ECHO)
        yield* connection.write("there")
        const reading = yield* Effect.forkChild(Effect.flip(Stream.runDrain(connection.readable)))
        yield* PilotProcesses.killNow(alice.pid)
        return [
          yield* Fiber.join(reading),
          yield* Effect.flip(connection.write("late")),
          yield* Effect.flip(Pilot.info)
        ] as const
      }).pipe(Effect.scoped, Effect.provide(Pilot.layerDaemon({ home: alice.home })))

      assert.deepStrictEqual(
        failures.map(({ _tag }) => _tag),
        ["ConnectionReset", "ConnectionReset", "PilotError"]
      )
      assert.deepInclude(failures[2], { reason: "NotRunning" })
    }).pipe(Effect.scoped)
  )
})

const ECHO = 7
