/** The face of a node's own broker (node §5): publish here, and see who listens. `BrokerActor` implements it. */
import { Context, type Effect, Schema } from "effect"
import type { Policy } from "../../protocol/wire/EventExtension.ts"

/** An event was not taken. */
export class PublishError extends Schema.TaggedError<PublishError>()("PublishError", {
  /** `Invalid`: the topic or the data is too long. `NotStored`: the log cannot be written. `Stopped`: the node stops. */
  reason: Schema.Literals(["Invalid", "NotStored", "Stopped"]),
  detail: Schema.String
}) {
  override get message(): string {
    return this.detail
  }
}

/** Someone who listens. */
export interface SubscriberStatus {
  /** `0:0000.0000.0002:49171`. */
  readonly remote: string
  readonly pattern: string
  /** Empty when the subscriber has no name. */
  readonly consumer: string
  readonly policy: Policy
  /** Events that wait for it, as far as they are in memory. */
  readonly pending: number
  /** Events that were left out because it did not keep up. */
  readonly dropped: number
  /** It is being sent what it missed, from the log. */
  readonly isBehind: boolean
}

/** What the broker has done since the node started. */
export interface BrokerCounters {
  readonly published: number
  readonly delivered: number
  /** Publications beyond the rate of their connection, which were dropped. */
  readonly rateLimited: number
  /** Publications that are no events: a topic that is no UTF-8, or a frame that is none. */
  readonly malformed: number
  /** Publications that the log could not take. */
  readonly notStored: number
  /** Connections refused because there were too many. */
  readonly refused: number
}

/** The broker as it is now. */
export interface BrokerStatus {
  /** Names the log; its numbers count from 1. */
  readonly log: string
  /** The oldest and the newest event kept; `first` is above `last` when there is none. */
  readonly first: number
  readonly last: number
  readonly sizeBytes: number
  readonly subscribers: ReadonlyArray<SubscriberStatus>
  readonly counters: BrokerCounters
}

/** The broker of this node. */
export class Broker extends Context.Service<
  Broker,
  {
    /** Takes an event of this node; it is on disk when its sequence number is given. Waits while the log is busy. */
    readonly publish: (topic: string, payload: Uint8Array) => Effect.Effect<number, PublishError>
    readonly status: Effect.Effect<BrokerStatus>
  }
>()("effect-pilot/actors/pubsub/Broker") {}
