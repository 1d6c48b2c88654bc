/** Asks the keeper of a peer for the capability cards of what this node may use there (`CardExchange`). */
import { Effect, type Scope } from "effect"
import type { JsonObject } from "../../../core/data/Json.ts"
import * as Json from "../../../core/data/Json.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import * as CardExchange from "../../../protocol/directory/CardExchange.ts"
import * as PlainQuestion from "./PlainQuestion.ts"

/** What a peer gave. Nothing about the cards is checked. */
export interface Given {
  readonly cards: ReadonlyArray<JsonObject>
  /** Services that the peer still looks at. */
  readonly pending: ReadonlyArray<string>
}

/** All pages, each over a stream of its own from `dial`. */
export const ask = Effect.fn("CardAsker.ask")(function* <E, E2>(
  dial: Effect.Effect<Duplex<E>, E2, Scope.Scope>
): Effect.fn.Return<Given, E2 | PlainQuestion.NoAnswer | CardExchange.NoCards> {
  const cards: Array<JsonObject> = []
  let after = ""
  for (let asked = 0; ; asked++) {
    const answer = yield* PlainQuestion.ask(dial, CardExchange.request(after), CardExchange.REPLY_BYTES_MAX)
    const page = yield* Effect.fromResult(CardExchange.parseReply(answer))
    cards.push(...page.cards)
    const last = serviceOf(page.cards.at(-1))
    // A peer that goes round in circles is left.
    if (!page.more || last <= after || asked + 1 >= PAGES_MAX) return { cards, pending: page.pending }
    after = last
  }
})

const serviceOf = (signed: JsonObject | undefined): string => {
  const card = signed === undefined ? undefined : Json.member(signed, "card")
  return Json.isObject(card) ? Json.string(card, "service") : ""
}

/** Pages asked of one peer. */
const PAGES_MAX = 16
