/**
 * Which service a request of the client is for, and how it reads there (mcp §6.11). Names that are not known yet may be of
 * services that have not been asked, so those are asked first.
 */
import { Effect } from "effect"
import * as Json from "../../../core/data/Json.ts"
import type { Catalog, Item, Route } from "../../../protocol/mcp/Catalog.ts"
import * as FederatedName from "../../../protocol/mcp/FederatedName.ts"
import * as JsonEdit from "../../../protocol/relay/JsonEdit.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import * as JsonSplice from "../../../protocol/relay/JsonSplice.ts"
import type { Routed } from "./FrontCall.ts"
import type { FrontLists } from "./FrontLists.ts"
import { INVALID_PARAMS, ofBridge, type Refused, refused } from "./FrontRefusal.ts"
import type { KnownService } from "./FrontRoster.ts"
import type { FrontServices } from "./FrontServices.ts"
import * as FrontTaskIds from "./FrontTaskIds.ts"

/** What routes are found with. */
export interface Options {
  readonly catalog: Catalog
  readonly services: FrontServices
  readonly lists: FrontLists
}

/** The routes of one session. */
export interface FrontRouting {
  /** The tool of that name. */
  readonly item: (name: string) => Effect.Effect<Item, Refused>
  readonly tool: (message: Uint8Array, name: string) => Effect.Effect<Routed, Refused>
  /** A call of `call_tool` as a call of the tool that it names. */
  readonly inner: (message: Uint8Array, item: Item) => Effect.Effect<Routed, Refused>
  readonly prompt: (message: Uint8Array, name: string) => Effect.Effect<Routed, Refused>
  /** Whose resource a URI is. */
  readonly owner: (uri: string) => Effect.Effect<Route, Refused>
  readonly resource: (message: Uint8Array, uri: string) => Effect.Effect<Routed, Refused>
  readonly completion: (message: Uint8Array) => Effect.Effect<Routed, Refused>
  readonly task: (message: Uint8Array) => Effect.Effect<Routed, Refused>
  /** Notes whose resources an answer mentions. */
  readonly observe: (service: KnownService, response: Uint8Array) => void
}

/** The routes of one session. */
export const make = ({ catalog, lists, services }: Options): FrontRouting => {
  const serviceOf = (alias: string): Effect.Effect<KnownService, Refused> => {
    const service = services.find(alias)
    return service === undefined
      ? Effect.fail(refused(INVALID_PARAMS, `There is no service ${JSON.stringify(alias)} now.`))
      : Effect.succeed(service)
  }

  const to = (route: Route, message: Uint8Array, path: ReadonlyArray<string>): Effect.Effect<Routed, Refused> =>
    Effect.map(serviceOf(route.alias), (service) => ({
      service,
      message: JsonSplice.replace(message, path, JSON.stringify(route.inner))
    }))

  const item = Effect.fnUntraced(function* (name: string): Effect.fn.Return<Item, Refused> {
    const known = catalog.tool(name)
    if (known !== undefined) return known
    const alias = FederatedName.aliasIn(name)
    if (alias === undefined || services.find(alias) === undefined) yield* lists.known
    if (alias !== undefined && services.find(alias) !== undefined) yield* services.fetchOne(alias, "tools")
    else yield* lists.complete("tools")
    return catalog.tool(name) ?? (yield* refused(INVALID_PARAMS, `Unknown tool: ${JSON.stringify(name.slice(0, 128))}`))
  })

  const owner = Effect.fnUntraced(function* (uri: string): Effect.fn.Return<Route, Refused> {
    const known = catalog.resource(uri)
    if (known !== undefined) return known
    yield* Effect.all([lists.complete("resources"), lists.complete("resourceTemplates")], { concurrency: 2 })
    return (
      catalog.resource(uri) ??
      (yield* refused(INVALID_PARAMS, `Unknown resource: ${JSON.stringify(uri.slice(0, 256))}`))
    )
  })

  const promptOwner = Effect.fnUntraced(function* (name: string): Effect.fn.Return<Route, Refused> {
    const known = catalog.prompt(name)
    if (known !== undefined) return known
    yield* lists.complete("prompts")
    return (
      catalog.prompt(name) ?? (yield* refused(INVALID_PARAMS, `Unknown prompt: ${JSON.stringify(name.slice(0, 128))}`))
    )
  })

  return {
    item,
    tool: (message, name) => Effect.flatMap(item(name), (found) => to(found, message, ["params", "name"])),
    inner: Effect.fnUntraced(function* (message, found) {
      const pin = JsonRpcPeek.string(message, ["params", "arguments", "pin"])
      const service = yield* serviceOf(found.alias)
      if (pin !== undefined && pin !== catalog.pin(found)) {
        return yield* ofBridge(
          "definitionChanged",
          "The definition of the tool is not the one with that pin.",
          service.target,
          false
        )
      }
      const args = JsonRpcPeek.member(message, ["params", "arguments", "arguments"]) ?? "{}"
      return {
        service,
        message: JsonEdit.set(
          message,
          ["params"],
          [
            ["name", JSON.stringify(found.inner)],
            ["arguments", args]
          ]
        )
      }
    }),
    prompt: (message, name) => Effect.flatMap(promptOwner(name), (route) => to(route, message, ["params", "name"])),
    owner,
    resource: (message, uri) => Effect.flatMap(owner(uri), (route) => to(route, message, ["params", "uri"])),
    completion: Effect.fnUntraced(function* (message) {
      const name = JsonRpcPeek.string(message, ["params", "ref", "name"])
      if (name !== undefined) return yield* to(yield* promptOwner(name), message, ["params", "ref", "name"])
      const uri = JsonRpcPeek.string(message, ["params", "ref", "uri"])
      if (uri === undefined) return yield* refused(INVALID_PARAMS, "ref names no prompt and no resource")
      return yield* to(yield* owner(uri), message, ["params", "ref", "uri"])
    }),
    task: Effect.fnUntraced(function* (message) {
      const task = FederatedName.taskIn(JsonRpcPeek.string(message, ["params", "taskId"]) ?? "")
      if (task === undefined) return yield* refused(INVALID_PARAMS, "Unknown task")
      // A client may come back for it before this front has heard of the service.
      if (services.find(task.alias) === undefined) yield* lists.known
      return { service: yield* serviceOf(task.alias), message: FrontTaskIds.asked(message, task.inner) }
    }),
    observe: (service, response) => {
      if (response.length > OBSERVED_BYTES_MAX) return
      const text = DECODER.decode(response)
      if (!text.includes('"resource_link"')) return
      const result = Json.parseObject(text)?.["result"]
      for (const part of Json.isObject(result) ? Json.objects(result, "content") : []) {
        const uri = Json.string(part, "uri")
        if (Json.string(part, "type") === "resource_link" && uri !== "") catalog.mention(uri, service.alias)
      }
    }
  }
}

const DECODER = new TextDecoder()
/** Larger answers are not looked through for what they mention. */
const OBSERVED_BYTES_MAX = 262_144
