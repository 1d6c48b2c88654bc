import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as ToolSearch from "../../../src/protocol/mcp/ToolSearch.ts"

const tool = (
  name: string,
  description = "",
  parameters: ReadonlyArray<string> = [],
  title = ""
): ToolSearch.Document => ({
  names: [name, `host_service__${name}`],
  title,
  description,
  parameters,
  service: "host/service"
})

const TOOLS = [
  tool("read_file", "Reads a file and gives its text", ["path"]),
  tool("translateDocument", "Translates a PDF or Word document into another language", ["document", "target_language"]),
  tool("pdf_info", "Number of pages of a PDF", ["path"]),
  tool("send_mail", "Sends an e-mail to a person", ["to", "subject", "body"]),
  tool("search", "Finds web pages", ["query"], "Web search"),
  tool("get", "Gets it")
]
const index = ToolSearch.make(TOOLS)
const names = (query: string, limit = 10) =>
  ToolSearch.search(index, query, limit).map(({ document }) => document.names[0])

const Word = Schema.Literals(["pdf", "file", "translate", "mail", "the", "a", "page", "ünï", "7", "read_file", " "])

describe("ToolSearch", () => {
  it("finds by what a tool does, whatever the form of the words", () => {
    assert.strictEqual(names("translate a pdf")[0], "translateDocument")
    assert.strictEqual(names("translations of documents")[0], "translateDocument")
    assert.strictEqual(names("reading files")[0], "read_file")
    assert.strictEqual(names("write an email to somebody: subject")[0], "send_mail")
    assert.strictEqual(names("web")[0], "search")
    assert.deepStrictEqual(names("pdf"), ["pdf_info", "translateDocument"])
  })

  it("a tool whose name is the query comes first, in either of its names", () => {
    assert.strictEqual(names("get")[0], "get")
    assert.strictEqual(names("Host_Service__search")[0], "search")
  })

  it("nothing that shares no word is found, and words that say nothing count only alone", () => {
    assert.deepStrictEqual(names("quantum chromodynamics"), [])
    assert.deepStrictEqual(names(""), [])
    assert.notInclude(names("a pdf to the"), "send_mail")
  })

  it.prop(
    "results are sorted, few enough, without repeats, and the same each time",
    { words: Schema.Array(Word) },
    ({ words }) => {
      const found = ToolSearch.search(index, words.join(" "), 3)
      assert.isAtMost(found.length, 3)
      assert.deepStrictEqual(
        found.map(({ score }) => score),
        found.map(({ score }) => score).toSorted((a, b) => b - a)
      )
      assert.lengthOf(new Set(found.map(({ document }) => document)), found.length)
      assert.deepStrictEqual(ToolSearch.search(index, words.join(" "), 3), found)
    }
  )

  it.prop("any text is searched for and indexed without harm", { text: Schema.String }, ({ text }) => {
    const one = ToolSearch.make([tool(text, text, [text], text)])
    if (ToolSearch.terms(text).length > 0) assert.lengthOf(ToolSearch.search(one, text, 1), 1)
    for (const term of ToolSearch.terms(text)) assert.notStrictEqual(term, "")
  })
})
