/**
 * What many services offer, under the names of one front (mcp §6.11): each entry as its server gave it and as it is served.
 * Tools are always prefixed; prompts and resources keep their names unless two services have the same one. Mutable inside
 * the one session that owns it.
 */
import { Result } from "effect"
import * as Json from "../../core/data/Json.ts"
import * as FederatedName from "./FederatedName.ts"
import * as MergedList from "./MergedList.ts"
import * as ServedDefinition from "./ServedDefinition.ts"
import * as ToolPin from "./ToolPin.ts"
import * as ToolSearch from "./ToolSearch.ts"
import * as UriTemplate from "./UriTemplate.ts"

/** The lists of MCP, by the member of their results. */
export type Kind = ServedDefinition.Kind

/** One entry of one service. */
export interface Item extends MergedList.Entry {
  readonly origin: string
  /** What its server calls it. */
  readonly inner: string
  /** As its server gave it. */
  readonly definition: Json.JsonObject
}

/** Which service, and what it calls what was asked for. */
export interface Route {
  readonly alias: string
  readonly inner: string
}

/** A tool as it is searched. */
export interface SearchedTool extends ToolSearch.Document {
  readonly item: Item
}

/** The entries of all services. */
export class Catalog {
  readonly #hash: FederatedName.Hash
  /** By kind and alias. */
  readonly #lists = new Map<Kind, Map<string, ReadonlyArray<Item>>>()
  readonly #merged = new Map<Kind, Merged>()
  readonly #links = new Map<string, string>()
  #index: ToolSearch.Index<SearchedTool> | undefined

  constructor(hash: FederatedName.Hash) {
    this.#hash = hash
  }

