import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Json from "../../src/core/data/Json.ts"
import * as CliRig from "../support/CliRig.ts"
import * as ModelDaemon from "../support/ModelDaemon.ts"

const SHOWN = "G64D-KF61-802G-HD75-58HZ-07C3-2VGF-DHZY"
const OTHER = "RXH8-0D6N-YEXX-VRK8-DN0H-6N7X-VXSD-NQHT"

const DAEMON = ModelDaemon.answering({
  Info: ModelDaemon.json("Info", { address: "0:0000.0000.0001", node_id: 1, fingerprint: SHOWN, conn_list: [] }),
  HandshakeTrusted: ModelDaemon.json("Handshake", { trusted: [{ node_id: 2, fingerprint: SHOWN, approved_at: 0 }] }),
  HandshakeSend: ModelDaemon.json("Handshake", { node_id: 2, status: "sent" }),
  Extension: ModelDaemon.json("Extension", { node_id: 2, fingerprint: SHOWN })
})

const outcome = (...words: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const rig = yield* CliRig.make()
    const { exit, stderr } = yield* rig.run(ModelDaemon.make(DAEMON), ["--json", ...words])
    return { exit, code: Json.string(Json.parseObject(stderr) ?? {}, "code") }
  })

describe("--fingerprint (security rule 1)", () => {
  const commands = ["info", "trust", "trust add 2 please"]

  it.effect.each(commands)("lets the key through that was typed, however it was typed: %s", (words) =>
    Effect.gen(function* () {
      const typed = SHOWN.toLowerCase().replaceAll("-", " ").replaceAll("0", "o")
      const matched = yield* outcome(...words.split(" "), "--fingerprint", typed)
      assert.strictEqual(matched.exit, 0)
    })
  )

  it.effect.each(commands)("refuses another key: %s", (words) =>
    Effect.gen(function* () {
      const refused = yield* outcome(...words.split(" "), "--fingerprint", OTHER)
      assert.strictEqual(refused.exit, 1)
      assert.include(["key_changed", "not_found"], refused.code)
    })
  )

  it.effect.each(commands)("refuses half a fingerprint, which anybody can imitate: %s", (words) =>
    Effect.gen(function* () {
      const refused = yield* outcome(...words.split(" "), "--fingerprint", SHOWN.slice(0, 19))
      assert.deepStrictEqual(refused, { exit: 1, code: "invalid_argument" })
    })
  )
})
