/**
 * One task as one of its two sides knows it, and its file in the reference's form (node §6.3, §6.4).
 *
 * ```
 * submitter   OFFERED → NEW → ACCEPTED → EXECUTING → COMPLETED
 * executor              NEW → ACCEPTED → EXECUTING → SUCCEEDED
 *                        ↓        ↓   ↖ lease lost ↙
 *                     DECLINED CANCELLED EXPIRED FAILED        (either side, final)
 * ```
 *
 * OFFERED and FAILED are ours; a submitter of the reference takes any text for a status.
 */
import { Schema } from "effect"
import * as GoJson from "../../core/data/GoJson.ts"

/** Which side of it this node is. */
export type Side = "received" | "submitted"

/** Where a task stands. */
export const STATUSES = [
  "OFFERED",
  "NEW",
  "ACCEPTED",
  "EXECUTING",
  "SUCCEEDED",
  "COMPLETED",
  "DECLINED",
  "CANCELLED",
  "EXPIRED",
  "FAILED"
] as const
/** Where a task stands. */
export type Status = (typeof STATUSES)[number]

/** What came out, on this node's disk. */
export const StoredResult = Schema.Struct({
  type: Schema.Literals(["text", "file"]),
  /** Of the file as its executor called it; empty for a text. */
  name: Schema.String,
  path: Schema.String,
  sizeBytes: Schema.Int
})
/** What came out, on this node's disk. */
export type StoredResult = typeof StoredResult.Type

/** One task. Times are Unix milliseconds, 0 for not yet. */
export const TaskRecord = Schema.Struct({
  side: Schema.Literals(["received", "submitted"]),
  id: Schema.String,
  /** The other side: its node, and the Ed25519 key that it was trusted under, base64. Nobody else has a say. */
  peer: Schema.Int.pipe(Schema.brand("NodeId")),
  peerKey: Schema.String,
  /** Addresses, `0:0000.0000.0001`. */
  from: Schema.String,
  to: Schema.String,
  description: Schema.String,
  /** Which handler it is for; empty for whoever asks first. */
  kind: Schema.String,
  priority: Schema.Int,
  status: Schema.Literals(STATUSES),
  justification: Schema.String,
  createdAtMs: Schema.Int,
  acceptedAtMs: Schema.Int,
  /** Since when nobody is before it in the queue. */
  stagedAtMs: Schema.Int,
  startedAtMs: Schema.Int,
  completedAtMs: Schema.Int,
  times: Schema.Struct({ idleMs: Schema.Int, stagedMs: Schema.Int, cpuMs: Schema.Int }),
  /** When it is worth nothing any more. */
  expiresAtMs: Schema.Int,
  /** The other side is one of ours: it knows receipts, and what stands in `ep`. */
  isOurs: Schema.Boolean,
  /** Counts the changes that the other side must hear of; `told` is the last one that it has on its disk. */
  revision: Schema.Int,
  told: Schema.Int,
  /** The last revision of the other side that was heard. */
  heard: Schema.Int,
  /** JSON text of what the handler last said of its progress; empty for nothing. */
  progress: Schema.String,
  result: Schema.optionalKey(StoredResult),
  /** How often it was begun. As the token of whoever works on it, it makes the words of an earlier worker void. */
  attempt: Schema.Int,
  /** Who works on it; empty for nobody, or somebody at a terminal, who needs no lease. */
  worker: Schema.String,
  leaseUntilMs: Schema.Int,
  /** Not to be begun again before. */
  notBeforeMs: Schema.Int,
  /** Of a submission that several could do: who else, the best first. There only for those. */
  others: Schema.optionalKey(
    Schema.Array(Schema.Struct({ peer: Schema.Int.pipe(Schema.brand("NodeId")), peerKey: Schema.String }))
  ),
  /** When it goes to the next of those unless it is accepted. */
  passAtMs: Schema.optionalKey(Schema.Int),
  /** The id under which one of those has it now. */
  successor: Schema.optionalKey(Schema.String)
})
/** One task. */
export type TaskRecord = typeof TaskRecord.Type

/** Nothing more happens to it. */
export const isDone = ({ status }: Pick<TaskRecord, "status">): boolean => DONE.has(status)

/**
 * What the file holds: two spaces, no newline at the end, keys from `accepted_at` on only if set (node §6.3). `timeText` writes
 * Unix milliseconds as RFC 3339, UTC, whole seconds.
 */
export const fileText = (self: TaskRecord, timeText: (atMs: number) => string): string => {
  const optionalTime = (atMs: number) => (atMs === 0 ? undefined : timeText(atMs))
  return GoJson.encodeOrderedIndented({
    task_id: self.id,
    task_description: self.description,
    created_at: timeText(self.createdAtMs),
    status: self.status,
    status_justification: self.justification,
    from: self.from,
    to: self.to,
    accepted_at: optionalTime(self.acceptedAtMs),
    staged_at: optionalTime(self.stagedAtMs),
    execute_started_at: optionalTime(self.startedAtMs),
    completed_at: optionalTime(self.completedAtMs),
    time_idle_ms: self.times.idleMs || undefined,
    time_staged_ms: self.times.stagedMs || undefined,
    time_cpu_ms: self.times.cpuMs || undefined
  })
}

const DONE: ReadonlySet<Status> = new Set(["SUCCEEDED", "COMPLETED", "DECLINED", "CANCELLED", "EXPIRED", "FAILED"])
