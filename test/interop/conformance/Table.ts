/** A table of `docs/mcp.md` that tests generate: it is compared, or written when `PILOT_UPDATE_DOCS` is set. */
import { readFileSync, writeFileSync } from "node:fs"
import { assert } from "@effect/vitest"

/** Compares the table between the marks of that name. */
export const check = (
  name: string,
  header: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string>>
): void => {
  const text = readFileSync(PAGE, "utf8")
  const [before, rest = ""] = split(text, `<!-- generated: ${name} -->`)
  const [found, after] = split(rest, "<!-- end -->")
  const line = (cells: ReadonlyArray<string>) => `| ${cells.join(" | ")} |`
  const table = `\n\n${[line(header), line(header.map(() => "---")), ...rows.map(line)].join("\n")}\n\n`
  if (process.env["PILOT_UPDATE_DOCS"] === "1") writeFileSync(PAGE, before + table + after)
  else assert.strictEqual(found, table, "docs/mcp.md is behind: run this test with PILOT_UPDATE_DOCS=1 and look at it")
}

/** Splits behind the first mark, or before the last one. */
const split = (text: string, mark: string): readonly [string, string] => {
  const index = text.indexOf(mark)
  assert.isAtLeast(index, 0, `docs/mcp.md lacks ${mark}`)
  const end = mark.startsWith("<!-- generated") ? index + mark.length : index
  return [text.slice(0, end), text.slice(end)]
}

const PAGE = new URL("../../../docs/mcp.md", import.meta.url)
