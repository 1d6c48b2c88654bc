import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import * as Json from "../../src/core/data/Json.ts"
import * as CliRig from "../support/CliRig.ts"
import * as ModelDaemon from "../support/ModelDaemon.ts"

const refusal = Effect.fnUntraced(function* (
  words: ReadonlyArray<string>,
  files: Readonly<Record<string, string>> = {}
) {
  const rig = yield* CliRig.make()
  yield* Effect.gen(function* () {
    const system = yield* FileSystem.FileSystem
    for (const [name, text] of Object.entries(files)) yield* system.writeFileString(`${rig.home}/${name}`, text)
  }).pipe(Effect.provide(NodeFileSystem.layer))
  const given = words.map((word) => word.replace("HOME", rig.home))
  const { exit, stderr } = yield* rig.run(ModelDaemon.make(undefined), ["--json", "rendezvous", "start", ...given])
  assert.strictEqual(exit, 1)
  const error = Json.parseObject(stderr) ?? {}
  assert.strictEqual(Json.string(error, "code"), "invalid_argument")
  assert.strictEqual(Json.string(error, "hint"), "see: pilotctl help rendezvous start")
  return Json.string(error, "message").replace(rig.home, "HOME")
})

describe("pilotctl rendezvous start", () => {
  it.effect("names the flag whose value is none, and says what is expected", () =>
    Effect.gen(function* () {
      const cases: ReadonlyArray<readonly [word: string, message: string]> = [
        ...["registry-addr", "beacon-addr", "beacon-other-addr", "wss-addr", "http"].map(
          (flag) =>
            [`--${flag}=nonsense`, `invalid --${flag} "nonsense" (command line): expected host:port or :port`] as const
        ),
        ["--beacon-probe-port=70000", 'invalid --beacon-probe-port "70000" (command line): expected a port'],
        [
          "--wss-proxies=everybody",
          'invalid --wss-proxies "everybody" (command line): expected blocks of addresses like 10.0.0.0/8, divided by commas'
        ],
        ["--store=", 'invalid --store "" (command line): expected a path'],
        ["--tls-cert=", 'invalid --tls-cert "" (command line): expected a path'],
        ["--tls-key=", 'invalid --tls-key "" (command line): expected a path'],
        ...["unsigned-register", "owner-takeover", "unbound-rotation", "open-polo"].map(
          (flag) =>
            [
              `--compat-${flag}=maybe`,
              `invalid --compat-${flag} "maybe" (command line): expected true or false`
            ] as const
        ),
        ["--log-level=loud", 'invalid --log-level "loud" (command line): expected debug, info, warn or error'],
        ["--log-format=xml", 'invalid --log-format "xml" (command line): expected text or json']
      ]
      for (const [word, message] of cases) assert.strictEqual(yield* refusal([word]), message)
    })
  )

  it.effect("never repeats a token that is none", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* refusal(["--admin-token="]), "invalid --admin-token (command line): expected a token")
    })
  )

  it.effect("says which file a bad value comes from, in the words of the file", () =>
    Effect.gen(function* () {
      const message = yield* refusal(["--config=HOME/r.json"], { "r.json": '{"wss_addr":"nonsense"}' })
      assert.strictEqual(message, 'invalid wss_addr "nonsense" (HOME/r.json): expected host:port or :port')
    })
  )
})
