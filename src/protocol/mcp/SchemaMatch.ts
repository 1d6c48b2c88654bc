/**
 * Whether values of one JSON Schema are taken by another, as far as it can be told for sure from types, properties and
 * what is required. Silence is no proof: what is not understood is not reported. For a program that was written against a
 * tool's definition, and a server that lists another one now.
 */
import * as Json from "../../core/data/Json.ts"

/** Why arguments of schema `sent` would be refused by schema `wanted`; one sentence each. */
export const disagreements = (sent: Json.JsonObject, wanted: Json.JsonObject): ReadonlyArray<string> =>
  compare(sent, wanted, "", 0)

const compare = (
  sent: Json.JsonObject,
  wanted: Json.JsonObject,
  path: string,
  depth: number
): ReadonlyArray<string> => {
  const [ours, theirs] = [typesOf(sent, 0), typesOf(wanted, 0)]
  if (
    ours !== undefined &&
    theirs !== undefined &&
    !ours.some((type) => theirs.some((other) => overlaps(type, other)))
  ) {
    return [`${path === "" ? "the arguments are" : `${path} is`} ${theirs.join(" or ")}, not ${ours.join(" or ")}`]
  }
  if (depth >= DEPTH_MAX) return []
  const items = [object(sent, "items"), object(wanted, "items")] as const
  return [
    ...properties(sent, wanted, path, depth),
    ...(items[0] === undefined || items[1] === undefined ? [] : compare(items[0], items[1], `${path}[]`, depth + 1))
  ]
}

const properties = (
  sent: Json.JsonObject,
  wanted: Json.JsonObject,
  path: string,
  depth: number
): ReadonlyArray<string> => {
  const [ours, theirs] = [object(sent, "properties"), object(wanted, "properties")]
  if (ours === undefined) return []
  const always = Json.strings(sent, "required")
  const named = (name: string) => (path === "" ? name : `${path}.${name}`)
  const isClosed = Json.member(wanted, "additionalProperties") === false
  return [
    ...Json.strings(wanted, "required").flatMap((name) => {
      if (!Object.hasOwn(ours, name)) return [`${named(name)} is required`]
      return always.includes(name) ? [] : [`${named(name)} is required, not optional`]
    }),
    ...Object.keys(ours).flatMap((name) => {
      const [mine, other] = [object(ours, name), theirs === undefined ? undefined : object(theirs, name)]
      if (other === undefined) {
        const isKnown = theirs !== undefined && Object.hasOwn(theirs, name)
        return isClosed && !isKnown ? [`${named(name)} is not known`] : []
      }
      return mine === undefined ? [] : compare(mine, other, named(name), depth + 1)
    })
  ]
}

/** The JSON types that a schema takes; undefined when they cannot be told. */
const typesOf = (schema: Json.JsonObject, depth: number): ReadonlyArray<string> | undefined => {
  const type = Json.member(schema, "type")
  if (typeof type === "string") return [type]
  if (Array.isArray(type)) return type.filter((one) => typeof one === "string")
  const values =
    Json.member(schema, "const") === undefined ? Json.list(schema, "enum") : [Json.member(schema, "const") ?? null]
  if (values.length > 0) return [...new Set(values.map(typeOf))]
  const choices = [...Json.objects(schema, "anyOf"), ...Json.objects(schema, "oneOf")]
  if (choices.length === 0 || depth >= DEPTH_MAX) return undefined
  const all = choices.map((choice) => typesOf(choice, depth + 1))
  return all.includes(undefined) ? undefined : [...new Set(all.flatMap((types) => types ?? []))]
}

const typeOf = (value: Json.Json): string => {
  if (value === null) return "null"
  if (Array.isArray(value)) return "array"
  return typeof value
}

/** Every integer is a number, and some numbers are integers. */
const overlaps = (a: string, b: string): boolean => a === b || (NUMBERS.has(a) && NUMBERS.has(b))

const object = (self: Json.JsonObject, key: string): Json.JsonObject | undefined => {
  const value = Json.member(self, key)
  return Json.isObject(value) ? value : undefined
}

const NUMBERS: ReadonlySet<string> = new Set(["integer", "number"])
/** Deeper levels are not compared. */
const DEPTH_MAX = 8
