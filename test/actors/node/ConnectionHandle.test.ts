import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Scheduler } from "effect"
import * as ConnectionHandle from "../../../src/actors/node/ConnectionHandle.ts"
import { ConnectionReset } from "../../../src/actors/node/Node.ts"
import { Signal } from "../../../src/core/actor/Signal.ts"
import * as Address from "../../../src/protocol/wire/Address.ts"

/** Takes half of what is written, and is reset as soon as its writer gives way. */
const make = () => {
  const [readable, writable, closed] = [new Signal(), new Signal(), new Signal()]
  let isGone = false
  const fail = () => {
    isGone = true
    for (const signal of [writable, closed]) signal.raise()
  }
  const live: Partial<ConnectionHandle.Stream> = {
    ...{ readable, writable, closed, failure: () => Effect.fail(new ConnectionReset({ reason: "PeerReset" })) },
    write: (bytes) => bytes.length >> 1
  }
  const stream = Object.defineProperties(live, {
    isGone: { get: () => isGone },
    canWrite: { get: () => !isGone },
    isWritable: { get: () => isGone }
  }) as ConnectionHandle.Stream
  const place = { id: 1, localPort: Address.Port(1), remote: Address.make(0, 2), remotePort: Address.Port(3) }
  return { fail, connection: new ConnectionHandle.ConnectionHandle(stream, place) }
}

/** Runs so many steps before, so that the fiber gives way within any of those that follow, one test after another. */
const after = <A, E>(steps: number, effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  steps === 0 ? effect : Effect.andThen(Effect.void, after(steps - 1, effect))
const STEPS = 32

describe("ConnectionHandle", () => {
  for (const [name, waiting] of [
    ["a write", (connection: ConnectionHandle.ConnectionHandle) => connection.write(new Uint8Array(64))],
    ["who waits for its end", (connection: ConnectionHandle.ConnectionHandle) => connection.closed]
  ] as const)
    it.effect(`${name} hears of an end that came while its fiber gave way`, () =>
      Effect.gen(function* () {
        for (let steps = 0; steps < STEPS; steps++) {
          const { connection, fail } = make()
          const fiber = yield* after(steps, Effect.exit(waiting(connection))).pipe(
            Effect.provideService(Scheduler.MaxOpsBeforeYield, STEPS),
            Effect.forkChild({ startImmediately: true })
          )
          fail()
          for (let turns = 0; turns < 100 && fiber.pollUnsafe() === undefined; turns++) yield* Effect.yieldNow

          assert.isDefined(fiber.pollUnsafe(), `after ${steps} steps`)
          yield* Fiber.interrupt(fiber)
        }
      })
    )
})
