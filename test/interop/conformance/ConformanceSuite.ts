/** Runs the official conformance suite against a URL, as a process of its own, and reads what it found. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Schema } from "effect"
import * as PilotProcesses from "../../support/PilotProcesses.ts"

/** The frozen sets of scenarios that a revision requires. */
export type Requirements = "2025-11-25" | "2026-07-28"

/** What each check came to, by `scenario/check`; a check that a scenario makes more than once is numbered. */
export type Verdicts = ReadonlyMap<string, string>

/** Verdicts of all scenarios of that revision, those about extensions and pending ones included. */
export const run = (url: string, requirements: Requirements): Effect.Effect<Verdicts> =>
  Effect.acquireUseRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "conformance-"))),
    (directory) =>
      Effect.gen(function* () {
        const options = ["server", "--url", url, "--requirements", requirements, "-o", directory]
        const environment = { PATH: process.env["PATH"] ?? "", HOME: directory }
        const { stderr, stdout } = yield* PilotProcesses.run(
          process.execPath,
          [SUITE, ...options],
          environment,
          directory
        )
        const verdicts = readAll(directory)
        return verdicts.size > 0
          ? verdicts
          : yield* Effect.die(new Error(`the suite found nothing: ${stdout}${stderr}`))
      }),
    (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
  )

const readAll = (directory: string): Verdicts => {
  const verdicts = new Map<string, string>()
  for (const entry of readdirSync(directory).toSorted()) {
    const scenario = entry.replace(/^server-/, "").replace(/-\d{4}-\d\d-\d\dT.*$/, "")
    const file = join(directory, entry, "checks.json")
    // A scenario that gave up leaves no checks.
    if (!existsSync(file)) continue
    const checks = Schema.decodeUnknownSync(Checks)(JSON.parse(readFileSync(file, "utf8")))
    for (const { id, status } of checks) {
      if (status === "INFO") continue
      let key = `${scenario}/${id}`
      for (let n = 2; verdicts.has(key); n++) key = `${scenario}/${id}#${n}`
      verdicts.set(key, status)
    }
  }
  return verdicts
}

/** The checks whose verdicts differ, each with both; one that was not made is `absent`. */
export const differences = (direct: Verdicts, bridged: Verdicts): ReadonlyMap<string, readonly [string, string]> =>
  new Map(
    [...new Set([...direct.keys(), ...bridged.keys()])].flatMap((key) => {
      const pair = [direct.get(key) ?? "absent", bridged.get(key) ?? "absent"] as const
      return pair[0] === pair[1] ? [] : [[key, pair] as const]
    })
  )

/** How many checks came to that verdict. */
export const count = (verdicts: Verdicts, status: string): number =>
  [...verdicts.values()].filter((verdict) => verdict === status).length

const Checks = Schema.Array(Schema.Struct({ id: Schema.String, status: Schema.String }))
const SUITE = new URL("../../../node_modules/@modelcontextprotocol/conformance/dist/index.js", import.meta.url).pathname
