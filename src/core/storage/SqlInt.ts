/** Whole numbers in columns, as engines give them: SQLite as numbers, PostgreSQL those of a BIGINT as `bigint`. */
import { Schema, SchemaGetter } from "effect"

/** A safe whole number, of whichever engine. */
export const SqlInt = Schema.Union([
  Schema.Int,
  Schema.BigInt.pipe(
    Schema.decodeTo(Schema.Int, {
      decode: SchemaGetter.transform((value: bigint) => Number(value)),
      encode: SchemaGetter.transform((value: number) => BigInt(value))
    })
  )
])
