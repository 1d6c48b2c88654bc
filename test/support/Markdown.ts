/** Reads the tables of our documentation, for tests that compare them with the code. */
import { readdirSync, readFileSync } from "node:fs"
import { join, relative } from "node:path"

/** The checkout. */
export const ROOT = join(import.meta.dirname, "..", "..")

/** One row of a table; `line` starts at 1. */
export interface Row {
  readonly line: number
  readonly section: string
  readonly cells: ReadonlyArray<string>
}

/** A documentation page by its path in the checkout. */
export const read = (path: string): string => readFileSync(join(ROOT, path), "utf8")

/** All pages, the README first. */
export const pages = (): ReadonlyArray<string> => [
  "README.md",
  ...readdirSync(join(ROOT, "docs"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".md"))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
    .sort()
]

/** The rows of all tables, heads and rules left out; a section is the last heading before a row. */
export const rows = (text: string): ReadonlyArray<Row> => {
  const found: Array<Row> = []
  let section = ""
  const lines = text.split("\n")
  for (const [index, line] of lines.entries()) {
    if (line.startsWith("#")) section = line.replace(/^#+\s*/, "")
    if (!line.startsWith("|") || RULE.test(line) || RULE.test(lines[index + 1] ?? "")) continue
    const cells = line.slice(1, line.lastIndexOf("|")).split(/(?<!\\)\|/)
    found.push({ line: index + 1, section, cells: cells.map((cell) => cell.trim()) })
  }
  return found
}

/** The text inside the back-ticks of a cell; the cell itself without any. */
export const code = (cell: string): string => /`([^`]*)`/.exec(cell)?.[1] ?? cell

/** Between the head of a table and its rows. */
const RULE = /^\|[\s:|-]+\|$/
