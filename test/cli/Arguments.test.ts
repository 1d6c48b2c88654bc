import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Schema } from "effect"
import * as Arguments from "../../src/cli/Arguments.ts"
import { type Command, output } from "../../src/cli/Command.ts"
import { COMMANDS } from "../../src/cli/CommandTable.ts"
import * as Values from "../../src/cli/Values.ts"

const command = (name: string, flags: Command["flags"] = []): Command => ({
  name,
  usage: "<x>",
  summary: "",
  returns: "",
  flags,
  run: () => Effect.succeed(output({}))
})

/** Words that come near the grammar. */
const WORD = Schema.Union([
  Schema.Literals([
    "daemon",
    "trust",
    "add",
    "start",
    "--json",
    "--",
    "-",
    "--=",
    "--count",
    "--x=y",
    "-h",
    "help",
    "send"
  ]),
  Schema.String
])

const TABLE = [
  command("take", [
    { name: "public", value: "boolean", summary: "" },
    { name: "data", value: "text", summary: "" },
    { name: "allow", value: "text", summary: "", repeats: true }
  ]),
  command("as-is"),
  command("group one"),
  command("group two words"),
  command("group")
]

const select = (...args: ReadonlyArray<string>) => Arguments.select(TABLE, Arguments.split(args))

const input = (...args: ReadonlyArray<string>) => {
  const selection = Result.getOrThrow(select(...args))
  if (selection._tag !== "Run") throw new Error(selection._tag)
  return { ...selection.input, name: selection.command.name, flags: Object.fromEntries(selection.input.flags) }
}

describe("Arguments", () => {
  it("a boolean flag never eats the word after it (cli §1.1, better)", () => {
    assert.deepStrictEqual(input("take", "--public", "bravo"), {
      name: "take",
      positionals: ["bravo"],
      flags: { public: ["true"] },
      rest: undefined,
      json: false
    })
  })

  it("a text flag takes the next word, or what follows its equals sign (cli §1.1)", () => {
    assert.deepStrictEqual(input("take", "--data", "-x").flags, { data: ["-x"] })
    assert.deepStrictEqual(input("take", "--data=--x").flags, { data: ["--x"] })
    assert.deepStrictEqual(input("take", "--data=").flags, { data: [""] })
  })

  it("a text flag without a value is refused", () => {
    assert.strictEqual(Result.getOrThrow(Result.flip(select("take", "--data"))).message, "--data needs a value")
    assert.isTrue(Result.isFailure(select("take", "--data", "--public")))
  })

  it("an unknown flag is ignored with its value, a known one may have one dash (cli §1.1)", () => {
    assert.deepStrictEqual(input("take", "--verbose", "3", "bravo").positionals, ["bravo"])
    assert.deepStrictEqual(input("take", "-data", "x", "-other").positionals, ["-other"])
  })

  it("the last duplicate wins, unless the flag repeats (cli §1.1)", () => {
    const { flags } = input("take", "--data", "a", "--data", "b", "--allow", "p", "--allow", "q")
    assert.deepStrictEqual(flags, { data: ["b"], allow: ["p", "q"] })
  })

  it("a command without flags takes its words as they come (cli §1.1)", () => {
    assert.deepStrictEqual(input("as-is", "2", "--reason", "x").positionals, ["2", "--reason", "x"])
  })

  it("the longest name wins", () => {
    assert.strictEqual(input("group", "two", "words").name, "group two words")
    assert.strictEqual(input("group", "two").name, "group")
  })

  it.prop(
    "what follows -- is untouched, and --json before it reaches no command",
    { before: Schema.Array(Schema.String), after: Schema.Array(Schema.String) },
    ({ before, after }) => {
      const words = before.filter((word) => word !== "--")
      const split = Arguments.split([...words, "--", ...after])

      assert.deepStrictEqual(split.rest, after)
      assert.isFalse(split.words.includes("--json"))
      assert.strictEqual(split.json, words.includes("--json"))
    }
  )

  it.prop("any words select something or are refused, never throw", { words: Schema.Array(WORD) }, ({ words }) => {
    const selection = Arguments.select(COMMANDS, Arguments.split(words))
    assert.isTrue(Result.isSuccess(selection) || selection.failure.message !== "")
  })

  it("every command of the table has one name and a help line", () => {
    const names = COMMANDS.map(({ name }) => name)
    assert.strictEqual(new Set(names).size, names.length)
    for (const { name, summary, returns } of COMMANDS) assert.isTrue(summary !== "" && returns !== "", name)
  })
})

