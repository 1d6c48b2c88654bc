import { readdirSync } from "node:fs"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as PilotProcesses from "../../support/PilotProcesses.ts"

const PROGRAM = new URL("../../../examples/main.ts", import.meta.url).pathname

it.live(
  "the A2A client from npm reads a peer's card and follows its tasks; who is not named reads nothing",
  () =>
    Effect.gen(function* () {
      const directory = yield* PilotProcesses.directory
      const environment = { PATH: process.env["PATH"] ?? "", HOME: directory, TMPDIR: directory }
      const { exitCode, stderr, stdout } = yield* PilotProcesses.run(process.execPath, [PROGRAM, "a2a"], environment)

      assert.strictEqual(exitCode, 0, stdout + stderr)
      const facts = (name: string) =>
        [...stdout.matchAll(new RegExp(`^    ${name}: (.*)$`, "gm"))].map(([, text]) => text)
      assert.deepStrictEqual(facts("card"), ["Warehouse: Says how many of an article are in stock"])
      assert.deepStrictEqual(facts("bolts"), ["SUBMITTED", "WORKING", "1200 bolts, for shop", "COMPLETED"])
      assert.deepStrictEqual(facts("unicorns"), ["SUBMITTED", "WORKING", "FAILED"])
      assert.match(facts("visitor")[0] ?? "", /^no card: fetch failed/)
      assert.deepStrictEqual(readdirSync(directory), [])
    }).pipe(Effect.scoped),
  120_000
)
