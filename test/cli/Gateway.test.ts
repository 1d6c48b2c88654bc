import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as CliRig from "../support/CliRig.ts"
import * as ModelDaemon from "../support/ModelDaemon.ts"

/** Words, and what the refusal must say. */
const WRONG: ReadonlyArray<readonly [words: string, message: RegExp]> = [
  ["start self", /--ports is required with self/],
  ["start --ports x self", /invalid port "x"/],
  ["start --ports 0 self", /invalid --ports "0"/],
  ["start --ports 8080", /--ports leads nowhere/],
  ["start --ports 8080 --alow agent self", /unknown flag --alow/],
  ["start --ports 8080 --allow agent mcp-host", /--allow goes with self/],
  ["start --http --map 80=a:1", /--http goes with self/],
  ["start --map bad", /invalid mapping "bad"/],
  ["start --map 0.0.0.0:80=a:1", /0\.0\.0\.0 can be reached from other machines/],
  ["start --proxy nope", /invalid --proxy "nope"/],
  ["start --subnet zz a", /create gateway: parse subnet: invalid CIDR address: zz/],
  ["map", /usage: pilotctl gateway map/],
  ["list extra", /unexpected argument "extra"/],
  ["list", /gateway is not running/],
  ["unmap 127.44.0.1", /gateway is not running/],
  ["stop", /gateway is not running/]
]

describe("pilotctl gateway", () => {
  it.effect("refuses wrong words before it opens anything, and says which", () =>
    Effect.gen(function* () {
      const rig = yield* CliRig.make()
      const daemon = ModelDaemon.make(undefined)
      for (const [words, message] of WRONG) {
        const { exit, stderr } = yield* rig.run(daemon, ["gateway", ...words.split(" ")])
        assert.match(stderr, message, words)
        assert.strictEqual(exit, 1, words)
      }
    }).pipe(Effect.scoped)
  )
})
