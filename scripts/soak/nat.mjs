/** Every kind of translator against every other one, at random distances, seed after seed; prints which paths they got. */
import { availableParallelism } from "node:os"
import { play } from "./seeds.mjs"

export const name = "nat"
export const summary =
  "translators against each other in the simulator: paths, first bytes, and times until they are direct"
export const options = {
  seeds: [1_000, "how many seeds"],
  from: [1, "the first one"],
  jobs: [availableParallelism(), "processes"]
}

export const run = async (values) => {
  const pairs = new Map()
  const heard = ({ outcomes = [] }) => {
    for (const { directMs, firstByteMs, from, to } of outcomes) {
      const pair = `${from} to ${to}`
      const rows = pairs.get(pair) ?? []
      rows.push({ directMs, firstByteMs })
      pairs.set(pair, rows)
    }
  }
  const result = await play({ ...values, part: name, worker: "nat-worker.ts", heard })
  console.log(
    "\n| from to | seeds | direct | first byte, median (ms) | the longest | direct after, median | the longest |"
  )
  console.log("| --- | --- | --- | --- | --- | --- | --- |")
  for (const [pair, rows] of pairs) {
    const direct = rows.flatMap(({ directMs }) => (directMs === undefined ? [] : [directMs])).toSorted((a, b) => a - b)
    const first = rows.map(({ firstByteMs }) => firstByteMs).toSorted((a, b) => a - b)
    const figures = [...middleAndEnd(first), ...middleAndEnd(direct)].join(" | ")
    console.log(`| ${pair} | ${rows.length} | ${Math.round((100 * direct.length) / rows.length)} % | ${figures} |`)
  }
  return result
}

const middleAndEnd = (sorted) =>
  sorted.length === 0 ? ["", ""] : [sorted[sorted.length >> 1], sorted.at(-1)].map((value) => Math.round(value))
