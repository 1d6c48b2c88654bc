/**
 * How much work a JSON Schema of others can make (mcp §8, rule 6): references may refer to references, so that a small
 * schema stands for an enormous one. Counted before any validator sees it.
 */
import * as Json from "../../core/data/Json.ts"

/** Nesting of a schema that is served or checked. */
export const DEPTH_MAX = 32

/** Bytes of a schema that is served or checked. */
export const SCHEMA_BYTES_MAX = 65_536

/** Parts of a schema, references followed, up to which arguments are checked here; beyond, only the server does. */
export const PARTS_MAX = 20_000

/** Nesting of a value, 0 for a scalar. */
export const depth = (value: Json.Json | undefined): number => {
  if (typeof value !== "object" || value === null) return 0
  const members = Array.isArray(value) ? value : Object.values(value)
  return 1 + members.reduce<number>((deepest, member) => Math.max(deepest, depth(member)), 0)
}

/** Parts with references within the schema followed; at most `PARTS_MAX + 1`. A reference to what is around it counts once. */
export const parts = (schema: Json.JsonObject): number => {
  let count = 0
  const visit = (node: Json.Json | undefined, around: ReadonlySet<string>): void => {
    if (typeof node !== "object" || node === null || count > PARTS_MAX) return
    count++
    for (const member of Array.isArray(node) ? node : Object.values(node)) visit(member, around)
    if (!Json.isObject(node)) return
    for (const key of ["$ref", "$dynamicRef"]) {
      const reference = Json.member(node, key)
      if (typeof reference === "string" && !around.has(reference)) {
        visit(target(schema, reference), new Set([...around, reference]))
      }
    }
  }
  visit(schema, new Set())
  return count
}

/** Whether it names anything outside itself, which nobody here fetches (mcp §1.1). */
export const hasOutsideReference = (schema: Json.Json | undefined): boolean => {
  if (typeof schema !== "object" || schema === null) return false
  if (Array.isArray(schema)) return schema.some(hasOutsideReference)
  return Object.entries(schema).some(([key, value]) =>
    (key === "$ref" || key === "$dynamicRef") && typeof value === "string"
      ? !value.startsWith("#")
      : hasOutsideReference(value)
  )
}

/** What a pointer within the schema leads to; anchors are taken as the whole, which is never less. */
const target = (schema: Json.JsonObject, reference: string): Json.Json | undefined => {
  if (!reference.startsWith("#/")) return schema
  let node: Json.Json | undefined = schema
  for (const step of reference.slice(2).split("/")) {
    const key = step.replaceAll("~1", "/").replaceAll("~0", "~")
    if (Array.isArray(node)) node = node[Number(key)]
    else node = Json.isObject(node) ? Json.member(node, key) : undefined
  }
  return node
}
