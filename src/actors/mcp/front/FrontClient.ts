/**
 * The client's side of a front: what it said of itself, and what is written to it, in its era (mcp §1.1). A legacy client is
 * told of changes unasked, a modern one on the streams that it listens to.
 *
 * Mutable inside the one `FrontSession` that owns it.
 */
import { Effect } from "effect"
import * as Bytes from "../../../core/data/Bytes.ts"
import * as Json from "../../../core/data/Json.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import type { Kind } from "../../../protocol/mcp/Catalog.ts"
import * as Era from "../../../protocol/mcp/Era.ts"
import * as JsonRpc from "../../../protocol/mcp/JsonRpc.ts"
import type { Refused } from "./FrontRefusal.ts"
import type { ClientProfile } from "./FrontUpstream.ts"

/** One client. Ids are raw JSON text, as the client wrote them. */
export interface FrontClient {
  /** What is known of it; what holds for a client that has said nothing is a legacy one without capabilities. */
  readonly profile: () => ClientProfile
  readonly setProfile: (profile: ClientProfile) => void
  /** A whole message. */
  readonly write: (message: Uint8Array) => Effect.Effect<void>
  /** A result of our own; a modern client gets the members that its revision wants. */
  readonly respond: (id: string, result: Json.JsonObject) => Effect.Effect<void>
  readonly refuse: (id: string, error: Refused) => Effect.Effect<void>
  readonly notify: (method: string, params: Json.JsonObject) => Effect.Effect<void>
  /** Tells that a list is another now. */
  readonly changed: (kind: Kind) => Effect.Effect<void>
  /** Tells that a resource is another now, by the URI that the client knows. */
  readonly updated: (uri: string) => Effect.Effect<void>
  /** Opens a stream of notifications, or, where there are too many, answers the request at once: then false. */
  readonly listen: (id: string, filter: Json.JsonObject) => Effect.Effect<boolean>
  /** Closes it, and gives its filter; undefined if there is none of that id. */
  readonly unlisten: (id: string) => Json.JsonObject | undefined
}

/** A client that has said nothing yet. */
export const make = <E>(lines: Duplex<E>, self: Json.JsonObject): FrontClient => {
  let profile: ClientProfile = { era: "legacy", revision: Era.LEGACY, capabilities: {}, info: UNKNOWN }
  const listens = new Map<string, Json.JsonObject>()

  const write = (message: Uint8Array) => Effect.ignore(lines.write(Bytes.concat(message, NEWLINE)))
  const say = (text: string) => write(Bytes.fromUtf8(text))

  const respond = (id: string, result: Json.JsonObject) => {
    const whole = profile.era === "modern" ? { ...MODERN_MEMBERS, ...result, _meta: { [SERVER_INFO]: self } } : result
    return say(`{"jsonrpc":"2.0","id":${id},"result":${JSON.stringify(whole)}}`)
  }

  /** To a legacy client as it is; to a modern one on each stream that wants it. */
  const tell = (method: string, params: Json.JsonObject, wants: (filter: Json.JsonObject) => boolean) => {
    if (profile.era === "legacy") return say(JsonRpc.notification(method, params))
    return Effect.forEach(
      [...listens].filter(([, filter]) => wants(filter)),
      ([id]) => say(tagged(method, params, id)),
      { discard: true }
    )
  }

  return {
    profile: () => profile,
    setProfile: (next) => {
      profile = next
    },
    write,
    respond,
    refuse: (id, { error }) => say(`{"jsonrpc":"2.0","id":${id},"error":${JSON.stringify(error)}}`),
    notify: (method, params) => say(JsonRpc.notification(method, params)),
    changed: (kind) => {
      const [method, member] = CHANGES[kind]
      return tell(method, {}, (filter) => Json.boolean(filter, member))
    },
    updated: (uri) =>
      tell("notifications/resources/updated", { uri }, (filter) =>
        Json.strings(filter, "resourceSubscriptions").includes(uri)
      ),
    listen: (id, filter) => {
      const acknowledged = (notifications: Json.JsonObject) =>
        say(tagged("notifications/subscriptions/acknowledged", { notifications }, id))
      if (listens.size >= LISTENS_MAX && !listens.has(id)) {
        const closed = `{"resultType":"complete","_meta":{"io.modelcontextprotocol/subscriptionId":${id}}}`
        return Effect.as(
          Effect.andThen(acknowledged({}), say(`{"jsonrpc":"2.0","id":${id},"result":${closed}}`)),
          false
        )
      }
      listens.set(id, filter)
      return Effect.as(acknowledged(filter), true)
    },
    unlisten: (id) => {
      const filter = listens.get(id)
      listens.delete(id)
      return filter
    }
  }
}

/** The id keeps its type, so it is put in as the text it was. */
const tagged = (method: string, params: Json.JsonObject, id: string): string => {
  const members = Object.entries(params).map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)},`)
  const meta = `"_meta":{"io.modelcontextprotocol/subscriptionId":${id}}`
  return `{"jsonrpc":"2.0","method":${JSON.stringify(method)},"params":{${members.join("")}${meta}}}`
}

const CHANGES: Readonly<Record<Kind, readonly [method: string, member: string]>> = {
  tools: ["notifications/tools/list_changed", "toolsListChanged"],
  prompts: ["notifications/prompts/list_changed", "promptsListChanged"],
  resources: ["notifications/resources/list_changed", "resourcesListChanged"],
  resourceTemplates: ["notifications/resources/list_changed", "resourcesListChanged"]
}
/** Required of every result of ours that could be cached; services come and go, so none may be. */
const MODERN_MEMBERS = { resultType: "complete", ttlMs: 0, cacheScope: "private" }
const SERVER_INFO = "io.modelcontextprotocol/serverInfo"
const UNKNOWN = { name: "unknown", version: "0" }
const NEWLINE = Uint8Array.of(0x0a)
/** Streams of one client at the same time; more are answered at once, empty. */
const LISTENS_MAX = 16
