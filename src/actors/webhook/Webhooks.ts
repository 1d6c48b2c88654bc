/** The face of a node's webhook (node §8): where its events are told, and what could not be told. `WebhookActor` implements it. */
import { Context, type Effect, Schema } from "effect"
import type { DeadLetter } from "../../protocol/webhook/WebhookQueue.ts"

/** The URL cannot be used. */
export class WebhookRefused extends Schema.TaggedError<WebhookRefused>()("WebhookRefused", { detail: Schema.String }) {
  override get message(): string {
    return this.detail
  }
}

/** The webhook as it is now. */
export interface WebhookStatus {
  /** Empty when there is none. */
  readonly url: string
  readonly waiting: number
  readonly delivered: number
  /** Tries that failed. */
  readonly failed: number
  readonly dead: number
  /** Dead letters that were lost because there were too many. */
  readonly lost: number
}

/** The webhook of this node. */
export class Webhooks extends Context.Service<
  Webhooks,
  {
    /** An empty URL ends it; what waits for the one before is still delivered there. */
    readonly set: (url: string) => Effect.Effect<void, WebhookRefused>
    readonly status: Effect.Effect<WebhookStatus>
    /** The oldest first. */
    readonly dead: Effect.Effect<ReadonlyArray<DeadLetter>>
    /** Tries a dead letter again, or all of them; how many those are. */
    readonly retry: (id?: string) => Effect.Effect<number>
    /** Forgets a dead letter, or all of them; how many those are. */
    readonly drop: (id?: string) => Effect.Effect<number>
  }
>()("effect-pilot/actors/webhook/Webhooks") {}
