/** Every kind of translator against every other one, at random distances, seed after seed; prints which paths they got. */
import { availableParallelism } from "node:os"
import { play } from "./seeds.mjs"

export const name = "nat"
export const summary =
  "translators against each other in the simulator: paths, first bytes, and times until they are direct"
export const options = {
  seeds: [7_000, "how many seeds; one plays one of seven kinds against all, so 7,000 are 1,000 for each pair"],
  from: [1, "the first one"],
  jobs: [availableParallelism(), "processes"]
}

export const run = async (values) => {
  const pairs = new Map()
  const heard = ({ outcomes = [] }) => {
    for (const { directMs, firstByteMs, from, theory, to } of outcomes) {
      const pair = `${from} to ${to}`
      const rows = pairs.get(pair) ?? []
      rows.push({ directMs, firstByteMs, theory })
      pairs.set(pair, rows)
    }
  }
  const result = await play({ ...values, part: name, worker: "nat-worker.ts", heard })
  console.log(
    "\n| from to | seeds | direct | in theory | first byte, median (ms) | the longest | direct after, median | the longest |"
  )
  console.log("| --- | --- | --- | --- | --- | --- | --- | --- |")
  for (const [pair, rows] of pairs) {
    const direct = rows.flatMap(({ directMs }) => (directMs === undefined ? [] : [directMs])).toSorted((a, b) => a - b)
    const first = rows.map(({ firstByteMs }) => firstByteMs).toSorted((a, b) => a - b)
    const figures = [...middleAndEnd(first), ...middleAndEnd(direct)].join(" | ")
    const share = Math.round((1000 * direct.length) / rows.length) / 10
    console.log(`| ${pair} | ${rows.length} | ${share} % | ${rows[0].theory} | ${figures} |`)
  }
  return result
}

const middleAndEnd = (sorted) =>
  sorted.length === 0 ? ["", ""] : [sorted[sorted.length >> 1], sorted.at(-1)].map((value) => Math.round(value))
