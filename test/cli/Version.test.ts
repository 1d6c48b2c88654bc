import { assert, describe, it } from "@effect/vitest"
import manifest from "../../package.json" with { type: "json" }
import { VERSION } from "../../src/cli/Version.ts"

describe("Version", () => {
  it("is that of the package", () => {
    assert.strictEqual(VERSION, manifest.version)
  })
})
