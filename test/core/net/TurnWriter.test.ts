import { assert, describe, it } from "@effect/vitest"
import { Data, Effect, Fiber, Latch } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as TurnWriter from "../../../src/core/net/TurnWriter.ts"

class PipeBroke extends Data.TaggedError("PipeBroke") {}

/** A pipe that takes a write only while its gate is open. */
const pipe = Effect.gen(function* () {
  const gate = Latch.makeUnsafe(true)
  const written: Array<string> = []
  const state = { isBroken: false }
  const writer = yield* TurnWriter.make((bytes) =>
    Effect.flatMap(gate.await, () => {
      if (state.isBroken) return new PipeBroke()
      written.push(Bytes.toUtf8(bytes) ?? "")
      return Effect.void
    })
  )
  return { gate, state, written, writer }
})

const write = (writer: TurnWriter.TurnWriter<PipeBroke>, ...texts: ReadonlyArray<string>) =>
  Effect.forEach(texts, (text) => writer.write(Bytes.fromUtf8(text)), { discard: true })

describe("TurnWriter", () => {
  it.effect("what one turn writes leaves as one write, in order", () =>
    Effect.gen(function* () {
      const { writer, written } = yield* pipe
      yield* write(writer, "a", "b", "c")
      yield* writer.flushed
      yield* write(writer, "d")
      yield* writer.flushed

      assert.deepStrictEqual(written, ["abc", "d"])
    })
  )

  it.effect("what is written while the pipe is busy follows together", () =>
    Effect.gen(function* () {
      const { gate, writer, written } = yield* pipe
      gate.closeUnsafe()
      yield* write(writer, "first")
      yield* Effect.yieldNow
      yield* Effect.yieldNow
      yield* write(writer, "x", "y")
      gate.openUnsafe()
      yield* writer.flushed

      assert.deepStrictEqual(written, ["first", "xy"])
    })
  )

  it.effect("a writer waits while much is unwritten, and loses nothing", () =>
    Effect.gen(function* () {
      const { gate, writer, written } = yield* pipe
      gate.closeUnsafe()
      const texts = Array.from({ length: 20 }, (_, index) => String.fromCharCode(97 + index).repeat(50_000))
      const writing = yield* Effect.forkChild(write(writer, ...texts), { startImmediately: true })
      for (let turn = 0; turn < 10; turn++) yield* Effect.yieldNow

      assert.isUndefined(writing.pollUnsafe())
      gate.openUnsafe()
      yield* Fiber.join(writing)
      yield* writer.flushed
      assert.strictEqual(written.join(""), texts.join(""))
    })
  )

  it.effect("a failed write fails those after it, tells who asks, and leaves nobody waiting", () =>
    Effect.gen(function* () {
      const { gate, state, writer } = yield* pipe
      gate.closeUnsafe()
      state.isBroken = true
      const waiting = yield* Effect.forkChild(write(writer, "a".repeat(300_000), "b"), { startImmediately: true })
      gate.openUnsafe()
      yield* writer.flushed

      yield* Fiber.await(waiting)
      assert.strictEqual((yield* Effect.flip(write(writer, "d")))._tag, "PipeBroke")
      assert.strictEqual((yield* Effect.flip(writer.broken))._tag, "PipeBroke")
    })
  )

  it.effect("the end of the scope writes what is there", () =>
    Effect.gen(function* () {
      const written = yield* Effect.scoped(
        Effect.flatMap(pipe, ({ writer, written }) => Effect.as(write(writer, "last ", "words"), written))
      )

      assert.deepStrictEqual(written, ["last words"])
    })
  )
})
