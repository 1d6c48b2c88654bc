/**
 * What a tool's definition is known by (mcp §6.9): the SHA-256 of the RFC 8785 text of the fields that a model or a client
 * acts on. Everything else, icons and `_meta` included, may change unnoticed.
 */
import * as CanonicalJson from "../../core/data/CanonicalJson.ts"
import * as Json from "../../core/data/Json.ts"
import * as PlainText from "./PlainText.ts"

/** The pinned part of a definition as RFC 8785 text, and how many characters in it nobody can see. */
export interface Pinned {
  readonly name: string
  readonly canonical: string
  readonly hidden: number
}

/** The pinned part of a definition in a list; undefined if it has no name. */
export const of = (tool: Json.JsonObject): Pinned | undefined => {
  const name = Json.member(tool, "name")
  if (typeof name !== "string") return undefined
  const present = FIELDS.flatMap((field) => {
    const value = Json.member(tool, field)
    return value === undefined ? [] : [[field, value] as const]
  })
  const text = canonical(Object.fromEntries(present))
  return { name, canonical: text, hidden: PlainText.clean(text).hidden }
}

/** RFC 8785. */
export const canonical = CanonicalJson.encode

const FIELDS = ["name", "title", "description", "inputSchema", "outputSchema", "annotations", "execution"]
