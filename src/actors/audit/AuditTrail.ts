/**
 * The face of a node's record of what happened: services tell it, and never wait for it. `AuditActor` implements it; without
 * one, nothing is recorded.
 */
import { Context, type Effect } from "effect"
import type { Entry } from "../../protocol/audit/AuditLine.ts"

/** The record at work. */
export interface Trail {
  /** Notes something, now or soon; never waits, never fails. */
  readonly record: (entry: Entry) => void
  /** What is noted now cannot be written, and the policy wants requests refused while that is so. */
  readonly isRefusing: () => boolean
}

/** What a log says of itself. */
export interface Status {
  readonly directory: string
  readonly lastSeq: number
  readonly lastHash: string
  readonly lost: number
  readonly suppressed: number
  /** Why it cannot be written now; undefined if it can. */
  readonly failure: string | undefined
}

/** The log at work. */
export interface Running extends Trail {
  readonly status: () => Status
  /** Everything that was noted is written, or lost, and signed. */
  readonly sealed: Effect.Effect<void>
}

/** The record of the node that starts; none unless provided. */
export const AuditTrail = Context.Reference<Trail>("effect-pilot/AuditTrail", {
  defaultValue: () => ({ record: () => {}, isRefusing: () => false })
})