describe("Values", () => {
  const values = (words: ReadonlyArray<string>) => ({
    flags: new Map([["timeout", words]]),
    positionals: [],
    rest: undefined,
    json: false
  })

  it("true, 1 and empty are true, all else false (cli §1.1)", () => {
    const read = (word: string) => Values.boolean(values([word]), "timeout")
    assert.deepStrictEqual(["true", "1", "", "yes", "false"].map(read), [true, true, true, false, false])
  })

  it("refuses with the words of the reference (cli §4, §8)", () => {
    const message = (parsed: Values.Parsed<number>) => Result.getOrThrow(Result.flip(parsed)).message
    assert.strictEqual(message(Values.port("x")), 'invalid port "x": strconv.ParseUint: parsing "x": invalid syntax')
    assert.strictEqual(
      message(Values.port("65536")),
      'invalid port "65536": strconv.ParseUint: parsing "65536": value out of range'
    )
    assert.strictEqual(
      message(Values.connectionId("-1")),
      'invalid connection ID: strconv.ParseUint: parsing "-1": invalid syntax'
    )
  })

  it("a misspelt flag never widens who may do what: every command that names peers is strict", () => {
    const naming = COMMANDS.filter(({ flags }) => flags.some(({ name }) => name.startsWith("allow")))
    assert.includeMembers(
      naming.map(({ name }) => name),
      ["gateway start", "files share", "mcp expose"]
    )
    for (const { isStrict, name } of naming) assert.isDefined(isStrict, name)
  })

  it("a strict command refuses what it has no use for, where others ignore it", () => {
    const strict = { ...command("ask", [{ name: "to", value: "text", summary: "" }]), isStrict: true } as const
    const some = { ...strict, name: "some", usage: "[x]…" }
    const own = { ...strict, name: "own", isStrict: "rest" } as const
    const bare = { ...command("bare"), usage: "", isStrict: true } as const
    const run = (...args: ReadonlyArray<string>) =>
      Arguments.select([strict, some, own, bare, ...TABLE], Arguments.split(args))
    const refusal = (...args: ReadonlyArray<string>) => Result.getOrThrow(Result.flip(run(...args))).message

    assert.strictEqual(refusal("ask", "x", "extra"), 'unexpected argument "extra" for ask')
    assert.strictEqual(refusal("ask", "x", "--too", "y"), "unknown flag --too for ask")
    assert.strictEqual(refusal("ask", "x", "--", "y"), "unexpected arguments after -- for ask")
    assert.strictEqual(refusal("bare", "extra"), 'unexpected argument "extra" for bare')
    assert.strictEqual(refusal("bare", "--flag"), 'unexpected argument "--flag" for bare')
    for (const fine of [
      ["ask", "x", "--to=y"],
      ["some", "x", "y", "z"],
      ["own", "x", "--", "y"],
      ["bare", "--json"]
    ]) {
      assert.isTrue(Result.isSuccess(run(...fine)), fine.join(" "))
    }
  })

  it("every mcp command is strict: they are ours, and say who may do what", () => {
    const rows = COMMANDS.filter(({ name }) => name.startsWith("mcp "))
    assert.isAbove(rows.length, 15)
    for (const { isStrict, name } of rows) assert.isDefined(isStrict, name)
  })
})
