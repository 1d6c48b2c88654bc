/**
 * Definitions of others made fit to be served again (mcp §8, rules 6 and 7): what nobody can see is taken out, sizes are
 * cut, the origin is named, and only known members go on. A definition that cannot be made fit is left out, with the reason.
 */
import { Result, Schema } from "effect"
import * as Json from "../../core/data/Json.ts"
import * as PlainText from "./PlainText.ts"
import * as SchemaCost from "./SchemaCost.ts"

/** What a list holds, by the member of its result. */
export type Kind = "tools" | "prompts" | "resources" | "resourceTemplates"

/** The definition is not served. */
export class Unfit extends Schema.TaggedError<Unfit>()("Unfit", { reason: Schema.String }) {}

/** Entries of one list of one service; what comes after is left out (mcp §8, rule 6). */
export const ITEMS_MAX = 1000

/** What an entry is known by to its server: a name or a URI. */
export const idOf = (kind: Kind, value: Json.JsonObject): string => Json.string(value, ID[kind])

/** The definition as it is served: `served` in place of its id, `origin` before its description. */
export const make = (
  kind: Kind,
  value: Json.JsonObject,
  served: string,
  origin: string
): Result.Result<Json.JsonObject, Unfit> => {
  const id = idOf(kind, value)
  if (id === "" || id.length > ID_CHARACTERS_MAX) return unfit("it has no usable name")
  if (PlainText.clean(id).hidden > 0) return unfit("its name holds characters that cannot be seen")
  const found: Record<string, Json.Json> = {}
  for (const key of MEMBERS[kind]) {
    const member = Json.member(value, key)
    if (member === undefined) continue
    const cleaned = clean(member)
    if (cleaned === undefined) return unfit(`names in its ${key} hold characters that cannot be seen`)
    found[key] = cleaned
  }
  const sizes = bounded(found)
  if (sizes !== undefined) return unfit(sizes)
  const { description, icons, ...rest } = found
  const text = typeof description === "string" ? cut(description, DESCRIPTION_CHARACTERS_MAX) : ""
  const safeIcons = Array.isArray(icons) ? icons.filter(isSafeIcon).slice(0, ICONS_MAX) : []
  return Result.succeed({
    ...rest,
    ...(typeof rest["title"] === "string" ? { title: cut(rest["title"], TITLE_CHARACTERS_MAX) } : {}),
    description: `[${origin}] ${text}`.trim(),
    ...(safeIcons.length === 0 ? {} : { icons: safeIcons }),
    [ID[kind]]: served
  })
}

/** Every text of a value cleaned; undefined if a name in it would have to be, because then it would be another. */
export const clean = (value: Json.Json): Json.Json | undefined => {
  if (typeof value === "string") return PlainText.clean(value).text
  if (typeof value !== "object" || value === null) return value
  if (isList(value)) {
    const items = value.map(clean)
    return items.every((item) => item !== undefined) ? items : undefined
  }
  const members: Array<readonly [string, Json.Json]> = []
  for (const [key, member] of Object.entries(value)) {
    const cleaned = PlainText.clean(key).hidden > 0 ? undefined : clean(member ?? null)
    if (cleaned === undefined) return undefined
    members.push([key, cleaned])
  }
  return Object.fromEntries(members)
}

/** Why it is too large to serve; schemas of results are only left out. */
const bounded = (found: Record<string, Json.Json>): string | undefined => {
  const input = found["inputSchema"]
  if (input !== undefined && !isModest(input, SchemaCost.SCHEMA_BYTES_MAX))
    return "the schema of its arguments is too large"
  if (found["outputSchema"] !== undefined && !isModest(found["outputSchema"], SchemaCost.SCHEMA_BYTES_MAX)) {
    delete found["outputSchema"]
  }
  for (const key of ["_meta", "annotations", "execution", "icons"]) {
    const value = found[key]
    if (value !== undefined && !isModest(value, EXTRA_BYTES_MAX)) delete found[key]
  }
  const args = found["arguments"]
  return args !== undefined && !isModest(args, SchemaCost.SCHEMA_BYTES_MAX) ? "its arguments are too large" : undefined
}

const isModest = (value: Json.Json, bytesMax: number): boolean =>
  JSON.stringify(value).length <= bytesMax && SchemaCost.depth(value) <= SchemaCost.DEPTH_MAX

/** Only what a client can show without asking anybody but a web server that is named (mcp §8, rule 6). */
const isSafeIcon = (icon: Json.Json): boolean => {
  if (!Json.isObject(icon)) return false
  const source = Json.string(icon, "src")
  return /^https:\/\//i.test(source) || /^data:image\//i.test(source)
}

const cut = (text: string, charactersMax: number): string =>
  text.length <= charactersMax ? text : `${text.slice(0, charactersMax - 1).toWellFormed()}…`

const unfit = (reason: string): Result.Result<never, Unfit> => Result.fail(new Unfit({ reason }))

const isList = (value: ReadonlyArray<Json.Json> | Json.JsonObject): value is ReadonlyArray<Json.Json> =>
  Array.isArray(value)

const ID: Readonly<Record<Kind, string>> = {
  tools: "name",
  prompts: "name",
  resources: "uri",
  resourceTemplates: "uriTemplate"
}
const COMMON = ["title", "description", "icons", "_meta"]
const MEMBERS: Readonly<Record<Kind, ReadonlyArray<string>>> = {
  tools: [...COMMON, "inputSchema", "outputSchema", "annotations", "execution"],
  prompts: [...COMMON, "arguments"],
  resources: [...COMMON, "name", "mimeType", "size", "annotations"],
  resourceTemplates: [...COMMON, "name", "mimeType", "annotations"]
}
const ID_CHARACTERS_MAX = 4096
/** As the page on security wants (mcp §8, rule 6). */
const DESCRIPTION_CHARACTERS_MAX = 4096
const TITLE_CHARACTERS_MAX = 200
const EXTRA_BYTES_MAX = 16_384
const ICONS_MAX = 4
