import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Result, Schema, Stream } from "effect"
import * as Tasks from "../../src/api/Tasks.ts"
import * as SimNet from "../../src/testing/SimNet.ts"
import type { SimNode } from "../../src/testing/SimNode.ts"
import { PATIENCE_MS } from "./Patience.ts"

const Sum = Tasks.make("sum", {
  input: Schema.Struct({ numbers: Schema.Array(Schema.Int) }),
  progress: Schema.Struct({ done: Schema.Int }),
  output: Schema.Struct({ sum: Schema.Int, attempt: Schema.Int })
})

const pair = Effect.fnUntraced(function* (net: SimNet.SimNet) {
  const alice = yield* net.node("alice")
  const bob = yield* net.node("bob")
  yield* net.trust(alice, bob)
  return { alice, bob }
})

/** Adds slowly, a second for each number. */
const serving = (net: SimNet.SimNet, begun: Array<number> = []) =>
  Layer.launch(
    Tasks.serve(Sum, ({ numbers }, job) =>
      Effect.gen(function* () {
        begun.push(job.attempt)
        for (const [index] of numbers.entries()) {
          yield* net.sleep("1 second")
          yield* job.progress({ done: index + 1 })
        }
        return { sum: numbers.reduce((sum, number) => sum + number, 0), attempt: job.attempt }
      })
    )
  )
const inBackground = (node: SimNode, effect: Effect.Effect<never, never, Tasks.Tasks>) =>
  Effect.forkScoped(Effect.ignore(node.run(effect)))

