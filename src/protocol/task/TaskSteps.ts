/** What happens to one task, as values: each step gives the record after it, with a new revision if the other side must hear. */
import type { NodeId } from "../wire/Address.ts"
import type * as TaskFrame from "../wire/TaskFrame.ts"
import type * as TaskRecord from "./TaskRecord.ts"

type Task = TaskRecord.TaskRecord

/** A record to begin with: offered, and nobody has heard of it. */
export const fresh = (facts: {
  readonly side: TaskRecord.Side
  readonly id: string
  readonly peer: NodeId
  readonly peerKey: string
  readonly from: string
  readonly to: string
  readonly description: string
  readonly createdAtMs: number
  readonly expiresAtMs: number
}): Task => ({
  ...facts,
  ...{ kind: "", priority: 0, justification: "", status: "OFFERED" },
  ...{ acceptedAtMs: 0, stagedAtMs: 0, startedAtMs: 0, completedAtMs: 0, times: NO_TIMES },
  ...{ isOurs: false, revision: 0, told: 0, heard: 0, progress: "" },
  ...{ attempt: 0, worker: "", leaseUntilMs: 0, notBeforeMs: 0 }
})

/** Its executor has said yes or no, or nothing in time. */
export const answered = (task: Task, status: TaskRecord.Status, justification: string, nowMs: number): Task => ({
  ...task,
  ...{ status, justification, acceptedAtMs: nowMs, revision: task.revision + 1 },
  times: { ...task.times, idleMs: Math.max(0, nowMs - task.createdAtMs) }
})

/** Somebody works on it. */
export const begun = (task: Task, nowMs: number): Task => ({
  ...task,
  ...{ status: "EXECUTING", justification: "Task execution started", startedAtMs: nowMs },
  ...{ attempt: task.attempt + 1, revision: task.revision + 1 },
  times: { ...task.times, stagedMs: task.stagedAtMs === 0 ? 0 : Math.max(0, nowMs - task.stagedAtMs) }
})

/** Nobody works on it any more, and somebody else may. */
export const waiting = (task: Task, why: string, notBeforeMs: number): Task => ({
  ...task,
  ...{ status: "ACCEPTED", justification: why, worker: "", leaseUntilMs: 0, notBeforeMs, revision: task.revision + 1 }
})

/** Nothing more happens to it. */
export const ended = (task: Task, status: TaskRecord.Status, justification: string, nowMs: number): Task => ({
  ...task,
  ...{ status, justification, completedAtMs: nowMs, worker: "", leaseUntilMs: 0, revision: task.revision + 1 }
})

/** The other side knows, or need not know. */
export const silent = (task: Task): Task => ({ ...task, told: task.revision })

const NO_TIMES: TaskFrame.Times = { idleMs: 0, stagedMs: 0, cpuMs: 0 }
