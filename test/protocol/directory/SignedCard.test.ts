import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Result } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Json from "../../../src/core/data/Json.ts"
import * as CapabilityCard from "../../../src/protocol/directory/CapabilityCard.ts"
import * as CardBook from "../../../src/protocol/directory/CardBook.ts"
import * as SignedCard from "../../../src/protocol/directory/SignedCard.ts"
import * as ToolPin from "../../../src/protocol/mcp/ToolPin.ts"
import { element, integer, json, text } from "../../support/Arbitraries.ts"
import * as Cards from "../../support/Cards.ts"

const check: SignedCard.Check = { verify: Cards.verify, nowSeconds: Cards.NOW_SECONDS }
const decode = (value: Json.JsonObject, more: Partial<SignedCard.Check> = {}) =>
  SignedCard.decode(value, { ...check, ...more })
const reason = (value: Json.JsonObject, more: Partial<SignedCard.Check> = {}) =>
  Result.match(decode(value, more), { onFailure: (error) => error.reason, onSuccess: () => "accepted" })

const READ = Cards.tool("read_csv", "Reads a CSV file", { path: "string", limit: "integer" })
const good = Cards.card(1, "files", [READ])

/** Any definition a server may give, sane or not. */
const definition: Arbitrary.Arbitrary<Json.JsonObject> = Arbitrary.map(
  Arbitrary.all({
    name: element("read", "write/all", "böse", "with space", "x".repeat(200), "\u202eread"),
    description: text,
    properties: json,
    required: json
  }),
  ({ description, name, properties, required }) => ({
    name,
    description: description.toWellFormed(),
    inputSchema: { type: "object", properties, required }
  })
)
const source = Arbitrary.all({
  tools: Arbitrary.array(definition, { maxLength: 90 }),
  title: text,
  instructions: text,
  repeat: integer(1, 400)
})

