import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import * as TopicPattern from "../../../src/protocol/pubsub/TopicPattern.ts"
import * as Arb from "../../support/Arbitraries.ts"

const matches = (pattern: string, topic: string) =>
  TopicPattern.matches(TopicPattern.parse(pattern), TopicPattern.topic(topic))

const CASES: ReadonlyArray<readonly [pattern: string, yes: ReadonlyArray<string>, no: ReadonlyArray<string>]> = [
  ["news", ["news"], ["news.a", "new", "*", ""]],
  ["", [""], ["news", "*"]],
  ["*", ["news", "", "a.b", "*"], []],
  ["**", ["news", "", "a.b/c"], []],
  ["data.*", ["data.a", "data.a.b", "data.", "data.*"], ["data", "data/a", "other.a", "adata.a"]],
  ["data/*", ["data/a", "data/a/b"], ["data.a", "data"]],
  ["*.failed", ["task.failed", ".failed"], ["failed", "a.b.failed", "task.failed.late", "task/failed"]],
  ["a.*.c", ["a.b.c", "a..c"], ["a.c", "a.b.b.c", "a.b"]],
  ["data.**", ["data", "data.a", "data.a/b"], ["datas", "a.data"]],
  ["a.**.c", ["a.c", "a.b.c", "a.c.c", "a.b.b.c"], ["a.b", "c", "a.c.b"]],
  ["**.a.**.b", ["a.b", "x.a.y.b", "a.a.b.b"], ["b.a", "a"]],
  ["da*ta", ["da*ta"], ["data", "daxta"]]
]

/** The obvious way, for patterns over one separator. */
const naive = (pattern: ReadonlyArray<string>, topic: ReadonlyArray<string>): boolean => {
  const [first, ...rest] = pattern
  if (first === undefined) return topic.length === 0
  if (first === "**") return naive(rest, topic) || (topic.length > 0 && naive(pattern, topic.slice(1)))
  if (first === "*" && rest.length === 0) return topic.length > 0
  return topic.length > 0 && (first === "*" || first === topic[0]) && naive(rest, topic.slice(1))
}

describe("TopicPattern", () => {
  for (const [pattern, yes, no] of CASES)
    it(`${JSON.stringify(pattern)} (node §5)`, () => {
      assert.deepStrictEqual(
        yes.filter((topic) => !matches(pattern, topic)),
        []
      )
      assert.deepStrictEqual(
        no.filter((topic) => matches(pattern, topic)),
        []
      )
    })

  const words = Arbitrary.array(Arb.element("a", "b", "*", "**"), { maxLength: 6 })
  const topics = Arbitrary.array(Arb.element("a", "b", ""), { maxLength: 8 })
  it.prop("finds what the obvious way finds", { words, topics }, ({ topics, words }) => {
    if (words.length === 0 || topics.length === 0) return
    const [pattern, topic] = [words.join("."), topics.join(".")]
    assert.strictEqual(matches(pattern, topic), naive(words, topic.split(".")), `${pattern} ${topic}`)
  })

  it("a broker of the reference is asked for the topic, or for everything", () => {
    assert.strictEqual(TopicPattern.literal(TopicPattern.parse("data")), "data")
    assert.strictEqual(TopicPattern.literal(TopicPattern.parse("data.*")), "*")
  })

  it("many stars over a long topic take no time that grows with their number's power", () => {
    const topic = TopicPattern.topic(`${"a.".repeat(500)}b`)
    const pattern = TopicPattern.parse(`${"**.a.".repeat(100)}**.c`)

    assert.isFalse(TopicPattern.matches(pattern, topic))
  })
})
