/**
 * `docs/limits.md` against the code: each row names a constant and its file. Exported ones are imported and compared; a
 * private one is read from the source text, whose few forms of expression are evaluated here.
 */
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Result, Schema } from "effect"
import * as NodeConfig from "../../src/actors/layers/NodeConfig.ts"
import * as Markdown from "../support/Markdown.ts"

const PAGE = Markdown.read("docs/limits.md")
const SECONDS_PER: Readonly<Record<string, number>> = { second: 1, seconds: 1, minute: 60, minutes: 60 }

const shown = (cell: string): number => Number(cell.replaceAll(",", ""))

/** `64 << 10`, `10 * 1_048_576 - 65_536`, `Duration.seconds(10)`, `"10 seconds"`; durations in seconds. */
const evaluate = (expression: string): number | undefined => {
  const duration =
    /^Duration\.(second|minute)s?\((\d+)\)$/.exec(expression) ?? /^"(\d+) (seconds?|minutes?)"$/.exec(expression)
  if (duration !== null) {
    const [count, unit] = /^\d/.test(duration[1]!) ? [duration[1]!, duration[2]!] : [duration[2]!, duration[1]!]
    return Number(count) * SECONDS_PER[unit]!
  }
  const shift = /^(.+?) << (\d+)$/.exec(expression)
  if (shift !== null) return evaluate(shift[1]!)! * 2 ** Number(shift[2])
  const sum = /^(.+) ([+-]) ([^+-]+)$/.exec(expression)
  if (sum !== null) return evaluate(sum[1]!)! + (sum[2] === "-" ? -1 : 1) * evaluate(sum[3]!)!
  const factors = expression.split(" * ").map((factor) => Number(factor.replaceAll("_", "")))
  return factors.some(Number.isNaN) ? undefined : factors.reduce((product, factor) => product * factor, 1)
}

/** `const NAME = 4096`, or a member of `const NAME = { capacity: 16, perSecond: 1 }`. */
const fromSource = (source: string, [name, member]: ReadonlyArray<string>): number | undefined => {
  const declared = new RegExp(`^(?:export )?const ${name} = (.+)$`, "m").exec(source)?.[1]
  if (declared === undefined || member === undefined) return declared === undefined ? undefined : evaluate(declared)
  const value = new RegExp(`[{,] ${member}: ([^,}]+?)[ ,}]`).exec(declared)?.[1]
  return value === undefined ? undefined : evaluate(value)
}

const member = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? Object.entries(value).find(([key]) => key === name)?.[1] : undefined

const actual = async (name: string, file: string): Promise<number | undefined> => {
  const path = name.split(".")
  const module: object = await import(/* @vite-ignore */ pathToFileURL(join(Markdown.ROOT, "src", file)).href)
  const value = path[0]! in module ? path.reduce<unknown>(member, { ...module }) : undefined
  if (Duration.isDuration(value)) return Duration.toSeconds(value)
  return typeof value === "number" ? value : fromSource(Markdown.read(`src/${file}`), path)
}

const isConstant = ({ cells }: Markdown.Row): boolean => cells.length === 6
const isSetting = ({ cells, section }: Markdown.Row): boolean => cells.length === 3 && section === "Configuration"

describe("docs/limits.md", () => {
  it("gives every constant the value that it has in the code", async () => {
    const constants = Markdown.rows(PAGE).filter(isConstant)
    assert.isAbove(constants.length, 100)
    for (const { cells, line } of constants) {
      const [what, value, , name, file] = cells as [string, string, string, string, string]
      const inCode = await actual(Markdown.code(name), Markdown.code(file))
      assert.strictEqual(inCode, shown(value), `limits.md:${line}: ${what} (${name} in ${file})`)
    }
  })

  it("gives every setting of a node the default that it has in the code", () => {
    const config = Result.getOrThrow(NodeConfig.resolve([], { home: "/home", socket: "/socket" }))
    const defaults = Schema.encodeSync(NodeConfig.NodeConfig)(config)
    const settings = Markdown.rows(PAGE).filter(isSetting)
    assert.isAbove(settings.length, 5)
    for (const { cells, line } of settings) {
      const flag = Markdown.code(cells[0]!)
      const key = Object.keys(defaults).find((name) => `--${NodeConfig.flagOf(name as NodeConfig.Key)}` === flag)
      assert.isDefined(key, `limits.md:${line}: no setting ${flag}`)
      assert.strictEqual(defaults[key as NodeConfig.Key], Markdown.code(cells[1]!), `limits.md:${line}: ${flag}`)
    }
  })

  it("is checked by a reader that sees what differs", () => {
    assert.strictEqual(evaluate("10 * 1_048_576 - 65_536"), 10_420_224)
    assert.strictEqual(evaluate("256 << 10"), 262_144)
    assert.strictEqual(evaluate('"10 seconds"'), 10)
    assert.strictEqual(evaluate("Duration.minutes(2)"), 120)
    assert.isUndefined(evaluate("somethingElse()"))
    assert.strictEqual(fromSource("const RATE = { capacity: 16, perSecond: 1 }", ["RATE", "perSecond"]), 1)
  })
})
