/** Types, Effect's diagnostics, formatting and lint of the whole checkout; the first failure ends it. */
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { join } from "node:path"

const modules = join(import.meta.dirname, "..", "node_modules")

/** Runs a program to its end, its output on ours; true if it succeeded. */
const run = (program, ...args) => spawnSync(process.execPath, [program, ...args], { stdio: "inherit" }).status === 0

const types = () => run(join(modules, "typescript", "bin", "tsc"), "-p", "tsconfig.json")

const formatAndLint = () => run(join(modules, "@biomejs", "biome", "bin", "biome"), "check", "--error-on-warnings", ".")

/** Floating effects, missing services and the like; the compiler that finds them exists for some platforms only. */
const effects = () => {
  const compiler = join(modules, "@effect", `tsgo-${process.platform}-${process.arch}`, "lib", "tsc")
  if (!existsSync(compiler)) return true
  const { stdout } = spawnSync(compiler, ["-p", "tsconfig.json", "--pretty", "false"], { encoding: "utf8" })
  const findings = stdout.split("\n").filter((line) => /: (error|warning) TS\d+: .* effect\(\w+\)$/.test(line))
  for (const finding of findings) console.error(finding)
  return findings.length === 0
}

for (const [name, check] of Object.entries({ types, effects, "format and lint": formatAndLint })) {
  if (!check()) {
    console.error(`check: ${name} failed`)
    process.exit(1)
  }
}
