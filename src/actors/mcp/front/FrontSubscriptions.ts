/**
 * What services tell unasked (mcp §1.1): a legacy one by itself and per subscribed resource, a modern one on a stream that
 * is listened to. Either way the client hears of the resources that it asked for, by the URIs it knows.
 *
 * Owns the subscriptions of the client and the streams at modern services.
 */
import { Effect, type Scope } from "effect"
import * as Bytes from "../../../core/data/Bytes.ts"
import * as Json from "../../../core/data/Json.ts"
import type { Route } from "../../../protocol/mcp/Catalog.ts"
import * as JsonRpc from "../../../protocol/mcp/JsonRpc.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import type { FrontClient } from "./FrontClient.ts"
import { INVALID_PARAMS, type Refused, refused } from "./FrontRefusal.ts"
import type { KnownService } from "./FrontRoster.ts"
import type { FrontServices } from "./FrontServices.ts"
import type { FrontUpstream } from "./FrontUpstream.ts"

/** Subscriptions of one client. */
export interface FrontSubscriptions {
  /** Subscribes to a resource, by the client's URI and whose it is; once more if it is already. */
  readonly add: (uri: string, route: Route) => Effect.Effect<void, Refused>
  /** Ends one subscription. */
  readonly remove: (uri: string) => Effect.Effect<void>
  /** A service was opened: it hears what the client wants of it. */
  readonly opened: (service: KnownService, upstream: FrontUpstream) => Effect.Effect<void>
  /** A resource of a service has changed. */
  readonly updated: (service: KnownService, message: Uint8Array) => Effect.Effect<void>
}

/** No subscriptions yet. */
export const make = Effect.fnUntraced(function* (
  client: FrontClient,
  services: () => FrontServices
): Effect.fn.Return<FrontSubscriptions, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const wanted = new Map<string, { readonly route: Route; count: number }>()
  const listening = new Map<string, number>()

  const urisOf = (alias: string): ReadonlyArray<string> =>
    [...wanted.values()].filter(({ route }) => route.alias === alias).map(({ route }) => route.inner)

  const listen = (alias: string, upstream: FrontUpstream): Effect.Effect<void> =>
    Effect.gen(function* () {
      const before = listening.get(alias)
      if (before !== undefined) yield* upstream.cancel(before)
      const filter = filterOf(upstream.era.capabilities, urisOf(alias))
      if (filter === undefined) return void listening.delete(alias)
      const params = upstream.params({ notifications: filter })
      const request = Bytes.fromUtf8(JsonRpc.request(0, "subscriptions/listen", params))
      listening.set(
        alias,
        yield* upstream.send(request, () => Effect.asVoid(Effect.forkIn(again(alias, upstream), scope)))
      )
    })

  /** A server may end its stream; what is wanted is still wanted. */
  const again = (alias: string, upstream: FrontUpstream): Effect.Effect<void> =>
    Effect.gen(function* () {
      listening.delete(alias)
      yield* Effect.sleep(LISTEN_AGAIN)
      if (services().openNow(alias) === upstream && !listening.has(alias)) yield* listen(alias, upstream)
    })

  const change = Effect.fnUntraced(function* (route: Route, method: "resources/subscribe" | "resources/unsubscribe") {
    const upstream = yield* services().upstream(route.alias)
    if (upstream.era.kind === "modern") return yield* listen(route.alias, upstream)
    yield* upstream.ask(method, { uri: route.inner })
  })

  return {
    add: Effect.fnUntraced(function* (uri, route) {
      const known = wanted.get(uri)
      if (known !== undefined) {
        known.count++
        return
      }
      if (wanted.size >= SUBSCRIPTIONS_MAX) return yield* refused(INVALID_PARAMS, "Too many subscriptions.")
      wanted.set(uri, { route, count: 1 })
      yield* Effect.onError(change(route, "resources/subscribe"), () => Effect.sync(() => wanted.delete(uri)))
    }),
    remove: Effect.fnUntraced(function* (uri) {
      const known = wanted.get(uri)
      if (known === undefined || --known.count > 0) return
      wanted.delete(uri)
      yield* Effect.ignore(change(known.route, "resources/unsubscribe"))
    }),
    opened: (service, upstream) =>
      upstream.era.kind === "modern"
        ? Effect.andThen(
            Effect.sync(() => listening.delete(service.alias)),
            listen(service.alias, upstream)
          )
        : Effect.forEach(
            urisOf(service.alias),
            (uri) => Effect.forkIn(Effect.ignore(upstream.ask("resources/subscribe", { uri })), scope),
            { discard: true }
          ),
    updated: (service, message) =>
      Effect.suspend(() => {
        const inner = JsonRpcPeek.string(message, ["params", "uri"])
        const known = [...wanted].filter(([, { route }]) => route.alias === service.alias && route.inner === inner)
        return Effect.forEach(known, ([uri]) => client.updated(uri), { discard: true })
      })
  }
})

/** What a modern server is listened to for; undefined if it tells nothing. */
const filterOf = (capabilities: Json.JsonObject, uris: ReadonlyArray<string>): Json.JsonObject | undefined => {
  const kinds = Object.entries(KINDS).flatMap(([capability, member]) => {
    const value = Json.member(capabilities, capability)
    return Json.isObject(value) && Json.boolean(value, "listChanged") ? [[member, true] as const] : []
  })
  if (kinds.length === 0 && uris.length === 0) return undefined
  return { ...Object.fromEntries(kinds), ...(uris.length === 0 ? {} : { resourceSubscriptions: uris }) }
}

const KINDS = { tools: "toolsListChanged", prompts: "promptsListChanged", resources: "resourcesListChanged" }
/** Resources that one client wants to hear of. */
const SUBSCRIPTIONS_MAX = 256
const LISTEN_AGAIN = "5 seconds"
