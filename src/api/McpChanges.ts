/** What a server says unasked, as streams: lists that changed, resources that did. Both eras (mcp §1.1). */
import { Effect, Stream } from "effect"
import type { McpClient, McpError } from "../actors/mcp/client/McpClient.ts"
import * as Json from "../core/data/Json.ts"

/** One notification of the server. */
export interface Notification {
  readonly method: string
  readonly params: Json.JsonObject
}

/** Each stream listens while it runs; what was said before is not heard. */
export interface Changes {
  /** Emits when the server says that its tools changed. */
  readonly toolsChanged: Stream.Stream<void, McpError>
  readonly promptsChanged: Stream.Stream<void, McpError>
  readonly resourcesChanged: Stream.Stream<void, McpError>
  /** Emits when the server says that this resource changed; it is subscribed to meanwhile. */
  readonly updates: (uri: string) => Stream.Stream<void, McpError>
  /** Everything that the server says unasked. */
  readonly notifications: Stream.Stream<Notification>
}

/** The changes behind a client. */
export const make = (client: Pick<McpClient, "era" | "notifications" | "request">): Changes => ({
  toolsChanged: listChanges(client, "tools", "toolsListChanged"),
  promptsChanged: listChanges(client, "prompts", "promptsListChanged"),
  resourcesChanged: listChanges(client, "resources", "resourcesListChanged"),
  updates: (uri) => updates(client, uri),
  notifications: client.notifications
})

type Client = Parameters<typeof make>[0]

/** A legacy server tells unasked; a modern one on a request that lasts. */
const listChanges = (client: Client, list: string, filter: string): Stream.Stream<void, McpError> => {
  const told = heard(client, ({ method }) => method === `notifications/${list}/list_changed`)
  return client.era.kind === "legacy" ? told : during(client, told, { [filter]: true })
}

const updates = (client: Client, uri: string): Stream.Stream<void, McpError> => {
  const told = heard(
    client,
    ({ method, params }) => method === "notifications/resources/updated" && Json.string(params, "uri") === uri
  )
  if (client.era.kind === "modern") return during(client, told, { resourceSubscriptions: [uri] })
  const subscribe = Effect.acquireRelease(client.request("resources/subscribe", { uri }), () =>
    Effect.ignore(client.request("resources/unsubscribe", { uri }))
  )
  return Stream.scoped(Stream.merge(told, Stream.drain(Stream.fromEffect(subscribe))))
}

const heard = (client: Client, isWanted: (notification: Notification) => boolean): Stream.Stream<void> =>
  client.notifications.pipe(
    Stream.filter(isWanted),
    Stream.map(() => undefined)
  )

/** The end of the request that lasts is the end of the stream. */
const during = (
  client: Client,
  told: Stream.Stream<void>,
  notifications: Json.JsonObject
): Stream.Stream<void, McpError> =>
  Stream.merge(told, Stream.drain(Stream.fromEffect(client.request("subscriptions/listen", { notifications }))), {
    haltStrategy: "right"
  })
