import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as PilotProcesses from "../../support/PilotProcesses.ts"

const file = (path: string) => new URL(`../../../${path}`, import.meta.url).pathname
const play = (...args: ReadonlyArray<string>) =>
  PilotProcesses.run(process.execPath, [file("examples/main.ts"), ...args], { PATH: process.env["PATH"] ?? "" })

describe("npm run example", () => {
  it.live("says which examples there are; each is in the table of examples/README.md", () =>
    Effect.gen(function* () {
      const { exitCode, stdout } = yield* play()
      assert.strictEqual(exitCode, 0)
      const names = [...stdout.matchAll(/^ {2}(\w+) /gm)].map(([, name]) => name)
      assert.includeMembers(names, ["research", "swarm"])
      const table = readFileSync(file("examples/README.md"), "utf8")
      for (const name of names) assert.include(table, `npm run example -- ${name}\``)
    })
  )

  it.live("a wrong name or seed is told with a code and a hint", () =>
    Effect.gen(function* () {
      const wrong = yield* play("swarms")
      assert.strictEqual(wrong.exitCode, 1)
      assert.include(wrong.stderr, 'error: there is no example "swarms" (unknown_example)')
      assert.match(wrong.stderr, /^hint: {2}npm run example -- NAME, one of .*swarm/m)
      const seed = yield* play("swarm", "x")
      assert.strictEqual(seed.exitCode, 1)
      assert.include(seed.stderr, 'error: "x" is no seed (invalid_argument)')
      assert.include(seed.stderr, "hint:  npm run example -- swarm 42")
    })
  )

  it.live("plays, and says what it shows", () =>
    Effect.gen(function* () {
      const { exitCode, stdout } = yield* play("reports", "7")
      assert.strictEqual(exitCode, 0)
      assert.match(stdout, /^reports: a database agent and a report agent/)
      assert.include(stdout, "  Sales: 2 sales, 1230 in Q4, up 23%\n")
    })
  )
})
