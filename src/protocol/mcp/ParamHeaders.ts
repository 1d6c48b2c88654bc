/**
 * Arguments of a tool that its schema wants repeated as headers, `x-mcp-header: N` becoming `Mcp-Param-N` (mcp §2.4): only
 * strings, integers and booleans, only those reachable through `properties`, only when present and not null.
 */
import * as Json from "../../core/data/Json.ts"
import * as HeaderText from "./HeaderText.ts"

/** One argument, by its way through the object, and the name of its header in lower case. */
export interface Annotation {
  readonly path: ReadonlyArray<string>
  readonly header: string
}

/** Those of an input schema, at most `ANNOTATIONS_MAX`; a name that is no header is left out. */
export const annotations = (schema: Json.Json | undefined): ReadonlyArray<Annotation> => {
  const found: Array<Annotation> = []
  const visit = (node: Json.Json | undefined, path: ReadonlyArray<string>): void => {
    if (!Json.isObject(node) || path.length > DEPTH_MAX || found.length >= ANNOTATIONS_MAX) return
    const name = Json.member(node, "x-mcp-header")
    if (typeof name === "string" && NAME.test(name) && KINDS.has(Json.string(node, "type"))) {
      found.push({ path, header: `mcp-param-${name.toLowerCase()}` })
    }
    const properties = Json.member(node, "properties")
    if (!Json.isObject(properties)) return
    for (const key of Object.keys(properties)) visit(Json.member(properties, key), [...path, key])
  }
  visit(schema, [])
  return found.slice(0, ANNOTATIONS_MAX)
}

/** The headers for these arguments. */
export const headers = (
  annotations: ReadonlyArray<Annotation>,
  values: Json.JsonObject
): Readonly<Record<string, string>> => {
  const found: Record<string, string> = {}
  for (const { header, path } of annotations) {
    let value: Json.Json | undefined = values
    for (const key of path) value = Json.isObject(value) ? Json.member(value, key) : undefined
    if (typeof value === "string" || typeof value === "boolean") found[header] = HeaderText.encode(String(value))
    if (typeof value === "number" && Number.isSafeInteger(value)) found[header] = String(value)
  }
  return found
}

/** A token of RFC 9110 §5.6.2. */
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/
const KINDS: ReadonlySet<string> = new Set(["string", "integer", "boolean"])
const DEPTH_MAX = 32
const ANNOTATIONS_MAX = 64
