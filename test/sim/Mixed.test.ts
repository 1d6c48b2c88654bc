import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as MixedScenario from "./MixedScenario.ts"
import * as MixedSuite from "./MixedSuite.ts"
import { PATIENCE_MS } from "./Patience.ts"

MixedSuite.play("first", 0)

describe("the mixed scenario", () => {
  it.effect(
    "replays bit for bit",
    () =>
      Effect.gen(function* () {
        const first = yield* MixedScenario.minute(MixedSuite.FIRST_SEED)

        assert.deepStrictEqual(yield* MixedScenario.minute(MixedSuite.FIRST_SEED), first)
      }),
    PATIENCE_MS
  )
})
