import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import * as NativeCrypto from "../../src/core/crypto/NativeCrypto.ts"
import * as SealedText from "../../src/core/crypto/SealedText.ts"
import * as Json from "../../src/core/data/Json.ts"
import * as Identity from "../../src/protocol/trust/Identity.ts"
import * as CliRig from "../support/CliRig.ts"
import * as ModelDaemon from "../support/ModelDaemon.ts"

const KEY = Identity.encodeFile(NativeCrypto.crypto.signingKey(new Uint8Array(32).fill(7)))
const OTHER = Identity.encodeFile(NativeCrypto.crypto.signingKey(new Uint8Array(32).fill(8)))
const TRUST = '{\n  "trusted": []\n}'
const PINS = '{"nodes": [], "names": []}'
const memberships = (alias: string) =>
  JSON.stringify({
    cards: [{ alias, slot: 1, registry: "r.acme.example:9000", beacon: "r.acme.example:9001" }],
    lastSlot: 1
  })
const PASSPHRASE = "correct horse battery"

/** A machine with a node that is stopped, and what a person does on it. */
const machine = Effect.gen(function* () {
  const rig = yield* CliRig.make()
  const files = yield* FileSystem.FileSystem
  const home = `${rig.home}/.pilot`
  yield* files.makeDirectory(home, { mode: 0o700 })
  const write = (name: string, text: string, mode = 0o600) =>
    Effect.andThen(files.writeFileString(`${home}/${name}`, text), files.chmod(`${home}/${name}`, mode))
  const read = (name: string) => files.readFileString(`${home}/${name}`)
  yield* write("passphrase", `${PASSPHRASE}\n`)
  yield* write("other-passphrase", "not the one at all\n")
  /** A membership of a further rendezvous. */
  const member = (alias: string) =>
    files
      .makeDirectory(`${home}/memberships/${alias}`, { recursive: true, mode: 0o700 })
      .pipe(
        Effect.andThen(write("memberships.json", memberships(alias))),
        Effect.andThen(write(`memberships/${alias}/trust.json`, TRUST)),
        Effect.andThen(write(`memberships/${alias}/pins.json`, PINS))
      )
  const run = (words: ReadonlyArray<string>, passphrase = "passphrase") =>
    rig.run(ModelDaemon.make(undefined), ["--json", ...words, `--passphrase-file=${home}/${passphrase}`])
  return { files, home, member, read, run, write }
}).pipe(Effect.provide(NodeFileSystem.layer))

const codeOf = ({ stderr }: CliRig.Outcome) => Json.string(Json.parseObject(stderr) ?? {}, "code")
const messageOf = ({ stderr }: CliRig.Outcome) => Json.string(Json.parseObject(stderr) ?? {}, "message")

describe("pilotctl identity encrypt and decrypt", () => {
  it.effect("replaces the key file by a sealed one and back, and leaves nothing in the clear beside it", () =>
    Effect.gen(function* () {
      const { files, home, read, run, write } = yield* machine
      yield* write("identity.key", KEY)

      assert.strictEqual((yield* run(["identity", "encrypt"])).exit, 0)
      const sealed = yield* read("identity.key")
      assert.isTrue(SealedText.isSealed(sealed))
      assert.strictEqual((yield* files.stat(`${home}/identity.key`)).mode & 0o777, 0o600)
      for (const name of yield* files.readDirectory(home))
        assert.isFalse((yield* read(name)).includes(Identity.encodePrivateKey(keyOf(KEY))), name)

      const wrong = yield* run(["identity", "decrypt"], "other-passphrase")
      assert.strictEqual(codeOf(wrong), "auth_required")
      assert.match(messageOf(wrong), /passphrase is wrong/)
      assert.strictEqual(yield* read("identity.key"), sealed)

      assert.strictEqual((yield* run(["identity", "decrypt"])).exit, 0)
      assert.strictEqual(yield* read("identity.key"), KEY)
    })
  )

  it.effect("refuses a passphrase that others may read, one that is short, and a start without any", () =>
    Effect.gen(function* () {
      const { run, write } = yield* machine
      yield* write("identity.key", KEY)
      yield* write("shown", PASSPHRASE, 0o644)
      yield* write("short", "seven..")
      yield* write("lines", "one line\nand another\n")

      assert.strictEqual(codeOf(yield* run(["identity", "encrypt"], "shown")), "permission_denied")
      assert.strictEqual(codeOf(yield* run(["identity", "encrypt"], "short")), "invalid_argument")
      assert.strictEqual(codeOf(yield* run(["identity", "encrypt"], "lines")), "invalid_argument")
      assert.strictEqual(codeOf(yield* run(["identity", "encrypt"], "absent")), "not_found")
    })
  )
})

