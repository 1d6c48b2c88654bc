import { writeFile } from "node:fs/promises"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as CliRig from "../support/CliRig.ts"
import * as ModelDaemon from "../support/ModelDaemon.ts"
import vectors from "../vectors/node.json" with { type: "json" }

/** Not part of this program yet: tasks. The first frame of our event streams carries an offer (decision 50). */
const LATER = new Set(["task", "publish", "subscribe"])

describe("pilotctl asks a daemon of the reference", () => {
  const traces = vectors.cli.ipc_traces.filter(({ command }) => !LATER.has(command[1] ?? ""))

  for (const { command, frames } of traces) {
    it.effect(`${command.slice(1).join(" ")}: the recorded frames, in their order (node §1.3)`, () =>
      Effect.gen(function* () {
        const rig = yield* CliRig.make()
        const { daemon, rest } = ModelDaemon.replaying(frames)
        yield* Effect.promise(() => writeFile(`${rig.home}/note.txt`, "file body\n"))
        const outcome = yield* rig.run(
          daemon,
          command.map((word) => word.replace("<FILES>", rig.home))
        )

        assert.deepStrictEqual(outcome.stderr, "")
        assert.deepStrictEqual({ exit: outcome.exit, rest: rest() }, { exit: 0, rest: [] })
      })
    )
  }
})
