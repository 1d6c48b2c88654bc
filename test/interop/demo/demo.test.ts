import { readdirSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as PilotProcesses from "../../support/PilotProcesses.ts"

const PROGRAM = new URL("../../../examples/demo/main.ts", import.meta.url).pathname

/** The demo with a temporary directory of its own, by which everything it starts is known. */
const start = Effect.gen(function* () {
  const directory = yield* PilotProcesses.directory
  const environment = { PATH: process.env["PATH"] ?? "", HOME: directory, TMPDIR: directory }
  const demo = yield* PilotProcesses.watch(process.execPath, [PROGRAM], environment)
  return { demo, directory }
})

const assertNothingLeft = (directory: string) => {
  assert.deepStrictEqual(PilotProcesses.living(directory), [])
  assert.deepStrictEqual(readdirSync(directory), [])
}

describe("the demo", () => {
  it.live("an agent calls two tools of another node, one with progress, and leaves nothing behind", () =>
    Effect.gen(function* () {
      const { demo, directory } = yield* start

      assert.strictEqual(yield* demo.exited, 0, demo.output())

      const lines = demo
        .output()
        .split("\n")
        .map((line) => line.trim())
      assert.include(lines, "tools/call echo: Echo: hello from the agent")
      assert.deepStrictEqual(
        lines.filter((line) => line.startsWith("progress: ")),
        [1, 2, 3, 4].map((step) => `progress: ${step} of 4`)
      )
      assert.include(
        lines,
        "tools/call trigger-long-running-operation: Long running operation completed. Duration: 2 seconds, Steps: 4."
      )
      assert.match(demo.output(), /path: direct, encrypted, round trip [\d.]+ ms/)
      assert.match(demo.output(), /mcp-host: address 0:0000\.0000\.0001, key (\w{4}-){7}\w{4}/)
      assertNothingLeft(directory)
    }).pipe(Effect.scoped)
  )

  const moments: ReadonlyArray<readonly [string, (started: Started) => Effect.Effect<void, Error>]> = [
    ["while a node starts", ({ directory }) => PilotProcesses.until(isStarting(directory))],
    ["when the nodes are up", ({ demo }) => demo.printed("they establish trust")],
    ["during a tool call", ({ demo }) => demo.printed("progress: 1 of 4")]
  ]
  for (const [moment, hasCome] of moments) {
    it.live(`Ctrl-C ${moment} stops everything it started and leaves nothing behind`, () =>
      Effect.gen(function* () {
        const started = yield* start
        yield* hasCome(started)

        // A terminal tells the whole process group.
        process.kill(-(started.demo.child.pid ?? 0), "SIGINT")

        assert.notStrictEqual(yield* started.demo.exited, 0)
        assertNothingLeft(started.directory)
      }).pipe(Effect.scoped)
    )
  }
})

type Started = Effect.Success<typeof start>

/** The daemon's process is there, and the command that waits for it too. */
const isStarting = (directory: string) => Effect.sync(() => PilotProcesses.running(directory, "_daemon-run").length > 0)
