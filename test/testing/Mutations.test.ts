import { readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { MUTATIONS } from "../../scripts/soak/mutation-list.ts"

const root = join(import.meta.dirname, "..", "..")

describe("the mutations that the simulations must catch", () => {
  it("are at least twenty, in as many places", () => {
    assert.isAtLeast(MUTATIONS.length, 20)
    assert.strictEqual(new Set(MUTATIONS.map(({ name }) => name)).size, MUTATIONS.length)
    assert.strictEqual(new Set(MUTATIONS.map(({ file, from }) => file + from)).size, MUTATIONS.length)
  })

  it("still fit the code: each text is found once in its file, and replaced by another", () => {
    for (const { file, from, name, to } of MUTATIONS) {
      const found = readFileSync(join(root, "src", file), "utf8").split(from).length - 1
      assert.strictEqual(found, 1, `${name}: src/${file} has ${found} of: ${from}`)
      assert.notStrictEqual(to, from, name)
    }
  })

  it("are listed in docs/simulation.md", () => {
    const page = readFileSync(join(root, "docs", "simulation.md"), "utf8")
    const listed = [...page.matchAll(/^\| `([a-z-]+)`/gm)].map(([, name]) => name)
    assert.deepStrictEqual(listed.toSorted(), MUTATIONS.map(({ name }) => name).toSorted())
  })
})
