/** Each target as a test: together they take their share of the 200,000 inputs of one run of all tests. */
import { assert, describe, it } from "@effect/vitest"
import * as Fuzzer from "./Fuzzer.ts"

/** More with `FUZZ_INPUTS` (of all targets together), another run with `FUZZ_SEED`. */
export const SEED = Number(process.env["FUZZ_SEED"] ?? 20_260_214)
/** Of all targets together. */
export const INPUTS = Number(process.env["FUZZ_INPUTS"] ?? 200_000)

/** `share` is the part of all inputs that these targets get, in equal parts. */
export const run = (title: string, targets: ReadonlyArray<Fuzzer.Target>, share: number): void => {
  describe(title, () => {
    const inputs = Math.ceil((INPUTS * share) / targets.length)
    for (const target of targets)
      it(`${target.name} (seed ${SEED})`, { timeout: TIMEOUT_MS }, () => {
        assert.isAtLeast(Fuzzer.run(target, { seed: SEED, inputs }).inputs, inputs)
      })
  })
}

/** For long runs. */
const TIMEOUT_MS = 3_600_000
