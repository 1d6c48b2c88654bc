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
    Effect.map(MixedScenario.play(net), (tallies) => ({ tallies, hash: net.hash(), checkedBytes: net.checkedBytes() }))
  )

describe("a minute of seven nodes behind translators, with losses, a crash and a rendezvous that goes away", () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    it.effect(
      `seed ${seed}: streams deliver what was written, every pair recovers, nothing is in clear, nothing is left`,
      () =>
        Effect.gen(function* () {
          const { checkedBytes, tallies } = yield* minute(seed)

          for (const { exchanged, pair } of tallies) assert.isAbove(exchanged, 3, pair)
          assert.strictEqual(tallies.find(({ pair }) => pair === "carol > dave")?.path, "relay")
          assert.isAbove(checkedBytes, 1_000_000)
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
