/** What `docs/conformance.md` says of RFC 9293 is complete, and its tests exist under the names it gives. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Markdown from "../support/Markdown.ts"

const rows = Markdown.rows(Markdown.read("docs/conformance.md"))
const clauses = rows.filter(({ section }) => section === "RFC 9293, clause by clause")
const musts = rows.filter(({ section }) => section === "The MUSTs of its appendix B")

describe("docs/conformance.md", () => {
  it("has every MUST of RFC 9293 once", () => {
    const numbers = musts.flatMap(({ cells }) =>
      [...cells[0]!.matchAll(/MUST-(\d+)/g)].map(([, number]) => Number(number))
    )
    assert.deepStrictEqual(
      numbers.toSorted((a, b) => a - b),
      Array.from({ length: MUSTS }, (_, index) => index + 1)
    )
  })

  it("names tests that exist, by their titles", () => {
    let titles = 0
    for (const { cells, line } of [...clauses, ...musts]) {
      for (const [, path, title] of cells[3]!.matchAll(/`([^`]+)`: "([^"]+)"/g)) {
        titles += 1
        const source = readFileSync(join(Markdown.ROOT, path!), "utf8")
        assert.include(source, title!.replaceAll("\\|", "|"), `conformance.md:${line}`)
      }
    }
    assert.isAbove(titles, 40)
  })

  it("goes through all of §3.10", () => {
    const said = clauses.map(({ cells }) => cells[0])
    for (const clause of ["1", "2", "3", "4", "5", "6", "7.1", "7.2", "7.3", "7.4", "8"])
      assert.include(said, `§3.10.${clause}`)
  })
})

/** The last number of RFC 9293's appendix B. */
const MUSTS = 69
