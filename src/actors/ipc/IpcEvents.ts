/** The broker and the webhook of a daemon, for operations of ours (`IpcExtension`) and SetWebhook (node §1.5). */
import { Effect } from "effect"
import type { JsonObject } from "../../core/data/Json.ts"
import * as Json from "../../core/data/Json.ts"
import type { Broker, BrokerStatus } from "../pubsub/Broker.ts"
import type { Webhooks } from "../webhook/Webhooks.ts"

/** What the operations stand on; a daemon may have neither. */
export interface Faces {
  readonly broker?: Broker["Service"]
  readonly webhooks?: Webhooks["Service"]
}

/** The answer of an operation; undefined for any other. */
export const perform = (
  { broker, webhooks }: Faces,
  op: string,
  value: JsonObject
): Effect.Effect<JsonObject> | undefined => {
  if (op === "events.status") return broker === undefined ? undefined : Effect.map(broker.status, status)
  if (webhooks === undefined) return undefined
  const id = Json.string(value, "id") || undefined
  switch (op) {
    case "webhook.status":
      return Effect.map(webhooks.status, (now) => ({ ...now }))
    case "webhook.list":
      return Effect.map(webhooks.dead, (letters) => ({ letters: letters.map((letter) => ({ ...letter })) }))
    case "webhook.retry":
      return Effect.map(webhooks.retry(id), (count) => ({ count }))
    case "webhook.drop":
      return Effect.map(webhooks.drop(id), (count) => ({ count }))
    default:
      return undefined
  }
}

/** `{"webhook":"<url>"}`; a URL that cannot be used is refused, as newer daemons do. */
export const setWebhook = (webhooks: Webhooks["Service"], url: string): Effect.Effect<JsonObject, string> =>
  Effect.mapBoth(webhooks.set(url), {
    onFailure: ({ detail }) => `set_webhook: ${detail}`,
    onSuccess: () => ({ webhook: url })
  })

/** Its log, who listens, and what it counted. */
const status = ({ counters, first, last, log, sizeBytes, subscribers }: BrokerStatus): JsonObject => ({
  ...{ log, first, last, size_bytes: sizeBytes },
  subscribers: subscribers.map(({ consumer, dropped, isBehind, pattern, pending, policy, remote }) => ({
    ...{ remote, pattern, consumer, policy, pending, dropped },
    behind: isBehind
  })),
  counters: {
    published: counters.published,
    delivered: counters.delivered,
    rate_limited: counters.rateLimited,
    malformed: counters.malformed,
    not_stored: counters.notStored,
    refused: counters.refused
  }
})
