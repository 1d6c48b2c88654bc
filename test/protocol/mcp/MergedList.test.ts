import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as MergedList from "../../../src/protocol/mcp/MergedList.ts"

const Entries = Schema.Array(
  Schema.Struct({ alias: Schema.Literals(["a", "a-b", "a_b", "b"]), name: Schema.Literals(["x", "y", "Z", "é", ""]) })
)
const entry = ({ alias, name }: { readonly alias: string; readonly name: string }, size = 1): MergedList.Entry => ({
  alias,
  name,
  value: { alias, name, filler: "x".repeat(size) }
})

/** All pages, asking again with each cursor. */
const all = (list: () => ReadonlyArray<MergedList.Entry>) => {
  const found = []
  let cursor: string | undefined
  for (let pages = 1; ; pages++) {
    const page = MergedList.page(list(), cursor) ?? assert.fail("a cursor is not taken")
    found.push(...page.values)
    cursor = page.nextCursor
    if (cursor === undefined) return { found, pages }
  }
}

describe("MergedList", () => {
  it.prop(
    "the order does not depend on who came first, and each place occurs once",
    { entries: Entries },
    ({ entries }) => {
      const there = MergedList.sorted(entries.map((one) => entry(one)))
      const back = MergedList.sorted(entries.toReversed().map((one) => entry(one)))
      assert.deepStrictEqual(there, back)
      assert.lengthOf(new Set(there.map(({ alias, name }) => `${alias}/${name}`)), there.length)
      const aliases = there.map(({ alias }) => alias)
      assert.deepStrictEqual(aliases, aliases.toSorted())
    }
  )

  it("pages hold every entry once, cut by number and by size", () => {
    const many = MergedList.sorted(Array.from({ length: 1000 }, (_, index) => entry({ alias: "a", name: `${index}` })))
    assert.deepStrictEqual(
      all(() => many),
      { found: many.map(({ value }) => value), pages: 4 }
    )
    const large = MergedList.sorted(
      Array.from({ length: 5 }, (_, index) => entry({ alias: "a", name: `${index}` }, 600_000))
    )
    assert.deepStrictEqual(
      all(() => large),
      { found: large.map(({ value }) => value), pages: 5 }
    )
    assert.deepStrictEqual(
      all(() => []),
      { found: [], pages: 1 }
    )
  })

  it("a cursor stays good when entries before and after it come and go", () => {
    const names = Array.from({ length: 600 }, (_, index) => `${1000 + index}`)
    const first = MergedList.sorted(names.map((name) => entry({ alias: "b", name })))
    const { nextCursor } = MergedList.page(first, undefined)!
    const later = MergedList.sorted([
      ...names.slice(300).map((name) => entry({ alias: "b", name })),
      entry({ alias: "a", name: "new" })
    ])
    assert.strictEqual(MergedList.page(later, nextCursor)?.values[0]?.["name"], "1300")
  })

  it("what is no cursor is refused", () => {
    for (const cursor of ["", "!", "YQ==", "x".repeat(20_000)]) assert.isUndefined(MergedList.page([], cursor))
  })
})
