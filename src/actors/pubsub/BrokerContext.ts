/** What the parts of one broker share: its table, its log, its limits and its counters. */
import type { Effect } from "effect"
import type { Signal } from "../../core/actor/Signal.ts"
import type { ProtocolEvent } from "../../protocol/ProtocolEvent.ts"
import type { BrokerTable } from "../../protocol/pubsub/BrokerTable.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import type { Guard } from "../policy/PolicyGuard.ts"
import type { ConsumerId, EventJournal, JournalError, Place, Retention } from "./EventJournal.ts"

/** An event on its way into the log. */
export interface Publication {
  readonly topic: string
  readonly topicBytes: Uint8Array
  readonly payload: Uint8Array
  readonly publisher: NodeId
  /** Of the connection it came by; 0 for none. */
  readonly origin: number
  /** `0:0000.0000.0002:49174`, for the node's report. */
  readonly from: string
  /** Called once: with the sequence number when it is on disk, or with why it is not. */
  readonly settle: (outcome: Outcome) => void
}

/** What became of a publication. */
export type Outcome =
  | { readonly _tag: "Stored"; readonly sequence: number }
  | { readonly _tag: "NotStored"; readonly detail: string }

/** Counters of a broker, mutable. */
export interface Counters {
  published: number
  delivered: number
  rateLimited: number
  malformed: number
  notStored: number
  refused: number
}

/** Bounds of a broker. */
export interface Limits {
  readonly retention: Retention
  /** Newest events kept in memory. */
  readonly recentMax: number
  readonly recentBytesMax: number
  /** Connections in all, and of one peer. */
  readonly connectionsMax: number
  readonly connectionsPerPeerMax: number
  /** Events that wait for a subscriber with the policy `block` before publishers wait for it, and for how long. */
  readonly blockPendingMax: number
  readonly blockMs: number
  /** A subscriber that takes nothing for so long is disconnected. */
  readonly stalledMs: number
  /** Publications of one connection of a peer (node §5). */
  readonly rate: { readonly capacity: number; readonly perSecond: number }
  /** Bytes of long frames that arrive, in all and of one peer; and how long one may take. */
  readonly arrivingBytesMax: number
  readonly arrivingBytesPerPeerMax: number
  readonly arrivingMs: number
}

/** Shared by reference. */
export interface BrokerContext {
  readonly limits: Limits
  readonly table: BrokerTable
  readonly journal: EventJournal
  readonly counters: Counters
  /** Raised when a subscriber with the policy `block` has taken something, or is gone. */
  readonly unblocked: Signal
  /** Raises the signal when all events of this turn are there. */
  readonly wake: (ready: Signal) => void
  /** Waits while the actor has too much to do. */
  readonly publish: (publication: Publication) => Effect.Effect<void>
  /** Kept soon; a later place of the same consumer takes its place. */
  readonly acknowledge: (place: Place) => void
  /** How far a consumer has come, on disk or on the way there; undefined for one that is not known. */
  readonly place: (consumer: ConsumerId) => Effect.Effect<number | undefined, JournalError>
  readonly report: (event: ProtocolEvent) => void
  /** What the policy says of peers. */
  readonly guard: Guard
}

/** Nothing counted yet. */
export const counters = (): Counters => ({
  published: 0,
  delivered: 0,
  rateLimited: 0,
  malformed: 0,
  notStored: 0,
  refused: 0
})
