/** The fuzz targets of `test/fuzz`, on all cores, for as many inputs as wanted. */
import { fork } from "node:child_process"
import { availableParallelism } from "node:os"
import { join } from "node:path"

export const name = "fuzz"
export const summary =
  "changed valid traffic for every decoder, for streams, tunnels and registries; names choose targets"
export const options = {
  inputs: [10_000_000, "how many, of all targets together"],
  seed: [20_260_214, "of everything"],
  from: [0, "the first case of each target"],
  jobs: [availableParallelism(), "processes"]
}

/** Decoders share this part of all inputs, sessions the rest. */
const DECODERS_SHARE = 0.75
/** Inputs between two looks at the queue. */
const PIECE = 20_000
/** What one piece may take; the slowest takes half a minute. */
const PATIENCE_MS = 900_000
const SHOWN_PER_TARGET = 3

export const run = async ({ from, inputs, jobs, seed }, names) => {
  const { all, decoders } = await import("../../test/fuzz/Targets.ts")
  const chosen = all.filter((target) => names.length === 0 || names.includes(target.name))
  if (names.some((wanted) => all.every((target) => target.name !== wanted)))
    return { passed: false, summary: `no such target; there are ${all.map((target) => target.name).join(" ")}` }
  const plan = pieces(chosen, decoders, { from, inputs })
  const results = new Map(chosen.map((target) => [target.name, { inputs: 0, ms: 0, found: [] }]))
  await Promise.all(Array.from({ length: Math.min(jobs, plan.length) }, () => work(plan, seed, results)))
  for (const [target, result] of results) {
    const perSecond = Math.round((1000 * result.inputs) / Math.max(1, result.ms))
    console.log(`${target.padEnd(26)}${String(result.inputs).padStart(10)} inputs  ${String(perSecond).padStart(8)} /s`)
  }
  const found = [...results.values()].flatMap((result) => result.found)
  for (const text of found) console.log(`\n${text}`)
  const total = [...results.values()].reduce((sum, result) => sum + result.inputs, 0)
  return { passed: found.length === 0, summary: `${total} inputs, ${results.size} targets, ${found.length} broken` }
}

/** Cases are numbered, so a piece is a range of them. */
const pieces = (chosen, decoders, { from, inputs }) => {
  const isDecoder = (target) => decoders.includes(target)
  const counts = [chosen.filter(isDecoder).length, chosen.filter((target) => !isDecoder(target)).length]
  return chosen.flatMap((target) => {
    const both = counts[0] > 0 && counts[1] > 0
    const part = !both ? 1 : isDecoder(target) ? DECODERS_SHARE : 1 - DECODERS_SHARE
    const cases = Math.ceil((inputs * part) / (isDecoder(target) ? counts[0] : counts[1]) / target.inputsPerCase)
    const step = Math.ceil(PIECE / target.inputsPerCase)
    return Array.from({ length: Math.ceil(cases / step) }, (_, index) => ({
      target: target.name,
      from: from + index * step,
      cases: Math.min(step, cases - index * step)
    }))
  })
}

/** One process after another until there is nothing left; one that dies or hangs is a finding. */
const work = async (plan, seed, results) => {
  while (plan.length > 0) {
    const worker = fork(join(import.meta.dirname, "fuzz-worker.ts"), { stdio: ["ignore", "ignore", "inherit", "ipc"] })
    for (let piece = plan.shift(); piece !== undefined; piece = plan.shift()) {
      const answer = await ask(worker, { ...piece, seed })
      const result = results.get(piece.target)
      result.inputs += answer.inputs ?? 0
      result.ms += answer.ms ?? 0
      if (answer.error !== undefined && result.found.length < SHOWN_PER_TARGET) {
        result.found.push(answer.error)
        console.log(answer.error.split("\n")[0])
      }
      if (answer.isDead) break
    }
    worker.kill()
  }
}

const ask = (worker, piece) =>
  new Promise((resolve) => {
    const where = `${piece.target}: seed ${piece.seed}, ${piece.cases} cases from ${piece.from}`
    const settle = (answer) => {
      clearTimeout(timer)
      worker.off("message", settle)
      worker.off("exit", ended)
      resolve(answer)
    }
    const ended = () => settle({ isDead: true, error: `${where}: the process ended` })
    const timer = setTimeout(() => {
      worker.kill("SIGKILL")
      settle({ isDead: true, error: `${where}: it does not end` })
    }, PATIENCE_MS)
    worker.on("message", settle)
    worker.on("exit", ended)
    worker.send(piece)
  })
