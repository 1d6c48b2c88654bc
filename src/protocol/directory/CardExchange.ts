/**
 * Asking a keeper for the capability cards of the services that the asker may use: a line instead of a HELLO, as for the
 * list of services (`ServiceListing`), page by page.
 *
 *     → {"jsonrpc":"2.0","id":1,"method":"pilot/cards","params":{"after":"files"}}
 *     ← {"jsonrpc":"2.0","id":1,"result":{"cards":[{"card":{…},"signature":"…"}],"more":false,"pending":["search"]}}
 *
 * `after` is the service that the last page ended with; `pending` are services whose servers are still being looked at.
 */
import { Result, Schema } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Json from "../../core/data/Json.ts"

/** The method. */
export const METHOD = "pilot/cards"

/** One page. Cards are as they came: nothing about them is checked. */
export interface Page {
  readonly cards: ReadonlyArray<Json.JsonObject>
  readonly more: boolean
  readonly pending: ReadonlyArray<string>
}

/** The answer is none, or says no. */
export class NoCards extends Schema.TaggedError<NoCards>()("NoCards", { detail: Schema.String }) {}

/** The line that asks, with its newline. */
export const request = (after: string): Uint8Array =>
  Bytes.fromUtf8(`${JSON.stringify({ jsonrpc: "2.0", id: 1, method: METHOD, params: { after } })}\n`)

/** What `params` asks for: the services that come after this one. */
export const afterOf = (params: Json.JsonObject): string => Json.string(params, "after")

/** One page of the cards, sorted by service, that come after `after`; as many as fit. */
export const page = (
  cards: ReadonlyMap<string, Json.JsonObject>,
  after: string,
  pending: ReadonlyArray<string>
): Json.JsonObject => {
  const services = [...cards.keys()].filter((service) => service > after).toSorted()
  const shown: Array<Json.JsonObject> = []
  let sizeBytes = 0
  for (const service of services) {
    const card = cards.get(service) ?? {}
    sizeBytes += Bytes.fromUtf8(JSON.stringify(card)).length + 1
    if (shown.length > 0 && sizeBytes > PAGE_BYTES_MAX) break
    shown.push(card)
  }
  return { cards: shown, more: shown.length < services.length, pending: pending.slice(0, PENDING_MAX) }
}

/** The page in an answer. */
export const parseReply = (bytes: Uint8Array): Result.Result<Page, NoCards> => {
  const text = Bytes.toUtf8(bytes)
  const message = text === undefined ? undefined : Json.parseObject(text)
  const error = message === undefined ? undefined : Json.member(message, "error")
  if (Json.isObject(error)) {
    return Result.fail(new NoCards({ detail: Json.string(error, "message").slice(0, DETAIL_CHARACTERS_MAX) }))
  }
  const result = message === undefined ? undefined : Json.member(message, "result")
  if (!Json.isObject(result) || !Array.isArray(Json.member(result, "cards"))) {
    return Result.fail(new NoCards({ detail: "the answer holds no cards" }))
  }
  return Result.succeed({
    cards: Json.objects(result, "cards").slice(0, CARDS_PER_PAGE_MAX),
    more: Json.boolean(result, "more"),
    pending: Json.strings(result, "pending")
      .filter((name) => NAME.test(name))
      .slice(0, PENDING_MAX)
  })
}

/** Room is left for the envelope and one card more. */
const PAGE_BYTES_MAX = 200_000
/** The longest answer that is read, without its newline. */
export const REPLY_BYTES_MAX = 262_144
/** Cards are at least some hundred bytes. */
const CARDS_PER_PAGE_MAX = 1024
const PENDING_MAX = 256
const DETAIL_CHARACTERS_MAX = 200
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
