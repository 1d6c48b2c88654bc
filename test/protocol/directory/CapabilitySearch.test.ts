import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import * as CapabilitySearch from "../../../src/protocol/directory/CapabilitySearch.ts"
import { element, integer } from "../../support/Arbitraries.ts"
import * as Cards from "../../support/Cards.ts"

const cards = [
  Cards.card(1, "files", [
    Cards.tool("read_file", "Reads a text file", { path: "string" }),
    Cards.tool("read_csv", "Reads a CSV file into rows", { path: "string", delimiter: "string" })
  ]),
  Cards.card(2, "office", [
    Cards.tool("translate_document", "Translates a PDF or Word document", { url: "string", language: "string" }),
    Cards.tool("convert", "Converts documents to PDF", { url: "string" })
  ]),
  Cards.card(3, "weather", [Cards.tool("forecast", "Weather for a place", { latitude: "number", longitude: "number" })])
]
const rank = (words: string, parameters: ReadonlyArray<readonly [string, string]> = [], limit = 10) =>
  CapabilitySearch.rank(cards, (card) => card, {
    words,
    parameters: parameters.map(([name, type]) => ({ name, type, isRequired: true })),
    limit
  })
const names = (matches: ReturnType<typeof rank>) =>
  matches.map(({ from, tools }) => `${from.service}:${tools.map(({ tool }) => tool.name).join(",")}`)

describe("CapabilitySearch", () => {
  it("finds by words, whatever their endings, and says which tools match", () => {
    assert.deepStrictEqual(names(rank("translate a pdf")), ["office:translate_document,convert"])
    assert.strictEqual(names(rank("read csv"))[0], "files:read_csv,read_file")
    assert.deepStrictEqual(rank("something unheard of"), [])
    assert.deepStrictEqual(rank(""), [])
  })

  it("finds by arguments alone, by name and type", () => {
    const found = rank("", [
      ["latitude", "number"],
      ["longitude", "number"]
    ])
    assert.deepStrictEqual(names(found), ["weather:forecast"])
    assert.strictEqual(found[0]?.tools[0]?.score, 1)
    const ofOtherType = rank("", [
      ["latitude", "string"],
      ["longitude", "string"]
    ])
    assert.strictEqual(ofOtherType[0]?.tools[0]?.score, 0.5)
  })

  it("prefers, among tools with the same words, the one that takes what the caller has", () => {
    const both = [
      Cards.card(1, "a", [Cards.tool("resize_image", "Resizes an image", { url: "string" })]),
      Cards.card(2, "b", [Cards.tool("resize_image", "Resizes an image", { file: "string", width: "integer" })])
    ]
    const parameters = [
      { name: "width", type: "integer", isRequired: false },
      { name: "file", type: "string", isRequired: true }
    ]
    const found = CapabilitySearch.rank(both, (card) => card, { words: "resize image", parameters, limit: 5 })
    assert.deepStrictEqual(
      found.map(({ from }) => from.service),
      ["b", "a"]
    )
  })

  it("takes away for what a tool needs and the caller has not", () => {
    const has = [{ name: "path", type: "string", isRequired: true }]
    const parameter = (name: string) => ({ name, type: "string", isRequired: true })
    const [none, one, many] = [0, 1, 20].map((count) =>
      CapabilitySearch.fitOf([parameter("path"), ...Array.from({ length: count }, (_, at) => parameter(`x${at}`))], has)
    )
    assert.strictEqual(none, 1)
    assert.isBelow(one ?? 0, none ?? 0)
    assert.isAbove(many ?? 0, 0)
  })

  const word = element("read", "write", "csv", "image", "pdf", "weather", "translate", "file")
  const anyCard = Arbitrary.map(
    Arbitrary.all({
      seed: integer(1, 6),
      service: element("a", "b", "c", "d"),
      tools: Arbitrary.array(Arbitrary.all({ one: word, two: word, parameter: word }), { minLength: 1, maxLength: 4 })
    }),
    ({ seed, service, tools }) =>
      Cards.card(
        seed,
        service,
        tools.map(({ one, parameter, two }) =>
          Cards.tool(`${one}_${two}`, `It can ${two} a ${parameter}`, { [parameter]: "string" })
        )
      )
  )

  it.prop(
    "gives the same order whatever order the cards come in, best first, no more than asked for, nothing without a match",
    {
      cards: Arbitrary.array(anyCard, { maxLength: 12 }),
      words: word,
      has: word,
      limit: integer(1, 5),
      kind: integer(0, 2)
    },
    ({ cards, has, kind, limit, words }) => {
      const unique = [...new Map(cards.map((card) => [`${card.publicKey} ${card.service}`, card])).values()]
      const question = {
        words: kind === 1 ? "" : words,
        parameters: kind === 0 ? [] : [{ name: has, type: "string", isRequired: true }],
        limit
      }
      const found = CapabilitySearch.rank(unique, (card) => card, question)
      const reversed = CapabilitySearch.rank(unique.toReversed(), (card) => card, question)

      assert.deepStrictEqual(reversed, found)
      assert.isAtMost(found.length, limit)
      assert.deepStrictEqual(
        found.map(({ score }) => score),
        found.map(({ score }) => score).toSorted((a, b) => b - a)
      )
      for (const { from, score, tools } of found) {
        assert.isAbove(score, 0)
        assert.isAtMost(score, 1)
        const terms = CapabilitySearch.termsOf(from)
        const sought = CapabilitySearch.termsOf(Cards.card(1, kind === 1 ? has : words, []))
        assert.isTrue([...sought].some((term) => terms.has(term)) || tools.length > 0)
      }
    }
  )
})
