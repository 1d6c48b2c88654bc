import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Json from "../../src/core/data/Json.ts"
import * as CliRig from "../support/CliRig.ts"
import * as ModelDaemon from "../support/ModelDaemon.ts"

/** The refusal of a command by a machine without a daemon; each is one of the command line, with a hint. */
const refusal = Effect.fnUntraced(function* (words: string, code = "invalid_argument") {
  const rig = yield* CliRig.make()
  const { exit, stderr } = yield* rig.run(ModelDaemon.make(undefined), ["--json", "mcp", ...words.split(" ")])
  assert.strictEqual(exit, 1, words)
  const error = Json.parseObject(stderr.trim().split("\n").at(-1) ?? "") ?? {}
  assert.strictEqual(Json.string(error, "code"), code, words)
  assert.notStrictEqual(Json.string(error, "hint"), "", words)
  return Json.string(error, "message")
})

describe("flags of pilotctl mcp", () => {
  it.effect("a bad value is told by its flag, with a hint", () =>
    Effect.gen(function* () {
      const cases: ReadonlyArray<readonly [words: string, message: string]> = [
        ["expose files --port 99999 -- cat", 'invalid --port "99999"'],
        ["expose files --port 0 -- cat", 'invalid --port "0"'],
        ["expose files --port x -- cat", 'invalid --port "x"'],
        ["expose files --concurrent x -- cat", 'invalid --concurrent "x"'],
        ["expose files --concurrent 0 -- cat", "--concurrent 0 would allow nothing"],
        ["expose files --env FOO -- cat", 'invalid --env "FOO"'],
        ["expose files --cwd /nowhere/at/all -- cat", 'invalid --cwd "/nowhere/at/all"'],
        [`expose files --title ${"x".repeat(201)} -- cat`, "--title is longer than 200 characters"],
        ["expose files --url ftp://x", 'invalid --url "ftp://x": http or https is wanted'],
        ["front --service x", 'invalid --service "x"'],
        ["front --sampling x", 'invalid --sampling "x"'],
        ["front --budget-tools x", 'invalid --budget-tools "x"'],
        ["front --otlp nonsense", 'invalid --otlp "nonsense"'],
        ["mount a/b --otlp nonsense", 'invalid --otlp "nonsense"'],
        ["mount a/b --http 127.0.0.1:99999", 'invalid --http "127.0.0.1:99999"'],
        ["install a --client cursor", '"a" is neither PEER/NAME nor front'],
        ["call a/b tool --args nope", "--args is not a JSON object"],
        ["call a__tool --args []", "--args is not a JSON object"]
      ]
      for (const [words, message] of cases) {
        const found = yield* refusal(words)
        assert.strictEqual(found.slice(0, message.length), message)
      }
    })
  )

  it.effect("a flag that would do nothing is refused", () =>
    Effect.gen(function* () {
      const url = "expose files --url http://127.0.0.1:1/mcp"
      assert.strictEqual(yield* refusal(`${url} --env A=b`), "--env belongs to a command, not to --url")
      assert.strictEqual(yield* refusal(`${url} --cwd /`), "--cwd belongs to a command, not to --url")
      assert.strictEqual(yield* refusal(`${url} --shared`), "--shared belongs to a command, not to --url")
      assert.strictEqual(yield* refusal(`${url} -- cat`), "--url and a command exclude each other")
      assert.strictEqual(
        yield* refusal("expose files --header-env A=B -- cat"),
        "--header-env belongs to --url, not to a command"
      )
      for (const flag of ["no-token", "allow-remote", "allow-host=a:1", "allow-origin=http://a", "legacy-sse"]) {
        assert.strictEqual(yield* refusal(`mount a/b --${flag}`), `--${flag.split("=")[0]} does nothing without --http`)
        assert.strictEqual(yield* refusal(`front --${flag}`), `--${flag.split("=")[0]} does nothing without --http`)
      }
      assert.strictEqual(
        yield* refusal("mount a/b --http 0.0.0.0:0 --no-token --allow-remote"),
        "--no-token and --allow-remote exclude each other"
      )
      assert.strictEqual(yield* refusal("mount a/b --capability x"), "--capability stands in place of PEER/NAME")
    })
  )

  it.effect("a command that needs the daemon says at once that it is not running", () =>
    Effect.gen(function* () {
      for (const words of ["tools a/b", "call a/b tool", "tools", "call a__tool"]) {
        assert.strictEqual(yield* refusal(words, "not_running"), "daemon is not running")
      }
      assert.strictEqual(yield* refusal("unexpose files", "not_found"), 'no service "files" is exposed')
    })
  )
})
