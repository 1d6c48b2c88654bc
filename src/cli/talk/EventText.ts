/** Events, brokers and what they tell, as people and programs read them (cli §6). */
import type { FeedItem } from "../../actors/pubsub/client/EventFeed.ts"
import type { HeardEvent } from "../../actors/pubsub/client/EventSubscription.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as GoJson from "../../core/data/GoJson.ts"
import * as Json from "../../core/data/Json.ts"
import * as Address from "../../protocol/wire/Address.ts"
import * as Render from "../Render.ts"

/** `[news] first`. */
export const line = ({ data, topic }: HeardEvent): string => `[${topic}] ${Bytes.toUtf8Lossy(data)}`

/** One object on one line, keys sorted. */
export const json = (row: Json.JsonObject): string => GoJson.encode(row)

/** As the reference has it. */
export const plainRow = ({ data, topic }: HeardEvent): Json.JsonObject => ({
  bytes: data.length,
  data: Bytes.toUtf8Lossy(data),
  topic
})

/** With what brokers of ours tell. */
export const row = (broker: Address.NodeId, event: HeardEvent): Json.JsonObject => {
  const { publishedAtMs, publisher, sequence } = event
  return {
    ...plainRow(event),
    broker: addressOf(broker),
    ...(publisher === undefined ? {} : { publisher: addressOf(publisher) }),
    ...(publishedAtMs === undefined ? {} : { published_at: publishedAtMs / 1000 }),
    ...(sequence === undefined ? {} : { sequence })
  }
}

/** Anything but an event; not everything is said to people. */
export const notice = (
  node: Address.NodeId,
  item: FeedItem
): { readonly data: Json.JsonObject; readonly human: string | undefined } => {
  const broker = addressOf(node)
  switch (item._tag) {
    case "Joined":
      return { data: { broker, notice: "joined" }, human: undefined }
    case "Left":
      return { data: { broker, notice: "left", detail: item.detail }, human: `${broker} is away: ${item.detail}` }
    case "Gap":
      return {
        data: { broker, notice: "gap", first: item.first, last: item.last },
        human: `${broker} does not keep events ${item.first} to ${item.last} any more: they are lost`
      }
    case "Dropped":
      return {
        data: { broker, notice: "dropped", count: item.count },
        human: `${broker} has left out ${item.count} events, because this subscriber does not keep up`
      }
    case "LogChanged":
      return {
        data: { broker, notice: "log_changed" },
        human: `${broker} has begun a new log: what it published meanwhile may be lost`
      }
    case "Event":
      return { data: row(node, item), human: line(item) }
  }
}

/** The broker of this node. */
export const status = (data: Json.JsonObject): string => {
  const counters = Json.member(data, "counters")
  const subscribers = Json.objects(data, "subscribers")
  const [first, last] = [Json.integer(data, "first"), Json.integer(data, "last")]
  const kept = last < first ? "nothing kept" : `events ${first} to ${last} kept`
  const counts = Json.isObject(counters)
    ? Object.keys(counters).map((name) => `${name.replaceAll("_", " ")} ${Json.integer(counters, name)}`)
    : []
  const rows = subscribers.map((one) => [
    Json.string(one, "remote"),
    Json.string(one, "pattern"),
    Json.string(one, "consumer") || "-",
    Json.string(one, "policy"),
    Json.boolean(one, "behind") ? "behind" : String(Json.integer(one, "pending")),
    String(Json.integer(one, "dropped"))
  ])
  return [
    `Log:         ${Json.string(data, "log")}, ${kept}, ${Render.size(Json.integer(data, "size_bytes"))}`,
    `Since start: ${counts.join(", ")}`,
    rows.length === 0 ? "Nobody listens." : Render.table(COLUMNS, rows)
  ].join("\n")
}

const addressOf = (node: Address.NodeId): string => Address.format(Address.make(0, node))

const COLUMNS = [
  ["REMOTE", 22],
  ["PATTERN", 20],
  ["CONSUMER", 12],
  ["POLICY", 6],
  ["WAITING", 8],
  ["DROPPED", 8]
] as const