describe("a capability card", () => {
  it.prop("of any server fits, hides nothing, and is read back as it was made", { source }, ({ source }) => {
    const { instructions, repeat, title, tools } = source
    const made = CapabilityCard.make(
      {
        node: 1,
        publicKey: good.publicKey,
        service: "files",
        title: title.toWellFormed(),
        version: "",
        instructions: instructions.toWellFormed().repeat(repeat),
        eras: ["2026-07-28"],
        tools,
        isPublic: false
      },
      Cards.hash
    )
    const card = { ...made, sequence: 3, issuedAt: Cards.NOW_SECONDS, expiresAt: Cards.NOW_SECONDS + 60 }
    const decoded = decode(Json.parseObject(JSON.stringify(Cards.sign(1, card))) ?? {})

    assert.deepStrictEqual(Result.getOrThrow(decoded).card, card)
    assert.isAtMost(
      Bytes.fromUtf8(ToolPin.canonical(CapabilityCard.toObject(card))).length,
      CapabilityCard.CARD_BYTES_MAX
    )
  })

  it("keeps the tools when there are many, and gives up their texts first", () => {
    const many = Array.from({ length: 80 }, (_, at) =>
      Cards.tool(
        `tool_${at}`,
        "d".repeat(500),
        Object.fromEntries(Array.from({ length: 20 }, (_, p) => [`p${p}`, "string"]))
      )
    )
    const card = Cards.card(1, "big", many)

    assert.strictEqual(card.toolsCount, 80)
    assert.isAbove(card.tools.length, 40)
    assert.strictEqual(reason(Cards.sign(1, card)), "accepted")
  })

  it("has a name for server.json in which its key stands, and a hash that changes with any definition", () => {
    assert.match(good.name, /^dev\.effect-pilot\.[0-9a-f]{32}\/files$/)
    const other = Cards.card(1, "files", [{ ...READ, annotations: { readOnlyHint: true } }])
    assert.notStrictEqual(other.hash, good.hash)
    assert.deepStrictEqual(good.tools[0]?.parameters, [
      { name: "limit", type: "integer", isRequired: false },
      { name: "path", type: "string", isRequired: true }
    ])
  })

  it.prop(
    "is signed whatever order its members come in, and no byte of it may change",
    { at: integer(0, 5000) },
    ({ at }) => {
      const signed = Cards.sign(1, good)
      const object = CapabilityCard.toObject(good)
      const shuffled = Object.fromEntries(Object.entries(object).toReversed())
      assert.strictEqual(reason({ ...signed, card: shuffled }), "accepted")

      const text = JSON.stringify(signed)
      const index = at % text.length
      const changed = `${text.slice(0, index)}${text[index] === "1" ? "2" : "1"}${text.slice(index + 1)}`
      const parsed = Json.parseObject(changed)
      const isSame = parsed !== undefined && JSON.stringify(parsed) === text
      if (parsed !== undefined && !isSame) assert.notStrictEqual(reason(parsed), "accepted", changed)
    }
  )

  it("may say more than is known here, which its signature covers as well", () => {
    const signed = Cards.signObject(1, { ...CapabilityCard.toObject(good), price: { each: 0.5 } })
    assert.strictEqual(reason(signed), "accepted")
    const card = Json.member(signed, "card")
    assert.strictEqual(reason({ ...signed, card: { ...(Json.isObject(card) ? card : {}), price: 1 } }), "BadSignature")
  })

  it("of a liar is refused: another's key, node or name, no signature, hidden text, too large, out of time", () => {
    const object = CapabilityCard.toObject(good)
    const lie = (changes: Json.JsonObject, seed = 1) => Cards.signObject(seed, { ...object, ...changes })

    assert.strictEqual(reason(Cards.signObject(2, object)), "BadSignature")
    assert.strictEqual(reason(Cards.sign(1, good), { publicKey: Cards.key(2).publicKey }), "WrongKey")
    assert.strictEqual(reason(Cards.sign(1, good), { node: 2 }), "WrongNode")
    assert.strictEqual(reason({ card: object, signature: "" }), "BadSignature")
    assert.strictEqual(reason(lie({ name: "io.github.somebody/files" })), "Malformed")
    assert.strictEqual(reason(lie({ description: "reads\u200bfiles" })), "HiddenCharacters")
    assert.strictEqual(reason(lie({ description: "a\nb" })), "HiddenCharacters")
    assert.strictEqual(reason(lie({ note: { deep: ["\u202e"] } })), "HiddenCharacters")
    assert.strictEqual(reason(lie({ note: "x".repeat(20_000) })), "TooLarge")
    assert.strictEqual(reason(lie({ expiresAt: Cards.NOW_SECONDS })), "Expired")
    assert.strictEqual(reason(lie({ issuedAt: Cards.NOW_SECONDS + 301 })), "Expired")
    assert.strictEqual(reason(lie({ expiresAt: Cards.NOW_SECONDS + 800_000 })), "Malformed")
    assert.strictEqual(reason(lie({ sequence: 1.5 })), "Malformed")
    assert.strictEqual(reason(lie({ tools: [{ name: "a b" }] })), "Malformed")
    assert.strictEqual(reason(lie({ publicKey: "AAAA" })), "Malformed")
  })

  it("cannot be mistaken for anything else that a node signs", () => {
    const bare = Bytes.toBase64(Cards.key(1).sign(Bytes.fromUtf8(ToolPin.canonical(CapabilityCard.toObject(good)))))
    assert.strictEqual(reason({ card: CapabilityCard.toObject(good), signature: bare }), "BadSignature")
  })

  it("that is older than one seen is refused, as is a second one under the same number", () => {
    const signed = (changes: Partial<CapabilityCard.CapabilityCard>) =>
      Result.getOrThrow(decode(Cards.sign(1, { ...good, ...changes })))
    const book = Result.getOrThrow(CardBook.admit([], signed({ sequence: 5 })))

    assert.deepStrictEqual(CardBook.admit(book, signed({ sequence: 5 })), Result.succeed(book))
    for (const old of [signed({ sequence: 4 }), signed({ sequence: 5, title: "another" })]) {
      const refused = CardBook.admit(book, old)
      assert.strictEqual(Result.isFailure(refused) ? refused.failure.reason : "", "RolledBack")
    }
    assert.lengthOf(Result.getOrThrow(CardBook.admit(book, signed({ sequence: 6 }))), 1)
  })

  it("book forgets the least recently seen, and no others", () => {
    const template = Result.getOrThrow(decode(Cards.sign(1, good)))
    let book: CardBook.CardBook = []
    for (let at = 0; at <= CardBook.ENTRIES_MAX; at++) {
      const next = { ...template, card: { ...good, service: `s${at}` } }
      book = [...book, ...Result.getOrThrow(CardBook.admit(book.slice(-1), next)).slice(-1)]
    }
    const full = Result.getOrThrow(
      CardBook.admit(book.slice(-CardBook.ENTRIES_MAX), { ...template, card: { ...good, service: "new" } })
    )
    assert.lengthOf(full, CardBook.ENTRIES_MAX)
    assert.strictEqual(full.at(-1)?.service, "new")
  })
})
