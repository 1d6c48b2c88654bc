/** The policy's JSON schema, for editors: `schema/policy.schema.json` in the package, and `pilotctl policy schema`. */
import { Schema } from "effect"
import type { JsonObject } from "../../core/data/Json.ts"
import { PolicyDocument } from "./PolicyDocument.ts"

/** Draft 2020-12. */
export const make = (): JsonObject => {
  const { definitions, schema } = Schema.toJsonSchemaDocument(PolicyDocument)
  const text = JSON.stringify({
    $schema: "https://json-schema.org/draft/2020-12/schema",
    ...schema,
    ...(Object.keys(definitions).length === 0 ? {} : { $defs: definitions })
  })
  // What the policy does not know is refused, so an editor may say so.
  return JSON.parse(text, (_key, value: JsonObject) =>
    value?.["additionalProperties"] === true ? { ...value, additionalProperties: false } : value
  )
}
