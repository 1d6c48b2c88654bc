import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as TaskCrashes from "./TaskCrashes.ts"

const CRASHES = 25

describe("tasks between processes that are killed", () => {
  it.live(
    `kill -9 of either daemon or of the worker, ${CRASHES} times: what was acknowledged has one result`,
    () =>
      Effect.gen(function* () {
        const { acknowledged, begun, crashes, problems } = yield* TaskCrashes.run({ crashes: CRASHES, seed: 1 })
        assert.deepStrictEqual(problems, [])
        assert.strictEqual(crashes, CRASHES)
        assert.isAbove(acknowledged, CRASHES)
        // Some were killed in the middle of their work, or this has shown nothing.
        assert.isAbove(begun, acknowledged)
      }),
    { timeout: 300_000 }
  )
})
