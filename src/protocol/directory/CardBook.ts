/**
 * The newest card seen of each service, so that whoever passes cards on cannot bring back an older one (rollback), and so
 * that a node that says two things under one number is found out. Immutable and bounded: the least recently seen go first.
 */
import { Result } from "effect"
import { CardRefused, type SignedCard } from "./SignedCard.ts"

/** What is remembered of one service. */
export interface Entry {
  readonly publicKey: string
  readonly service: string
  readonly sequence: number
  readonly signature: string
}

/** Least recently seen first. */
export type CardBook = ReadonlyArray<Entry>

/** The book with this card in it; refused is a card older than one seen, or another under the same number. */
export const admit = (self: CardBook, { card, signature }: SignedCard): Result.Result<CardBook, CardRefused> => {
  const { publicKey, sequence, service } = card
  const isSame = (entry: Entry) => entry.publicKey === publicKey && entry.service === service
  const known = self.find(isSame)
  if (known !== undefined && known.sequence > sequence) {
    return Result.fail(new CardRefused({ reason: "RolledBack", detail: `a newer one, ${known.sequence}, was seen` }))
  }
  if (known !== undefined && known.sequence === sequence && known.signature !== signature) {
    return Result.fail(new CardRefused({ reason: "RolledBack", detail: `another one was seen under ${sequence}` }))
  }
  const others = self.filter((entry) => !isSame(entry))
  return Result.succeed([...others.slice(-(ENTRIES_MAX - 1)), { publicKey, service, sequence, signature }])
}

/** Services remembered. */
export const ENTRIES_MAX = 4096
