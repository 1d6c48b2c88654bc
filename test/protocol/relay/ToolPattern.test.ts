import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as ToolPattern from "../../../src/protocol/relay/ToolPattern.ts"

const patterns = (...texts: ReadonlyArray<string>) =>
  texts.map((text) => ToolPattern.parse(text) ?? assert.fail(`${text} is no pattern`))
const permits = (
  texts: ReadonlyArray<string>,
  tool: string,
  args: Readonly<Record<string, string | typeof ToolPattern.UNCLEAR>> = {}
) => ToolPattern.permits(patterns(...texts), tool, (name) => args[name])

const Letters = Schema.Array(Schema.Literals(["a", "b", "*", "?"]))
const Text = Schema.Array(Schema.Literals(["a", "b"]))

describe("ToolPattern", () => {
  it.prop("matches what the same regular expression matches", { pattern: Letters, text: Text }, ({ pattern, text }) => {
    const source = pattern.map((letter) => (letter === "*" ? ".*" : letter === "?" ? "." : letter)).join("")
    assert.strictEqual(
      ToolPattern.matches(pattern.join(""), text.join("")),
      new RegExp(`^${source}$`).test(text.join(""))
    )
  })

  it("a pattern that would ruin a backtracking reader takes no time worth mentioning", () => {
    assert.isFalse(ToolPattern.matches("*a".repeat(200), "a".repeat(4000).concat("b")))
  })

  it("no permission at all permits everything, and a denial wins over every permission (mcp §6.10)", () => {
    assert.isTrue(permits([], "anything"))
    assert.isTrue(permits(["!write_*"], "read_file"))
    assert.isFalse(permits(["!write_*"], "write_file"))
    assert.isFalse(permits(["*", "!write_*"], "write_file"))
    assert.isFalse(permits(["read_*"], "write_file"))
    assert.isTrue(permits(["read_*"], "read_file"))
    assert.isFalse(permits(["read_*"], "Read_file"))
  })

  it("an argument that is absent, unclear or leads elsewhere meets no permission (mcp §8, rule 4)", () => {
    const rule = ["read_file(path=data/*)"]
    assert.isTrue(permits(rule, "read_file", { path: "data/a/b.txt" }))
    const wrong = [
      "secret",
      "data/../secret",
      "data/a/..",
      "data\\..\\secret",
      "./data/a",
      "data/\0",
      "data/".repeat(1000)
    ]
    for (const path of wrong) assert.isFalse(permits(rule, "read_file", { path }), path)
    assert.isFalse(permits(rule, "read_file", {}))
    assert.isFalse(permits(rule, "read_file", { path: ToolPattern.UNCLEAR }))
  })

  it("an argument that is unclear or leads elsewhere meets every denial", () => {
    const rule = ["!read_file(path=secret/*)"]
    assert.isTrue(permits(rule, "read_file", { path: "data/a" }))
    assert.isTrue(permits(rule, "read_file"))
    for (const path of ["secret/a", "data/../secret/a", "./secret/a", ToolPattern.UNCLEAR] as const) {
      assert.isFalse(permits(rule, "read_file", { path }), String(path))
    }
  })

  it("a tool is shown when some call of it could pass", () => {
    const rule = patterns("read_*(path=data/*)", "!read_raw", "!read_file(path=data/x)")
    assert.isTrue(ToolPattern.shows(rule, "read_file"))
    assert.isFalse(ToolPattern.shows(rule, "read_raw"))
    assert.isFalse(ToolPattern.shows(rule, "write_file"))
  })

  it("texts that are no pattern are refused; commas separate, but not inside brackets", () => {
    for (const text of ["", "a b", "a(b", "a(b)", "a()", "!!a", "a(=x)", "a".repeat(600)]) {
      assert.isUndefined(ToolPattern.parse(text), text)
    }
    assert.deepStrictEqual(ToolPattern.split("read_*, w(a=1,b=2),,!x"), ["read_*", "w(a=1,b=2)", "!x"])
  })
})
