/** Ways that die, come back and change under what goes by them, between daemons on hosts of their own. */
import { createHash, randomBytes } from "node:crypto"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Fiber, Layer } from "effect"
import * as Json from "../../src/core/data/Json.ts"
import * as PilotProcesses from "../support/PilotProcesses.ts"
import * as Moving from "./Moving.ts"

const SERVER = fileURLToPath(new URL("GateServer.mjs", import.meta.url))
const MEGABYTE = 1_000_000

/** Whoever develops elsewhere has no such hosts; on machines that decide, a missing one is a failure. */
const isPossible = process.env["CI"] !== undefined || (process.platform === "linux" && process.getuid?.() === 0)

/** Both daemons, once for all tests. */
class Scene extends Context.Service<Scene, Effect.Success<typeof Moving.make>>()("Scene") {
  static readonly layer = Layer.effect(Scene, Moving.make)
}

/** 50 MB on their way from anna to bert; joined, they are there, as they were. */
const transfer = Effect.fnUntraced(function* (name: string) {
  const { anna, bert, directory } = yield* Scene
  const path = `${directory}/${name}`
  const bytes = randomBytes(50 * MEGABYTE)
  writeFileSync(path, bytes)
  return yield* Effect.forkChild(
    Effect.gen(function* () {
      yield* anna("send-file", "bert", path)
      const files = Json.objects(yield* bert("received"), "files")
      const file = files.find((row) => Json.string(row, "name").startsWith(name))
      assert.isDefined(file, JSON.stringify(files))
      assert.strictEqual(digest(readFileSync(Json.string(file!, "path"))), digest(bytes))
    })
  )
})

const digest = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")

/** A call of bert's tool that has reached it and waits; opening the gate lets it answer. */
const call = Effect.fnUntraced(function* (gate: string) {
  const { anna, directory } = yield* Scene
  const answer = yield* Effect.forkChild(
    anna("mcp", "call", "bert/gate", "wait", "--args", JSON.stringify({ gate }), "--timeout", "100s")
  )
  yield* PilotProcesses.until(Effect.sync(() => existsSync(`${directory}/called-${gate}`)))
  return {
    opened: Effect.sync(() => writeFileSync(`${directory}/open-${gate}`, "")),
    answered: Effect.map(Fiber.join(answer), (data) => {
      assert.include(JSON.stringify(data), `through ${gate}`)
      assert.strictEqual(readFileSync(`${directory}/called-${gate}`, "utf8"), "once\n")
    })
  }
})

describe.skipIf(!isPossible)("a way under load (needs Linux, root, iproute2, nftables)", () => {
  layer(Scene.layer, { excludeTestServices: true, timeout: 120_000 })("between two daemons", (it) => {
    it.effect(
      "dies under a transfer of 50 MB, which goes on by the relay, and directly again when it can, with no byte lost",
      () =>
        Effect.gen(function* () {
          const { awaitBytes, boxes, isBy, watched } = yield* Scene
          yield* isBy("hole-punch")
          yield* watched(boxes.home, { afterBytes: 5 * MEGABYTE, of: "direct" })
          const running = yield* transfer("killed")

          yield* awaitBytes(boxes.home, ["relay"], 2 * MEGABYTE)
          yield* watched(boxes.home)
          yield* Fiber.join(running)
          yield* isBy("hole-punch")
        }),
      180_000
    )

    it.effect(
      "changes under a transfer of 50 MB, when the host leaves its network for another one, with no byte lost",
      () =>
        Effect.gen(function* () {
          const { awaitBytes, boxes, goHome, goMobile, isBy, watched } = yield* Scene
          yield* isBy("hole-punch")
          yield* watched(boxes.home, { afterBytes: 5 * MEGABYTE, of: "all" })
          yield* watched(boxes.mobile)
          const running = yield* transfer("moved")

          yield* awaitBytes(boxes.home, ["direct"], MEGABYTE)
          yield* goMobile
          yield* awaitBytes(boxes.mobile, ["direct", "relay"], 2 * MEGABYTE)
          yield* Fiber.join(running)
          yield* isBy("hole-punch")
          yield* watched(boxes.home)
          yield* goHome
        }),
      180_000
    )

    it.effect(
      "dies, and changes, under calls of a tool that are answered all the same, once",
      () =>
        Effect.gen(function* () {
          const { bert, boxes, directory, goHome, goMobile, isBy, watched } = yield* Scene
          yield* bert("mcp", "expose", "gate", "--allow", "anna", "--", process.execPath, SERVER, directory)
          yield* isBy("hole-punch")

          const first = yield* call("relayed")
          yield* watched(boxes.home, { afterBytes: 0, of: "direct" })
          yield* first.opened
          yield* first.answered
          yield* isBy("relay")

          const second = yield* call("moved")
          yield* goMobile
          yield* second.opened
          yield* second.answered
          yield* isBy("hole-punch")
          yield* watched(boxes.home)
          yield* goHome
        }),
      180_000
    )
  })
})
