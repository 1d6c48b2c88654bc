/** Operations of ours that answer a page of rows at a time: `more` says whether there are further ones. */
import { Effect, Schema } from "effect"
import * as Json from "../../core/data/Json.ts"

/** What the rows are. */
export interface Options<A, E> {
  readonly schema: Schema.Codec<A, unknown>
  /** Where they stand in a reply. */
  readonly field: string
  /** Asks for the page after so many rows. */
  readonly ask: (after: number) => Effect.Effect<Json.JsonObject, E>
  /** A reply holds something else. */
  readonly notUnderstood: () => E
}

/** All rows, page by page. */
export const all = Effect.fnUntraced(function* <A, E>({
  ask,
  field,
  notUnderstood,
  schema
}: Options<A, E>): Effect.fn.Return<ReadonlyArray<A>, E> {
  const decode = Schema.decodeUnknownEffect(Schema.Array(schema))
  const rows: Array<A> = []
  for (let more = true; more; ) {
    const reply = yield* ask(rows.length)
    const page = yield* Effect.mapError(decode(Json.list(reply, field)), notUnderstood)
    rows.push(...page)
    more = Json.boolean(reply, "more") && page.length > 0
  }
  return rows
})
