/** What the pages of the documentation refer to exists: links, paths in tables, clauses of the code. */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Markdown from "../support/Markdown.ts"

const CLAUSE = /\b(wire|node|rendezvous|mcp|cli)\s+§\s*([0-9]+(?:\.[0-9]+)?)/g

/** `wire §6.3` and the like, also where a comment breaks the line between the two. */
const clausesIn = (text: string): ReadonlyArray<string> =>
  [...text.replaceAll(/\n\s*(?:\*|\/\/)?\s*/g, " ").matchAll(CLAUSE)].map(([, page, number]) => `${page} §${number}`)

const sources = (directory: string): ReadonlyArray<string> =>
  readdirSync(join(Markdown.ROOT, directory), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => join(entry.parentPath, entry.name))

describe("documentation", () => {
  it("links only to what exists", () => {
    for (const page of Markdown.pages()) {
      for (const [, target] of Markdown.read(page).matchAll(/\]\(([^)#:\s]+)(?:#[^)]*)?\)/g)) {
        const path = join(Markdown.ROOT, dirname(page), target!)
        assert.isTrue(existsSync(path), `${page} links to ${relative(Markdown.ROOT, path)}`)
      }
    }
  })

  it("names only files of the code that exist", () => {
    for (const page of Markdown.pages()) {
      for (const [, path] of Markdown.read(page).matchAll(
        /`((?:src|test|scripts|examples|bench)\/[\w./-]+\.m?[jt]s)`/g
      )) {
        assert.isTrue(existsSync(join(Markdown.ROOT, path!)), `${page} names ${path}`)
      }
    }
  })

  it("names only code and tests that exist in its tables of clauses", () => {
    const clauses = Markdown.rows(Markdown.read("docs/protocol.md")).filter(({ cells }) => cells.length === 4)
    assert.isAbove(clauses.length, 80)
    for (const { cells, line } of clauses) {
      for (const [column, folder, suffixes] of [
        [2, "src", [".ts"]],
        [3, "test", [".test.ts", ".ts"]]
      ] as const) {
        for (const [, path] of cells[column]!.matchAll(/`([^`]+)`/g)) {
          const exists = suffixes.some((suffix) => existsSync(join(Markdown.ROOT, folder, `${path}${suffix}`)))
          assert.isTrue(exists, `protocol.md:${line} names ${folder}/${path}`)
        }
      }
    }
  })

  it("says what every clause means that the code cites", () => {
    const said = new Set(Markdown.rows(Markdown.read("docs/protocol.md")).map(({ cells }) => cells[0]))
    for (const file of [...sources("src"), ...sources("test")]) {
      for (const clause of clausesIn(readFileSync(file, "utf8"))) {
        assert.isTrue(said.has(clause), `${relative(Markdown.ROOT, file)} cites ${clause}`)
      }
    }
  })
})
