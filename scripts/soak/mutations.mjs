/**
 * Breaks the code in one line at a time and watches the simulations fail, so that their checkers are known to see: the mixed
 * scenario for every mutation that does not name another one.
 */
import { spawnSync } from "node:child_process"
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { MUTATIONS } from "./mutation-list.ts"

const root = join(import.meta.dirname, "..", "..")

export const name = "mutations"
export const summary = "each line of scripts/soak/mutation-list.ts makes the simulations fail; names choose some"
export const options = { seeds: [6, "seeds of the mixed scenario for each"] }

export const run = async ({ seeds }, names) => {
  const unknown = names.filter((wanted) => MUTATIONS.every((mutation) => mutation.name !== wanted))
  if (unknown.length > 0) return { passed: false, summary: `no such mutation: ${unknown.join(" ")}` }
  const chosen = MUTATIONS.filter((mutation) => names.length === 0 || names.includes(mutation.name))
  const directory = mkdtempSync(join(tmpdir(), "effect-pilot-mutants-"))
  for (const entry of ["src", "test", "scripts", "package.json", "tsconfig.json", "vitest.config.ts"]) {
    cpSync(join(root, entry), join(directory, entry), { recursive: true })
  }
  symlinkSync(join(root, "node_modules"), join(directory, "node_modules"))
  try {
    const scenarios = new Set(chosen.map(({ scenario }) => scenario))
    for (const scenario of scenarios) {
      const sound = failure(directory, seeds, scenario)
      if (sound !== undefined) return { passed: false, summary: `it fails without any mutation: ${sound}` }
    }
    const survivors = chosen
      .filter((mutation) => !isCaught(directory, seeds, mutation))
      .map((mutation) => mutation.name)
    const isMixed = ({ name: mutation, scenario }) => scenario === undefined && !survivors.includes(mutation)
    const caught = `${chosen.length - survivors.length} of ${chosen.length} caught, ${chosen.filter(isMixed).length} of them by the mixed scenario`
    return {
      passed: survivors.length === 0,
      summary: survivors.length === 0 ? caught : `${caught}; survived: ${survivors.join(" ")}`
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

const isCaught = (directory, seeds, { file, from, name: mutation, scenario, to }) => {
  const path = join(directory, "src", file)
  const text = readFileSync(path, "utf8")
  if (text.split(from).length !== 2) throw new Error(`${mutation}: ${file} has not exactly one of: ${from}`)
  writeFileSync(
    path,
    text.replace(from, () => to)
  )
  const reason = failure(directory, seeds, scenario)
  writeFileSync(path, text)
  console.log(
    `${reason === undefined ? "SURVIVED" : "caught  "}  ${mutation}${reason === undefined ? "" : `: ${reason}`}`
  )
  return reason !== undefined
}

/** Why a scenario fails, `undefined` if it passes. A run that could not even begin is neither. */
const failure = (directory, seeds, scenario) =>
  scenario === undefined ? mixed(directory, seeds) : other(directory, scenario)

const mixed = (directory, seeds) => {
  const { error, status, stdout, stderr } = start(directory, [join("scripts", "soak", "mixed.ts"), "1", String(seeds)])
  if (status === 0) return undefined
  if (error !== undefined) return TOO_LONG
  const [line = ""] = stdout.split("\n")
  if (!line.startsWith("seed ")) throw new Error(`the scenario did not run:\n${stdout}${stderr}`)
  return line.slice(0, LINE_MAX)
}

const other = (directory, scenario) => {
  const vitest = join(root, "node_modules", "vitest", "vitest.mjs")
  // A slow machine is no mutation: the tests have all the time they want.
  const patience = [`--testTimeout=${TIMEOUT_MS}`, `--hookTimeout=${TIMEOUT_MS}`]
  const args = [vitest, "run", "--bail=1", ...patience, join("test", "sim", scenario)]
  const { error, status, stdout, stderr } = start(directory, args)
  if (status === 0) return undefined
  if (error !== undefined) return TOO_LONG
  if (!/^ *Tests .*failed/m.test(stdout)) throw new Error(`the tests did not run:\n${stdout}${stderr}`)
  const reason = /ERROR \(#\d+\): (.*)/.exec(stdout)?.[1] ?? /^ *(\w*Error: .*)$/m.exec(stdout)?.[1] ?? "a test"
  return `${scenario}: ${reason}`.slice(0, LINE_MAX)
}

const start = (directory, args) =>
  spawnSync(process.execPath, args, {
    cwd: directory,
    encoding: "utf8",
    timeout: TIMEOUT_MS,
    env: { ...process.env, NO_COLOR: "1" }
  })

const TIMEOUT_MS = 900_000
const TOO_LONG = `it does not end within ${TIMEOUT_MS / 60_000} minutes`
const LINE_MAX = 160
