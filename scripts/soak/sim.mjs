/** The mixed scenario of `test/sim`, seed after seed, on all cores. */
import { availableParallelism } from "node:os"
import { play } from "./seeds.mjs"

export const name = "sim"
export const summary = "the mixed scenario of the simulator, from many seeds"
export const options = {
  seeds: [10_000, "how many seeds"],
  from: [1, "the first one"],
  jobs: [availableParallelism(), "processes"]
}

export const run = (values) => play({ ...values, part: name, worker: "sim-worker.ts" })
