import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import * as ServiceTable from "../../../../src/actors/mcp/keeper/ServiceTable.ts"

const service: ServiceTable.Service = {
  name: "files",
  command: "npx",
  args: ["-y", "it's $(rm -rf ~)", ""],
  env: { TOKEN: "t" },
  allowed: [{ node: 2, publicKey: "key of two", name: "agent" }],
  createdAtSeconds: 1
}

describe("ServiceTable", () => {
  it("a new service allows nobody, and a peer is its key and not its address (security rules 1 and 3)", () => {
    assert.isFalse(ServiceTable.isAllowed({ ...service, allowed: [] }, "key of two"))
    assert.isTrue(ServiceTable.isAllowed(service, "key of two"))
    assert.isFalse(ServiceTable.isAllowed(service, "another key"))
    assert.isFalse(ServiceTable.isAllowed(service, undefined))
  })

  it("the command line is shown so that every word can be told apart (mcp §8, rule 1)", () => {
    assert.strictEqual(ServiceTable.commandLine(service), "npx -y 'it'\\''s $(rm -rf ~)' ''")
  })

  it.effect("survives a restart in a file that only its owner reads; no file means no services", () =>
    Effect.gen(function* () {
      const files = yield* FileSystem.FileSystem
      const path = `${yield* files.makeTempDirectoryScoped()}/services.json`
      assert.strictEqual((yield* ServiceTable.load(path)).size, 0)

      const table = new Map([[service.name, service]])
      yield* ServiceTable.save(path, table)

      assert.deepStrictEqual(yield* ServiceTable.load(path), table)
      assert.strictEqual((yield* files.stat(path)).mode & 0o777, 0o600)
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