  /** Replaces one list of a service. What is unfit to be served is left out, and told. */
  set(
    alias: string,
    origin: string,
    kind: Kind,
    definitions: ReadonlyArray<Json.JsonObject>
  ): ReadonlyArray<{ readonly name: string; readonly reason: string }> {
    const problems: Array<{ readonly name: string; readonly reason: string }> = []
    const items: Array<Item> = []
    for (const definition of definitions.slice(0, ServedDefinition.ITEMS_MAX)) {
      const inner = ServedDefinition.idOf(kind, definition)
      const name = kind === "tools" ? FederatedName.name(alias, inner, this.#hash) : inner
      const served = ServedDefinition.make(kind, definition, name, origin)
      if (Result.isFailure(served)) problems.push({ name: inner.slice(0, 100), reason: served.failure.reason })
      else items.push({ alias, origin, inner, name, definition, value: served.success })
    }
    if (definitions.length > ServedDefinition.ITEMS_MAX) {
      problems.push({ name: "", reason: `only ${ServedDefinition.ITEMS_MAX} entries of a list are served` })
    }
    this.#of(kind).set(alias, items)
    this.#changed(kind)
    return problems
  }

  /** Forgets a service. */
  remove(alias: string): void {
    for (const [kind, lists] of this.#lists) if (lists.delete(alias)) this.#changed(kind)
    for (const [uri, owner] of this.#links) if (owner === alias) this.#links.delete(uri)
  }

  /** All entries of a kind, as they are served, in order. */
  list(kind: Kind): ReadonlyArray<Item> {
    return this.#merge(kind).items
  }

  /** A text that differs whenever a client would see another list. */
  fingerprint(kind: Kind): string {
    const merged = this.#merge(kind)
    merged.fingerprint ??= this.#hash(merged.items.map(({ value }) => ToolPin.canonical(value)).join("\n"))
    return merged.fingerprint
  }

  /** The tool of that name. */
  tool(name: string): Item | undefined {
    return this.#merge("tools").byName.get(name)
  }

  /** Whose prompt it is. */
  prompt(name: string): Route | undefined {
    return this.#merge("prompts").byName.get(name)
  }

  /** Whose resource it is: one that is listed, one that was mentioned, or one that a template fits. */
  resource(uri: string): Route | undefined {
    const wrapped = FederatedName.unwrapUri(uri)
    if (wrapped !== undefined) return { alias: wrapped.alias, inner: wrapped.uri }
    const listed = this.#merge("resources").byName.get(uri) ?? this.#merge("resourceTemplates").byName.get(uri)
    if (listed !== undefined) return listed
    const mentioned = this.#links.get(uri)
    return mentioned === undefined ? this.#fitting(uri) : { alias: mentioned, inner: uri }
  }

  /** Notes that a service mentioned a resource, so that it can be asked for it. The oldest are forgotten. */
  mention(uri: string, alias: string): void {
    this.#links.delete(uri)
    this.#links.set(uri, alias)
    const [oldest] = this.#links.keys()
    if (this.#links.size > LINKS_MAX && oldest !== undefined) this.#links.delete(oldest)
  }

  /** Count and bytes of the tools' definitions as they are served. */
  get toolSizes(): { readonly count: number; readonly bytes: number } {
    const merged = this.#merge("tools")
    merged.bytes ??= merged.items.reduce((sum, { value }) => sum + JSON.stringify(value).length, 0)
    return { count: merged.items.length, bytes: merged.bytes }
  }

  /** The best tools for the words, best first; of one service only, if it is named. */
  search(query: string, limit: number, service?: string): ReadonlyArray<Item> {
    this.#index ??= ToolSearch.make(this.list("tools").map(searched))
    const few = ToolSearch.search(this.#index, query, service === undefined ? limit : Number.POSITIVE_INFINITY)
    return few
      .map(({ document }) => document.item)
      .filter(({ alias, origin }) => service === undefined || service === alias || service === origin)
      .slice(0, limit)
  }

  /** What a tool's definition is known by (mcp §6.9): hexadecimal, of the definition as its server gave it. */
  pin(item: Item): string {
    return this.#hash(ToolPin.of(item.definition)?.canonical ?? "")
  }

  #fitting(uri: string): Route | undefined {
    let best: Route | undefined
    let length = 0
    for (const item of this.list("resourceTemplates")) {
      const template = UriTemplate.parse(item.inner)
      const literal = template === undefined ? 0 : template.literals.join("").length
      if (template === undefined || literal <= length || !UriTemplate.matches(template, uri)) continue
      best = { alias: item.alias, inner: uri }
      length = literal
    }
    return best
  }

  #of(kind: Kind): Map<string, ReadonlyArray<Item>> {
    const lists = this.#lists.get(kind) ?? new Map<string, ReadonlyArray<Item>>()
    this.#lists.set(kind, lists)
    return lists
  }

  #changed(kind: Kind): void {
    this.#merged.delete(kind)
    if (kind === "tools") this.#index = undefined
  }

  #merge(kind: Kind): Merged {
    const known = this.#merged.get(kind)
    if (known !== undefined) return known
    const all = [...this.#of(kind).values()].flat()
    const items = MergedList.sorted(kind === "tools" ? all : toldApart(kind, all, this.#hash))
    const byName = new Map<string, Item>()
    for (const item of items) if (!byName.has(item.name)) byName.set(item.name, item)
    const merged: Merged = { items, byName, fingerprint: undefined, bytes: undefined }
    this.#merged.set(kind, merged)
    return merged
  }
}

interface Merged {
  readonly items: ReadonlyArray<Item>
  readonly byName: ReadonlyMap<string, Item>
  fingerprint: string | undefined
  bytes: number | undefined
}

/** Those that two services have get names of their own. */
const toldApart = (kind: Kind, items: ReadonlyArray<Item>, hash: FederatedName.Hash): ReadonlyArray<Item> => {
  const owners = new Map<string, Set<string>>()
  for (const { alias, inner } of items) owners.set(inner, (owners.get(inner) ?? new Set()).add(alias))
  const key = kind === "prompts" ? "name" : kind === "resources" ? "uri" : "uriTemplate"
  return items.map((item) => {
    if (owners.get(item.inner)?.size === 1) return item
    const name =
      kind === "prompts"
        ? FederatedName.name(item.alias, item.inner, hash)
        : FederatedName.wrapUri(item.alias, item.inner)
    return { ...item, name, value: { ...item.value, [key]: name } }
  })
}

const searched = (item: Item): SearchedTool => {
  const schema = Json.member(item.value, "inputSchema")
  const properties = Json.isObject(schema) ? Json.member(schema, "properties") : undefined
  return {
    item,
    names: [item.inner, item.name],
    title: Json.string(item.value, "title"),
    description: Json.string(item.value, "description"),
    parameters: Json.isObject(properties) ? Object.keys(properties) : [],
    service: item.origin
  }
}

/** Resources that results mentioned. */
const LINKS_MAX = 1024
