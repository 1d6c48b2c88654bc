import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer, Logger, References } from "effect"
import { TestClock } from "effect/testing"
import * as EventLog from "../../../src/actors/layers/EventLog.ts"
import type { ProtocolEvent } from "../../../src/protocol/ProtocolEvent.ts"
import * as Address from "../../../src/protocol/wire/Address.ts"

/** Keeps the lines instead of writing them. */
const capturing = () => {
  const lines: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => void lines.push(`${logLevel} ${JSON.stringify(message)}`))
  return { lines, layer: Logger.layer([logger]) as Layer.Layer<never> }
}

const opened = (connection: number): ProtocolEvent => ({
  ...{ _tag: "ConnectionOpened", connection, peer: Address.make(0, 8), direction: "dialled" },
  ...{ port: Address.Port(80), localPort: Address.Port(49_152), remotePort: Address.Port(80) }
})

describe("EventLog", () => {
  it.effect("writes an event as one line with its facts, addresses in their text form", () => {
    const { layer, lines } = capturing()
    return Effect.gen(function* () {
      const report = yield* EventLog.make
      report({ _tag: "NodeReregistered", address: Address.make(0, 7) })
      yield* TestClock.adjust(1)

      assert.strictEqual(lines.length, 1)
      assert.include(lines[0], "NodeReregistered address=0:0000.0000.0007")
    }).pipe(Effect.provide(layer))
  })

  it.effect("loses nothing to events that its level leaves out", () => {
    const { layer, lines } = capturing()
    return Effect.gen(function* () {
      const report = yield* EventLog.make
      report({ _tag: "NodeReregistered", address: Address.make(0, 7) })
      for (let connection = 0; connection < 1000; connection++) report(opened(connection))
      yield* TestClock.adjust(1)

      assert.strictEqual(lines.length, 1)
      assert.include(lines[0], "NodeReregistered")
    }).pipe(Effect.provide(layer))
  })

  it.effect("writes streams that come and go where the level asks for them", () => {
    const { layer, lines } = capturing()
    return Effect.gen(function* () {
      const report = yield* EventLog.make
      report(opened(5))
      yield* TestClock.adjust(1)

      assert.strictEqual(lines.length, 1)
      assert.include(lines[0], "ConnectionOpened connection=5")
    }).pipe(Effect.provideService(References.MinimumLogLevel, "Debug"), Effect.provide(layer))
  })

  it.effect("sums dropped packets up once a minute, by reason", () => {
    const { layer, lines } = capturing()
    return Effect.gen(function* () {
      const report = yield* EventLog.make
      for (let i = 0; i < 1000; i++) report({ _tag: "PacketDropped", reason: "Untrusted" })
      report({ _tag: "PacketDropped", reason: "Malformed" })
      yield* TestClock.adjust("61 seconds")
      yield* TestClock.adjust("60 seconds")

      assert.strictEqual(lines.length, 1)
      assert.include(lines[0], '"Untrusted":1000')
      assert.include(lines[0], '"Malformed":1')
    }).pipe(Effect.provide(layer))
  })

  it.effect("warns of refused keys at most once a second, however many are tried", () => {
    const { layer, lines } = capturing()
    return Effect.gen(function* () {
      const report = yield* EventLog.make
      for (let i = 0; i < 100; i++) report({ _tag: "KeyRefused", peer: Address.NodeId(3), reason: "BadSignature" })
      yield* TestClock.adjust("1 second")
      report({ _tag: "KeyRefused", peer: Address.NodeId(3), reason: "KeyChanged" })
      yield* TestClock.adjust("1 second")

      assert.strictEqual(lines.length, 2)
      assert.isTrue(lines.every((line) => line.startsWith("Warn")))
    }).pipe(Effect.provide(layer))
  })
})
