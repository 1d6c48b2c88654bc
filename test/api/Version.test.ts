import { assert, describe, it } from "@effect/vitest"
import manifest from "../../package.json" with { type: "json" }
import { VERSION } from "../../src/api/Version.ts"

describe("Version", () => {
  it("is that of the manifest", () => {
    assert.strictEqual(VERSION, manifest.version)
  })
})
