/** Capability cards of others, and the answers they come in. */
import { Result } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Json from "../../../src/core/data/Json.ts"
import * as CapabilityCard from "../../../src/protocol/directory/CapabilityCard.ts"
import * as CapabilitySearch from "../../../src/protocol/directory/CapabilitySearch.ts"
import * as CardExchange from "../../../src/protocol/directory/CardExchange.ts"
import * as SignedCard from "../../../src/protocol/directory/SignedCard.ts"
import * as Cards from "../../support/Cards.ts"
import * as Corpus from "../Corpus.ts"
import * as Fuzzer from "../Fuzzer.ts"
import { assertSame } from "../Oracle.ts"

const cards = () => [
  Cards.sign(
    1,
    Cards.card(1, "files", [Cards.tool("read_csv", "Reads a CSV file", { path: "string", limit: "integer" })])
  ),
  Cards.sign(2, Cards.card(2, "office", [Cards.tool("translate", "Translates"), Cards.tool("convert", "")]))
]

/** A card that is read is within its bounds, can be searched, and written is the same card. Signatures are not looked at. */
const read = (bytes: Uint8Array): unknown => {
  const value = Json.parseObject(Bytes.toUtf8Lossy(bytes))
  if (value === undefined) return undefined
  const check = { verify: () => true, nowSeconds: Cards.NOW_SECONDS }
  const decoded = SignedCard.decode(value, check)
  if (Result.isFailure(decoded)) return decoded.failure.reason
  const { card } = decoded.success
  if (card.tools.length > CapabilityCard.TOOLS_MAX) throw new Error("too many tools")
  CapabilitySearch.rank([card], (one) => one, { words: "read csv", parameters: [], limit: 1 })
  const again = SignedCard.decode({ card: CapabilityCard.toObject(card), signature: decoded.success.signature }, check)
  assertSame(Result.getOrThrow(again).card, card, "its own writing is read as something else")
  return card.tools.length
}

/** Under the real check, no changed card holds: it is refused, or says the very same. */
const verified = (bytes: Uint8Array): unknown => {
  const value = Json.parseObject(Bytes.toUtf8Lossy(bytes))
  if (value === undefined) return undefined
  const decoded = SignedCard.decode(value, { verify: Cards.verify, nowSeconds: Cards.NOW_SECONDS })
  if (Result.isFailure(decoded)) return decoded.failure.reason
  const text = CapabilityCard.signedText(decoded.success.object)
  const isKnown = cards().some((known) => {
    const card = Json.member(known, "card")
    return Json.isObject(card) && CapabilityCard.signedText(card) === text
  })
  if (!isKnown) throw new Error("a card that nobody signed holds")
  return text.length
}

const page = (bytes: Uint8Array): unknown =>
  Result.match(CardExchange.parseReply(bytes), {
    onFailure: ({ detail }) => detail,
    onSuccess: ({ cards: found, more, pending }) => [found.length, more, pending]
  })

/** Every format of this file. */
export const targets: ReadonlyArray<Fuzzer.Target> = [
  Fuzzer.decoder({
    name: "directory/SignedCard",
    covers: [SignedCard.decode],
    format: "json",
    samples: () => Corpus.jsons(...cards()),
    decode: read
  }),
  Fuzzer.decoder({
    name: "directory/SignedCard verified",
    covers: [],
    format: "json",
    samples: () => Corpus.jsons(...cards()),
    decode: verified
  }),
  Fuzzer.decoder({
    name: "directory/CardExchange",
    covers: [CardExchange.parseReply],
    format: "json",
    samples: () =>
      Corpus.jsons(
        { jsonrpc: "2.0", id: 1, result: { cards: cards(), more: true, pending: ["search"] } },
        { jsonrpc: "2.0", id: 1, error: { code: -32601, message: "There is no such method here." } }
      ),
    decode: page
  })
]
