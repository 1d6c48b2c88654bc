/** Breaks the code in one line at a time and watches the simulations fail, so that their checkers are known to see. */
import { spawnSync } from "node:child_process"
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { MUTATIONS } from "./mutation-list.ts"

const root = join(import.meta.dirname, "..", "..")

export const name = "mutations"
export const summary = "each line of scripts/soak/mutation-list.ts makes the simulations fail; names choose some"
export const options = { seeds: [4, "seeds of the mixed scenario for each"] }

export const run = async ({ seeds }, names) => {
  const unknown = names.filter((wanted) => MUTATIONS.every((mutation) => mutation.name !== wanted))
  if (unknown.length > 0) return { passed: false, summary: `no such mutation: ${unknown.join(" ")}` }
  const chosen = MUTATIONS.filter((mutation) => names.length === 0 || names.includes(mutation.name))
  const directory = mkdtempSync(join(tmpdir(), "effect-pilot-mutants-"))
  for (const entry of ["src", "test", "package.json", "tsconfig.json", "vitest.config.ts"]) {
    cpSync(join(root, entry), join(directory, entry), { recursive: true })
  }
  symlinkSync(join(root, "node_modules"), join(directory, "node_modules"))
  try {
    const sound = failure(directory, seeds)
    if (sound !== undefined) return { passed: false, summary: `the simulations fail without any mutation: ${sound}` }
    const survivors = chosen
      .filter((mutation) => !isCaught(directory, seeds, mutation))
      .map((mutation) => mutation.name)
    const caught = `${chosen.length - survivors.length} of ${chosen.length} caught`
    return {
      passed: survivors.length === 0,
      summary: survivors.length === 0 ? caught : `${caught}; survived: ${survivors.join(" ")}`
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

const isCaught = (directory, seeds, { file, from, name: mutation, to }) => {
  const path = join(directory, "src", file)
  const text = readFileSync(path, "utf8")
  if (text.split(from).length !== 2) throw new Error(`${mutation}: ${file} has not exactly one of: ${from}`)
  writeFileSync(
    path,
    text.replace(from, () => to)
  )
  const reason = failure(directory, seeds)
  writeFileSync(path, text)
  console.log(
    `${reason === undefined ? "SURVIVED" : "caught  "}  ${mutation}${reason === undefined ? "" : `: ${reason}`}`
  )
  return reason !== undefined
}

/** Why the simulations fail, `undefined` if they pass. A run that could not even begin is neither. */
const failure = (directory, seeds) => {
  const vitest = join(root, "node_modules", "vitest", "vitest.mjs")
  const { error, status, stdout, stderr } = spawnSync(process.execPath, [vitest, "run", "--bail=1", "test/sim"], {
    cwd: directory,
    encoding: "utf8",
    timeout: TIMEOUT_MS,
    env: { ...process.env, NO_COLOR: "1", SIM_SEEDS: String(seeds) }
  })
  if (status === 0) return undefined
  if (error !== undefined) return `it does not end within ${TIMEOUT_MS / 60_000} minutes`
  if (!/^ *Tests .*failed/m.test(stdout)) throw new Error(`the tests did not run:\n${stdout}${stderr}`)
  const seed = /simulation failed: (seed \d+)/.exec(stderr)?.[1] ?? "a seed"
  const reason = /ERROR \(#\d+\): (.*)/.exec(stdout)?.[1] ?? /^ *(\w*Error: .*)$/m.exec(stdout)?.[1] ?? "a test"
  return `${seed}, ${reason.slice(0, LINE_MAX)}`
}

const TIMEOUT_MS = 900_000
const LINE_MAX = 160
