import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as SimNet from "../../src/testing/SimNet.ts"
import * as MixedScenario from "./MixedScenario.ts"

/** What half a minute of a small machine holds. `SIM_SEEDS` asks for more, `SIM_SEED` for another first one. */
const SEEDS = Number(process.env["SIM_SEEDS"] ?? 8)
const FIRST_SEED = Number(process.env["SIM_SEED"] ?? 1)

/** Far more than a minute of virtual time takes; a loaded machine is no reason to fail. */
const PATIENCE_MS = 120_000

const minute = (seed: number) =>
  SimNet.run({ seed }, (net) =>
    Effect.map(MixedScenario.play(net), (played) => ({ ...played, hash: net.hash(), checkedBytes: net.checkedBytes() }))
  )

/** Each call has a result, or a reason that says whether it may be repeated; a power cut takes its call along. */
const assertCalls = ({ end, outcomes }: MixedScenario.Calls) => {
  const failed = [...outcomes.values()].filter((outcome) => outcome._tag === "Failed")
  for (const { code, delivered, retryable } of failed) {
    assert.deepInclude([UNREACHABLE, OUTCOME_UNKNOWN], { code, delivered, retryable })
  }
  for (const [id, outcome] of outcomes) if (outcome._tag === "Result") assert.strictEqual(outcome.text, `call ${id}`)
  if (end === "crash") assert.isAbove(failed.length, 0)
  assert.isAbove(outcomes.size - failed.length, failed.length)
}

const UNREACHABLE = { code: -31001, delivered: false, retryable: true }
const OUTCOME_UNKNOWN = { code: -31002, delivered: true, retryable: false }

describe("a minute of seven nodes behind translators, with losses, a crash and a rendezvous that goes away", () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    it.effect(
      `seed ${seed}: streams deliver what was written, every pair recovers, nothing is in clear, nothing is left`,
      () =>
        Effect.gen(function* () {
          const { calls, checkedBytes, tallies } = yield* minute(seed)

          for (const { exchanged, pair } of tallies) assert.isAbove(exchanged, 3, pair)
          assert.strictEqual(tallies.find(({ pair }) => pair === "carol > dave")?.path, "relay")
          assert.isAbove(checkedBytes, 1_000_000)
          assertCalls(calls)
        }),
      PATIENCE_MS
    )
  }

  it.effect(
    "replays bit for bit",
    () =>
      Effect.gen(function* () {
        const first = yield* minute(FIRST_SEED)

        assert.deepStrictEqual(yield* minute(FIRST_SEED), first)
      }),
    PATIENCE_MS
  )
})
