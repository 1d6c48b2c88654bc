/** A standing checker over a long flow of tasks whose both ends lose power at random moments: none is lost, none is done twice. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Random, Schema } from "effect"
import * as Tasks from "../../src/api/Tasks.ts"
import * as SimNet from "../../src/testing/SimNet.ts"
import { PATIENCE_MS } from "./Patience.ts"

/** `npm run soak -- tasks` asks for more. */
const CRASHES = Number(process.env["TASK_SIM_CRASHES"] ?? 5)
const PER_RUN = Math.min(CRASHES, 15)

const Twice = Tasks.make("twice", {
  input: Schema.Struct({ number: Schema.Int }),
  output: Schema.Struct({ twice: Schema.Int, attempt: Schema.Int })
})

/**
 * Each submission that returned is in `acknowledged`; a program that is killed between is started again by the caller. It ends
 * with no submission under way, so that what it has acknowledged is then all that there is.
 */
const submitting = (net: SimNet.SimNet, acknowledged: Set<string>, isOver: () => boolean, next: { index: number }) =>
  Effect.gen(function* () {
    for (;;) {
      const number = next.index
      const id = `t${number}`
      const submitted = yield* Effect.result(Tasks.submit(Twice, { number }, { to: "bob", id }))
      // The same number again: the same task, whether the one before was stored or not.
      if (submitted._tag === "Success") {
        acknowledged.add(id)
        next.index++
        if (isOver()) return
      }
      yield* net.sleep(submitted._tag === "Success" ? "150 millis" : "500 millis")
    }
  })

const serving = (net: SimNet.SimNet, begun: Map<string, Array<number>>) =>
  Layer.launch(
    Tasks.serve(
      Twice,
      ({ number }, job) =>
        Effect.gen(function* () {
          begun.set(job.id, [...(begun.get(job.id) ?? []), job.attempt])
          yield* net.sleep("300 millis")
          return { twice: 2 * number, attempt: job.attempt }
        }),
      { concurrency: 4 }
    )
  )

const run = (seed: number, crashes: number) =>
  SimNet.run({ seed }, (net) =>
    Effect.gen(function* () {
      const alice = yield* net.node("alice")
      const bob = yield* net.node("bob")
      yield* net.trust(alice, bob)
      const acknowledged = new Set<string>()
      const begun = new Map<string, Array<number>>()
      const next = { index: 0 }
      let isOver = false
      const background = (effect: Effect.Effect<unknown, unknown, never>) =>
        Effect.forkScoped(Effect.ignore(Effect.sandbox(effect)))
      const submits = () => background(alice.run(submitting(net, acknowledged, () => isOver, next)))
      const serves = () => background(bob.run(serving(net, begun)))
      let submitter = yield* submits()
      yield* serves()
      for (let crash = 0; crash < crashes; crash++) {
        yield* net.sleep(`${yield* Random.nextIntBetween(50, 3_000)} millis`)
        const isBob = yield* Random.nextBoolean
        const node = isBob ? bob : alice
        yield* net.crash(node)
        yield* net.sleep(`${yield* Random.nextIntBetween(1, 2_000)} millis`)
        yield* net.restart(node)
        if (isBob) yield* serves()
        else submitter = yield* submits()
      }
      isOver = true
      yield* Fiber.join(submitter)
      return { acknowledged, begun, results: yield* alice.run(resultsOf([...acknowledged])) }
    })
  )

const resultsOf = (ids: ReadonlyArray<string>) =>
  Effect.forEach(
    ids,
    (id) => Effect.flatMap(Tasks.handle(Twice, id), ({ result }) => Effect.map(result, (value) => ({ id, ...value }))),
    { concurrency: "unbounded" }
  )

describe("tasks while both ends crash", { timeout: PATIENCE_MS + CRASHES * 2_000 }, () => {
  for (let index = 0; index * PER_RUN < CRASHES; index++)
    it.effect(`seed ${6100 + index}: what was acknowledged is done, once`, () =>
      Effect.gen(function* () {
        const { acknowledged, begun, results } = yield* run(6100 + index, PER_RUN)
        assert.isAbove(acknowledged.size, PER_RUN)
        assert.strictEqual(results.length, acknowledged.size)
        for (const { attempt, id, twice } of results) {
          assert.strictEqual(twice, 2 * Number(id.slice(1)))
          const attempts = begun.get(id) ?? []
          // No attempt is given to two workers, and the one whose result counts is the last that was begun.
          assert.strictEqual(new Set(attempts).size, attempts.length, `${id}: ${attempts.join()}`)
          assert.strictEqual(Math.max(...attempts), attempt, id)
        }
        // Nothing that nobody submitted.
        for (const id of begun.keys()) assert.isTrue(acknowledged.has(id), id)
      })
    )
})
