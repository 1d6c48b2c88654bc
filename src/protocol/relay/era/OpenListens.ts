/**
 * The `subscriptions/listen` of modern clients that a legacy server knows nothing of (mcp §6.6): its notifications are
 * fanned out by filter and tagged, and each resource is subscribed to once, however many listens name it.
 *
 * Mutable inside its `ModernClientBridge`.
 */
import * as Json from "../../../core/data/Json.ts"
import * as JsonEdit from "../JsonEdit.ts"
import * as JsonRpcPeek from "../JsonRpcPeek.ts"
import { CHANGES, KEY, META, type Outputs, RESOURCE_UPDATED, toClient, toServer, URIS_MAX } from "./EraTranslator.ts"
import * as RawRpc from "./RawRpc.ts"

/** All listens of one session. */
export class OpenListens {
  readonly #listens = new Map<string, Listen>()
  /** How many listens name a resource. */
  readonly #uris = new Map<string, number>()

  /** Opens the listen that the request asks for; `own` numbers a request of the bridge. */
  open(id: string, message: Uint8Array, capabilities: Json.JsonObject, own: () => string): Outputs {
    const asked = Json.parseObject(JsonRpcPeek.member(message, ["params", "notifications"]) ?? "{}") ?? {}
    const key = RawRpc.idKey(id)
    if (this.#listens.size >= LISTENS_MAX || this.#listens.has(key)) {
      return [toClient(RawRpc.failure(id, -32603, "Too many subscriptions are open."))]
    }
    const kinds = CHANGES.filter(
      ({ capability, filter }) =>
        Json.boolean(asked, filter) && Json.boolean(object(capabilities, capability), "listChanged")
    )
    const canSubscribe = Json.boolean(object(capabilities, "resources"), "subscribe")
    const wanted = canSubscribe ? [...new Set(Json.strings(asked, "resourceSubscriptions"))] : []
    const fresh = wanted.filter((uri) => !this.#uris.has(uri))
    if (this.#uris.size + fresh.length > URIS_MAX || wanted.length > URIS_MAX) {
      return [toClient(RawRpc.failure(id, -32603, `At most ${URIS_MAX} resources are watched at once.`))]
    }
    for (const uri of wanted) this.#uris.set(uri, (this.#uris.get(uri) ?? 0) + 1)
    this.#listens.set(key, { id, methods: new Set(kinds.map(({ method }) => method)), uris: new Set(wanted) })
    const honoured = {
      ...Object.fromEntries(kinds.map(({ filter }) => [filter, true])),
      ...(wanted.length === 0 ? {} : { resourceSubscriptions: wanted })
    }
    const params = `{"notifications":${JSON.stringify(honoured)},"_meta":{"${KEY.subscriptionId}":${id}}}`
    return [
      toClient(RawRpc.notification("notifications/subscriptions/acknowledged", params)),
      ...fresh.map((uri) => toServer(RawRpc.request(own(), "resources/subscribe", JSON.stringify({ uri }))))
    ]
  }

  /** Ends the listen of that id; undefined if there is none. */
  close(id: string, own: () => string): Outputs | undefined {
    const key = RawRpc.idKey(id)
    const listen = this.#listens.get(key)
    if (listen === undefined) return undefined
    this.#listens.delete(key)
    const left = [...listen.uris].filter((uri) => {
      const count = (this.#uris.get(uri) ?? 1) - 1
      if (count > 0) this.#uris.set(uri, count)
      else this.#uris.delete(uri)
      return count <= 0
    })
    return left.map((uri) => toServer(RawRpc.request(own(), "resources/unsubscribe", JSON.stringify({ uri }))))
  }

  /** A change, for every listen that wants it; undefined if the notification is about something else. */
  changed(method: string, message: Uint8Array): Outputs | undefined {
    const isUpdate = method === RESOURCE_UPDATED
    if (!isUpdate && !CHANGES.some((change) => change.method === method)) return undefined
    const uri = isUpdate ? JsonRpcPeek.string(message, ["params", "uri"]) : undefined
    return [...this.#listens.values()].flatMap(({ id, methods, uris }) =>
      (uri === undefined ? methods.has(method) : covers(uris, uri))
        ? [toClient(JsonEdit.set(message, META, [[KEY.subscriptionId, id]]))]
        : []
    )
  }
}

interface Listen {
  readonly id: string
  readonly methods: ReadonlySet<string>
  readonly uris: ReadonlySet<string>
}

/** A server may tell of a part of what was subscribed to. */
const covers = (uris: ReadonlySet<string>, uri: string): boolean =>
  uris.has(uri) || [...uris].some((watched) => uri.startsWith(watched.endsWith("/") ? watched : `${watched}/`))

const object = (self: Json.JsonObject, key: string): Json.JsonObject => {
  const value = Json.member(self, key)
  return Json.isObject(value) ? value : {}
}

const LISTENS_MAX = 64
