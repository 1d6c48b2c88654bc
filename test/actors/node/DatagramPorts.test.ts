import { assert, describe, it } from "@effect/vitest"
import { Effect, Queue, Scope } from "effect"
import { DatagramPorts } from "../../../src/actors/node/DatagramPorts.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Address from "../../../src/protocol/wire/Address.ts"

const to = (port: number) => ({
  source: Address.make(0, 2),
  sourcePort: Address.Port(53),
  destinationPort: Address.Port(port),
  payload: Bytes.fromUtf8("x")
})

describe("DatagramPorts", () => {
  it.effect("gives a datagram to whoever holds its port, and to who asked for all (wire §11)", () =>
    Effect.gen(function* () {
      const ports = new DatagramPorts(() => 0)
      const all = yield* ports.all(4)
      const first = yield* ports.hold(undefined, 4)
      const second = yield* ports.hold(Address.Port(53), 4)
      for (const port of [first.port, 53, 9]) ports.received(to(port))

      assert.deepStrictEqual(
        [first.port, yield* Queue.size(all), yield* Queue.size(first.received), yield* Queue.size(second.received)],
        [49_152, 3, 1, 1]
      )
    }).pipe(Effect.scoped)
  )

  it.effect("holds a port once, until its scope ends, and starts over at the end of the range (wire §2)", () =>
    Effect.gen(function* () {
      const ports = new DatagramPorts(() => 16_383)
      const scope = yield* Scope.make()
      assert.strictEqual((yield* Scope.provide(ports.hold(undefined, 1), scope)).port, 65_535)
      assert.strictEqual((yield* ports.hold(undefined, 1)).port, 49_152)
      assert.strictEqual((yield* Effect.flip(ports.hold(Address.Port(65_535), 1))).port, 65_535)
      yield* Scope.close(scope, yield* Effect.exit(Effect.void))
      assert.strictEqual((yield* ports.hold(Address.Port(65_535), 1)).port, 65_535)
    }).pipe(Effect.scoped)
  )
})
