/** What the meta tools of a front do (mcp §6.11): searching, describing and listing are answered here, calls go to services. */
import { Effect } from "effect"
import * as Json from "../../../core/data/Json.ts"
import type { Catalog, Item } from "../../../protocol/mcp/Catalog.ts"
import * as MetaTools from "../../../protocol/mcp/MetaTools.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import * as ArgumentCheck from "./ArgumentCheck.ts"
import type { Outcome } from "./FrontCall.ts"
import type { FrontLists } from "./FrontLists.ts"
import type { Refused } from "./FrontRefusal.ts"
import type { FrontRouting } from "./FrontRouting.ts"
import type { FrontServices } from "./FrontServices.ts"

/** What they work with. */
export interface Options {
  readonly catalog: Catalog
  readonly lists: FrontLists
  readonly routing: FrontRouting
  readonly services: FrontServices
}

/** Runs the meta tool `name` as the message asks for it. */
export const run = (options: Options, name: MetaTools.Name, message: Uint8Array): Effect.Effect<Outcome, Refused> => {
  const args = Json.parseObject(JsonRpcPeek.member(message, ["params", "arguments"]) ?? "{}") ?? {}
  switch (name) {
    case "search_tools":
      return Effect.map(search(options, args), done)
    case "describe_tool":
      return Effect.map(describe(options, Json.string(args, "name")), done)
    case "list_services":
      return Effect.map(listServices(options), done)
    case "call_tool":
      return call(options, args, message)
  }
}

const done = (result: Json.JsonObject): Outcome => ({ _tag: "Done", result })

const search = Effect.fnUntraced(function* ({ catalog, lists }: Options, args: Json.JsonObject) {
  const wanted = MetaTools.searchIn(args)
  if (typeof wanted === "string") return MetaTools.failed(wanted)
  yield* lists.complete("tools")
  const items = catalog.search(wanted.query, wanted.limit, wanted.service)
  if (lists.metaMode() === "reveal") yield* lists.reveal(items)
  return MetaTools.result({ tools: items.map((item) => MetaTools.found(item, catalog.pin(item))) })
})

const describe = Effect.fnUntraced(function* ({ catalog, routing }: Options, name: string) {
  const item = yield* routing.item(name)
  return MetaTools.result({ tool: item.value, service: item.origin, pin: catalog.pin(item) })
})

const listServices = Effect.fnUntraced(function* ({ catalog, lists, services }: Options) {
  yield* lists.complete("tools")
  const counts = new Map<string, number>()
  for (const { alias } of catalog.list("tools")) counts.set(alias, (counts.get(alias) ?? 0) + 1)
  const rows = services.all().map(({ alias, isUp, target, title }): MetaTools.ServiceRow => {
    const isOpen = services.openNow(alias) !== undefined
    return {
      alias,
      service: `${target.peer}/${target.service}`,
      title,
      state: isUp ? (isOpen ? "up" : "connecting") : "down",
      tools: counts.get(alias) ?? 0
    }
  })
  return MetaTools.result({ services: rows.map((row) => ({ ...row })) })
})

/** A model that gave wrong arguments is told which, so that it can try again; the service is not asked. */
const call = Effect.fnUntraced(function* (
  { routing }: Options,
  args: Json.JsonObject,
  message: Uint8Array
): Effect.fn.Return<Outcome, Refused> {
  const item: Item = yield* routing.item(Json.string(args, "name"))
  const given = Json.member(args, "arguments") ?? {}
  const problems = Json.isObject(given)
    ? ArgumentCheck.problems(Json.member(item.definition, "inputSchema"), given)
    : ["arguments: an object is wanted"]
  if (problems.length > 0) return done(MetaTools.failed([`${item.name} was not called:`, ...problems].join("\n")))
  return { _tag: "Call", routed: yield* routing.inner(message, item) }
})