describe("tasks, in the simulator", { timeout: PATIENCE_MS }, () => {
  it.effect("a typed task there and back, with its progress", () =>
    SimNet.run({ seed: 6001 }, (net) =>
      Effect.gen(function* () {
        const { alice, bob } = yield* pair(net)
        yield* inBackground(bob, serving(net))
        const { output, progress } = yield* alice.run(
          Effect.gen(function* () {
            const job = yield* Tasks.submit(Sum, { numbers: [1, 2, 3] }, { to: "bob" })
            const watching = yield* Effect.forkChild(Stream.runCollect(job.progress))
            return { output: yield* job.result, progress: [...(yield* Fiber.join(watching))] }
          })
        )
        assert.deepStrictEqual(output, { sum: 6, attempt: 1 })
        assert.deepStrictEqual(progress.at(-1), { done: 3 })
      })
    )
  )

  it.effect("both ends lose power while it is worked on, the link is cut, and the result comes, once", () =>
    SimNet.run({ seed: 6002 }, (net) =>
      Effect.gen(function* () {
        const { alice, bob } = yield* pair(net)
        const begun: Array<number> = []
        yield* inBackground(bob, serving(net, begun))
        const id = yield* alice.run(
          Effect.map(Tasks.submit(Sum, { numbers: [4, 5, 6, 7] }, { to: "bob", id: "night" }), (job) => job.id)
        )
        yield* net.sleep("2 seconds")
        yield* net.crash(bob)
        yield* net.crash(alice)
        yield* net.restart(bob)
        yield* inBackground(bob, serving(net, begun))
        yield* net.sleep("90 seconds")
        yield* net.restart(alice)
        const output = yield* alice.run(
          Effect.gen(function* () {
            // Submitting it once more is no second task.
            const again = yield* Tasks.submit(Sum, { numbers: [4, 5, 6, 7] }, { to: "bob", id: "night" })
            assert.strictEqual(again.id, id)
            const job = yield* Tasks.handle(Sum, id)
            return yield* job.result
          })
        )
        assert.deepStrictEqual(output, { sum: 22, attempt: 2 })
        assert.deepStrictEqual(begun, [1, 2])
      })
    )
  )

  it.effect("a program with a name has its tasks again as soon as it is back, however long its leases are", () =>
    SimNet.run({ seed: 6006 }, (net) =>
      Effect.gen(function* () {
        const { alice, bob } = yield* pair(net)
        const begun: Array<number> = []
        const handler = (_: unknown, job: Tasks.Job<unknown>) =>
          Effect.gen(function* () {
            begun.push(job.attempt)
            yield* net.sleep("5 seconds")
            return { sum: 0, attempt: job.attempt }
          })
        const named = Layer.launch(Tasks.serve(Sum, handler, { worker: "adder", lease: "10 minutes" }))
        yield* inBackground(bob, named)
        const { id } = yield* alice.run(Tasks.submit(Sum, { numbers: [] }, { to: "bob" }))
        yield* net.sleep("2 seconds")
        yield* net.crash(bob)
        yield* net.restart(bob)
        yield* inBackground(bob, named)
        const output = yield* alice.run(Effect.flatMap(Tasks.handle(Sum, id), ({ result }) => result))
        assert.deepStrictEqual(output, { sum: 0, attempt: 2 })
        assert.deepStrictEqual(begun, [1, 2])
        assert.isBelow(net.nowMs(), 60_000)
      })
    )
  )

  it.effect("a handler that fails, dies, or lies has its typed outcome; an interrupted call is cancelled there", () =>
    SimNet.run({ seed: 6003 }, (net) =>
      Effect.gen(function* () {
        const { alice, bob } = yield* pair(net)
        const attempts: Array<string> = []
        let isInterrupted = false
        const handler = ({ numbers }: { readonly numbers: ReadonlyArray<number> }) => {
          const [what = 0] = numbers
          attempts.push(String(what))
          if (what === 1) return Effect.fail("no sum today")
          if (what === 2) return Effect.die(new Error("broken"))
          if (what === 3) return Effect.succeed({ sum: 0.5, attempt: 1 })
          return Effect.onInterrupt(Effect.never, () =>
            Effect.sync(() => {
              isInterrupted = true
            })
          )
        }
        yield* inBackground(bob, Layer.launch(Tasks.serve(Sum, handler, { isRetryable: () => false })))
        const call = (what: number) => Effect.flip(Tasks.call(Sum, { numbers: [what] }, { to: "bob" }))
        const errors = yield* alice.run(Effect.forEach([1, 2, 3], call))
        assert.deepStrictEqual(
          errors.map((error) => [error._tag, error.message.replace(/^.*failed: /, "")]),
          [
            ["TaskFailed", "no sum today"],
            ["TaskFailed", "broken"],
            ["TaskFailed", "the result is not what sum promises"]
          ]
        )
        assert.deepStrictEqual(attempts, ["1", "2", "2", "2", "2", "2", "3"])

        const calling = yield* Effect.forkScoped(alice.run(Tasks.call(Sum, { numbers: [4] }, { to: "bob" })))
        yield* net.sleep("3 seconds")
        yield* Fiber.interrupt(calling)
        yield* net.sleep("20 seconds")
        assert.isTrue(isInterrupted)
      })
    )
  )

  it.effect(
    "a handler whose result or failure no text can hold, that gives up or hangs: each is typed, and the next is served",
    () =>
      SimNet.run({ seed: 6005 }, (net) =>
        Effect.gen(function* () {
          const { alice, bob } = yield* pair(net)
          const circle: { self?: unknown } = {}
          circle.self = circle
          const Any = Tasks.make("any", { input: Schema.String, output: Schema.Unknown })
          const huge = "x".repeat(1 << 27)
          const handler = (what: string) => {
            if (what === "circle") return Effect.succeed(circle)
            // More than any text can hold.
            if (what === "huge") return Effect.succeed([huge, huge, huge, huge])
            if (what === "large") return Effect.succeed("x".repeat(12_500_001))
            if (what === "function") return Effect.succeed(() => 1)
            if (what === "shameful") return Effect.fail(circle)
            if (what === "given up") return Effect.interrupt
            return what === "hangs" ? Effect.never : Effect.succeed(what)
          }
          const served = Tasks.serve(Any, handler, { timeout: "3 seconds" })
          yield* Effect.forkScoped(Effect.ignore(bob.run(Layer.launch(served))))
          const outcomes = yield* alice.run(
            Effect.forEach(["circle", "huge", "large", "function", "shameful", "given up", "hangs", "well"], (what) =>
              Effect.result(Tasks.call(Any, what, { to: "bob" }))
            )
          )
          assert.deepStrictEqual(
            outcomes.map((one) =>
              one._tag === "Success" ? one.success : one.failure.message.replace(/^.*failed: /, "")
            ),
            [
              "the result is too long, or no JSON",
              "the result is too long, or no JSON",
              "a result has at most 12500000 bytes: send a file instead",
              "the result is too long, or no JSON",
              "a failure that cannot be shown",
              "its handler was interrupted",
              "it took longer than 3s",
              "well"
            ]
          )
        })
      )
  )

  it.effect("the clocks of both ends jump, forth and back, while it is worked on: it is done, and by one attempt", () =>
    SimNet.run({ seed: 6007 }, (net) =>
      Effect.gen(function* () {
        const { alice, bob } = yield* pair(net)
        const begun: Array<number> = []
        yield* inBackground(bob, serving(net, begun))
        const { id } = yield* alice.run(
          Tasks.submit(Sum, { numbers: Array.from({ length: 8 }, () => 1) }, { to: "bob" })
        )
        for (const [node, by] of [
          [bob, "2 hours"],
          [alice, "3 hours"],
          [bob, "-5 hours"],
          [alice, "-5 hours"]
        ] as const) {
          yield* net.sleep("1500 millis")
          yield* net.skew(node, by)
        }
        const output = yield* alice.run(Effect.flatMap(Tasks.handle(Sum, id), ({ result }) => result))
        assert.deepStrictEqual(output, { sum: 8, attempt: begun.at(-1) })
        assert.strictEqual(new Set(begun).size, begun.length)
      })
    )
  )

  it.effect("so many at once and no more, the most urgent first, and a failure that may pass is tried again", () =>
    SimNet.run({ seed: 6008 }, (net) =>
      Effect.gen(function* () {
        const { alice, bob } = yield* pair(net)
        const Job = Tasks.make("job", { input: Schema.String, output: Schema.Int })
        const submit = (name: string, priority: number) => Tasks.submit(Job, name, { to: "bob", id: name, priority })
        yield* alice.run(
          Effect.forEach(
            [
              ["late", -5],
              ["plain", 0],
              ["first", 9],
              ["second", 3]
            ] as const,
            ([name, priority]) => submit(name, priority)
          )
        )
        yield* net.sleep("5 seconds")
        const begun: Array<string> = []
        const at = { once: 0, most: 0 }
        const handler = (name: string, { attempt }: Tasks.Job<never>) =>
          Effect.gen(function* () {
            begun.push(name)
            at.once++
            at.most = Math.max(at.most, at.once)
            yield* net.sleep("1 second")
            at.once--
            if (name === "second" && attempt < 3) return yield* Effect.fail("busy")
            return attempt
          })
        const served = Tasks.serve(Job, handler, { concurrency: 2, isRetryable: (why) => why === "busy" })
        yield* Effect.forkScoped(Effect.ignore(bob.run(Layer.launch(served))))
        const resultOf = (name: string) => Effect.flatMap(Tasks.handle(Job, name), ({ result }) => result)
        const attempts = yield* alice.run(
          Effect.forEach(["first", "second", "plain", "late"], resultOf, { concurrency: "unbounded" })
        )
        assert.deepStrictEqual(attempts, [1, 3, 1, 1])
        assert.deepStrictEqual(begun.slice(0, 4), ["first", "second", "plain", "late"])
        assert.strictEqual(at.most, 2)
      })
    )
  )

  it.effect("two workers share what there is, and a deadline ends what takes too long", () =>
    SimNet.run({ seed: 6004 }, (net) =>
      Effect.gen(function* () {
        const { alice, bob } = yield* pair(net)
        yield* inBackground(bob, serving(net))
        yield* inBackground(bob, serving(net))
        const results = yield* alice.run(
          Effect.forEach(
            [[1, 1, 1], [2, 2, 2], Array.from({ length: 60 }, () => 1)],
            (numbers, index) =>
              Effect.result(Tasks.call(Sum, { numbers }, { to: "bob", deadline: "20 seconds", id: `t${index}` })),
            { concurrency: "unbounded" }
          )
        )
        const [first, second, late] = results
        assert.deepStrictEqual(
          [first, second],
          [Result.succeed({ sum: 3, attempt: 1 }), Result.succeed({ sum: 6, attempt: 1 })]
        )
        assert.strictEqual(late?._tag === "Failure" ? late.failure._tag : "", "TaskExpired")
      })
    )
  )
})
