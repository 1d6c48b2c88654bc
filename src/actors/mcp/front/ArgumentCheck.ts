/**
 * Arguments checked against the schema of their tool before `call_tool` sends them (mcp §6.11), by Ajv. The schema is a
 * stranger's: what could be made to run for long is not compiled, references leave the schema never, and regular expressions,
 * which backtrack, are left to the server.
 */
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js"
import { Result } from "effect"
import * as Json from "../../../core/data/Json.ts"
import * as SchemaCost from "../../../protocol/mcp/SchemaCost.ts"

/** What is wrong, one line each; nothing if the arguments fit, or if the schema cannot be used here. */
export const problems = (schema: Json.Json | undefined, args: Json.Json): ReadonlyArray<string> => {
  const validate = Json.isObject(schema) ? compiled(schema) : undefined
  if (validate === undefined || SchemaCost.depth(args) > ARGUMENTS_DEPTH_MAX) return []
  if (validate(args)) return []
  return (validate.errors ?? [])
    .slice(0, PROBLEMS_MAX)
    .map(({ instancePath, message }) => `arguments${instancePath}: ${message ?? "is not as the schema wants it"}`)
}

const compiled = (schema: Json.JsonObject): ValidateFunction | undefined => {
  const known = CACHE.get(schema)
  if (known !== undefined) return known.validate
  const validate = isModest(schema) ? Result.getOrUndefined(Result.try(() => compile(schema))) : undefined
  CACHE.set(schema, { validate })
  return validate
}

const compile = ({ $id: _id, $schema: _dialect, ...schema }: Json.JsonObject): ValidateFunction =>
  new Ajv2020({
    strict: false,
    validateSchema: false,
    validateFormats: false,
    addUsedSchema: false,
    logger: false,
    // Some engine must be given; one that finds everything leaves the decision to the server.
    code: { regExp: EVERYTHING }
  })
    .removeKeyword("uniqueItems")
    .compile(schema)

const EVERYTHING = Object.assign(() => ({ test: () => true }), { code: "" })

const isModest = (schema: Json.JsonObject): boolean =>
  JSON.stringify(schema).length <= SchemaCost.SCHEMA_BYTES_MAX &&
  SchemaCost.depth(schema) <= SchemaCost.DEPTH_MAX &&
  !SchemaCost.hasOutsideReference(schema) &&
  SchemaCost.parts(schema) <= SchemaCost.PARTS_MAX

const CACHE = new WeakMap<Json.JsonObject, { readonly validate: ValidateFunction | undefined }>()
const PROBLEMS_MAX = 8
/** A schema that refers to itself costs more with every level of the value. */
const ARGUMENTS_DEPTH_MAX = 16