describe("pilotctl identity backup and restore", () => {
  it.effect("brings key, chain, trust and pins to another machine, as it was encrypted there", () =>
    Effect.gen(function* () {
      const old = yield* machine
      const next = yield* machine
      yield* old.write("identity.key", KEY)
      yield* old.write("trust.json", TRUST)
      yield* old.write("pins.json", PINS)
      yield* old.member("acme")
      yield* next.member("left-behind")
      yield* next.files.remove(`${next.home}/memberships.json`)
      const copy = `${next.home}/node.backup`

      const made = yield* old.run(["identity", "backup", copy])
      assert.strictEqual(made.exit, 0, made.stderr)
      const text = yield* next.read("node.backup")
      assert.isFalse(text.includes("private_key"))
      assert.strictEqual(codeOf(yield* old.run(["identity", "backup", copy])), "already_exists")
      yield* old.write("identity.key.next", OTHER)
      assert.strictEqual(codeOf(yield* old.run(["identity", "backup", `${copy}2`])), "invalid_state")

      const wrong = yield* next.run(["identity", "restore", copy], "other-passphrase")
      assert.strictEqual(codeOf(wrong), "auth_required")
      const restored = yield* next.run(["identity", "restore", copy])
      assert.strictEqual(restored.exit, 0, restored.stderr)
      assert.strictEqual(yield* next.read("identity.key"), KEY)
      assert.strictEqual(yield* next.read("trust.json"), TRUST)
      assert.strictEqual(yield* next.read("pins.json"), PINS)
      assert.strictEqual(yield* next.read("memberships.json"), memberships("acme"))
      assert.deepStrictEqual(yield* next.files.readDirectory(`${next.home}/memberships`), ["acme"])
      assert.strictEqual(yield* next.read("memberships/acme/trust.json"), TRUST)
      assert.strictEqual(yield* next.read("memberships/acme/pins.json"), PINS)
      assert.strictEqual((yield* next.files.stat(`${next.home}/memberships/acme`)).mode & 0o777, 0o700)

      yield* next.write("identity.key", OTHER)
      const refused = yield* next.run(["identity", "restore", copy])
      assert.strictEqual(codeOf(refused), "already_exists")
      assert.strictEqual(yield* next.read("identity.key"), OTHER)
      assert.strictEqual((yield* next.run(["identity", "restore", copy, "--force"])).exit, 0)
      assert.strictEqual(yield* next.read("identity.key"), KEY)
    })
  )

  it.effect("changes nothing for a file that is cut short, foreign, of a later version, or holds a damaged part", () =>
    Effect.gen(function* () {
      const { files, home, read, run, write } = yield* machine
      const { seal } = SealedText.sealer(NativeCrypto.crypto, PASSPHRASE, "backup", { n: 16_384, r: 8, p: 1 })
      const content = { format: "effect-pilot backup", version: 1, files: { "identity.key": KEY, "trust.json": TRUST } }
      const whole = seal(JSON.stringify(content))
      const bad: Readonly<Record<string, string>> = {
        "cut short": whole.slice(0, -30),
        foreign: KEY,
        later: seal(JSON.stringify({ ...content, version: 2 })),
        "without a key": seal(JSON.stringify({ ...content, files: { "trust.json": TRUST } })),
        "of two keys": seal(
          JSON.stringify({ ...content, files: { "identity.key": KEY.replace(/"public_key": "./, '"public_key": "/') } })
        ),
        "damaged pins": seal(JSON.stringify({ ...content, files: { ...content.files, "pins.json": "{}" } })),
        "a path": seal(JSON.stringify({ ...content, files: { ...content.files, "../x": "" } })),
        "a membership of no rendezvous": seal(
          JSON.stringify({ ...content, files: { ...content.files, "memberships/acme/trust.json": TRUST } })
        ),
        "a membership elsewhere": seal(
          JSON.stringify({
            ...content,
            files: { ...content.files, "memberships.json": memberships(".."), "memberships/../trust.json": TRUST }
          })
        ),
        "a damaged membership": seal(
          JSON.stringify({
            ...content,
            files: { ...content.files, "memberships.json": memberships("a"), "memberships/a/trust.json": "[]" }
          })
        ),
        "an identity": SealedText.sealer(NativeCrypto.crypto, PASSPHRASE, "identity", { n: 16_384, r: 8, p: 1 }).seal(
          KEY
        )
      }
      yield* write("trust.json", TRUST)

      for (const [name, text] of Object.entries(bad)) {
        yield* write("backup", text)
        const refused = yield* run(["identity", "restore", `${home}/backup`, "--force"])
        assert.strictEqual(codeOf(refused), "internal", name)
        assert.isFalse(yield* files.exists(`${home}/identity.key`), name)
        assert.strictEqual(yield* read("trust.json"), TRUST, name)
      }
      yield* write("backup", whole)
      assert.strictEqual((yield* run(["identity", "restore", `${home}/backup`, "--force"])).exit, 0)
    })
  )
})

const keyOf = (text: string) => {
  const seed = Buffer.from(Json.string(Json.parseObject(text) ?? {}, "private_key"), "base64").subarray(0, 32)
  return NativeCrypto.crypto.signingKey(new Uint8Array(seed))
}
