import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Directory from "../../src/api/Directory.ts"
import * as Json from "../../src/core/data/Json.ts"
import * as SimNet from "../../src/testing/SimNet.ts"
import type { Program } from "../../src/testing/VirtualSpawner.ts"
import { PATIENCE_MS } from "./Patience.ts"

/** A server with this tool, which does nothing. */
const offering =
  (tool: Json.JsonObject): Program =>
  (child) =>
    Effect.gen(function* () {
      while (true) {
        const { id, method } = Json.parseObject(yield* child.readLine) ?? {}
        const reply = (body: Json.JsonObject) => child.writeLine(JSON.stringify({ jsonrpc: "2.0", id, ...body }))
        if (method === "initialize") {
          yield* reply({ result: { protocolVersion: "2025-11-25", capabilities: { tools: {} } } })
        } else if (method === "tools/list") yield* reply({ result: { tools: [tool] } })
        else if (id !== undefined) yield* reply({ error: { code: -32601, message: "no" } })
      }
    }).pipe(Effect.ignore)

const tool = (name: string, description: string, parameter: string): Json.JsonObject => ({
  name,
  description,
  inputSchema: { type: "object", properties: { [parameter]: { type: "string" } } }
})

const search = (words: string) =>
  Effect.orDie(Directory.search(words, { peerTimeoutMs: 20_000 })).pipe(Effect.provide(Directory.fromPilot))

describe("finding services across the simulated network", { timeout: PATIENCE_MS }, () => {
  it.effect("trusted peers give cards of what the asker may use; one that is off costs its own results only", () =>
    SimNet.run({ seed: 71 }, (net) =>
      Effect.gen(function* () {
        const csv = offering(tool("read_csv", "Reads a CSV file", "path"))
        const office = offering(tool("translate", "Translates a PDF", "url"))
        const files = yield* net.node("files", { nat: "portRestrictedCone", programs: { csv } })
        const desk = yield* net.node("desk", { link: { rttMs: 80, loss: 0.02 }, programs: { office } })
        const user = yield* net.node("user", { nat: "symmetric" })
        yield* net.trust(user, files)
        yield* net.trust(user, desk)
        yield* net.expose(files, { name: "tables", command: "csv", allow: [user] })
        yield* net.expose(files, { name: "secret", command: "csv", allow: [] })
        yield* net.expose(desk, { name: "office", command: "office", allow: [user] })
        const targets = ({ services }: Directory.Found) => services.map(({ target }) => target)

        const found = yield* user.run(search("read a csv file"))
        assert.deepStrictEqual(targets(found), ["files/tables"])
        assert.deepInclude(found.services[0], { isUsable: true, next: "pilotctl mcp mount files/tables" })
        assert.deepStrictEqual(targets(yield* user.run(search("translate pdf"))), ["desk/office"])

        yield* net.kill(files)
        const later = yield* user.run(search("read csv, translate pdf"))
        assert.deepStrictEqual(targets(later), ["desk/office"])
        assert.lengthOf(later.problems, 1)
      })
    )
  )
})
