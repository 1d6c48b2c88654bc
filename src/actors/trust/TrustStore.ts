/** Where the trust table outlives the process: `trust.json` beside the identity, or nowhere for a node without one. */
import { Effect, Schema } from "effect"
import * as TrustFile from "./TrustFile.ts"

/** The table could not be read or written. */
export class TrustNotStored extends Schema.TaggedError<TrustNotStored>()("TrustNotStored", {
  path: Schema.String,
  detail: Schema.String
}) {}

/** Reads once per life, writes whole tables. */
export interface TrustStore {
  /** Nothing stored is an empty table. */
  readonly load: (nowSeconds: number) => Effect.Effect<TrustFile.Content, TrustNotStored>
  /** On disk, synced, when it succeeds. */
  readonly save: (content: TrustFile.Content) => Effect.Effect<void, TrustNotStored>
}

/** For as long as the process lives. */
export const memory = (): TrustStore => {
  let stored = TrustFile.empty
  return {
    load: () => Effect.sync(() => stored),
    save: (content) =>
      Effect.sync(() => {
        stored = content
      })
  }
}
