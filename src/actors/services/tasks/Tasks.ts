/**
 * The face of a node's tasks (node §6): what was given to it, what it gave away, and who works on what. Whatever an effect here
 * has returned is on disk. `TaskActor` implements it.
 */
import { Context, type Effect, Schema } from "effect"
import type { Tally } from "../../../protocol/task/TaskLedger.ts"
import type { Side, TaskRecord } from "../../../protocol/task/TaskRecord.ts"
import type { NodeId } from "../../../protocol/wire/Address.ts"
import type { Outcome, Wish } from "../../../protocol/wire/TaskFrame.ts"

/** Nothing was done with a task. */
export class TaskError extends Schema.TaggedError<TaskError>()("TaskError", {
  /**
   * `Stale`: the word of a worker that has lost its lease. `Full`: of tasks. `NotStored`: the disk does not take it. `Invalid`:
   * what is given is none of its kind, or too large. `Unreachable`: the peer was not reached.
   */
  reason: Schema.Literals([
    "NotFound",
    "InvalidState",
    "Expired",
    "Full",
    "Stale",
    "NotTheirs",
    "NotStored",
    "Invalid",
    "Unreachable",
    "Stopped"
  ]),
  detail: Schema.String
}) {
  override get message(): string {
    return this.detail
  }
}

/** A task for a peer. */
export interface NewTask extends Wish {
  /** A trusted peer, or this node itself. */
  readonly to: NodeId
  readonly description: string
  /** Other trusted peers that could do it; the best of all has it first. Those that are not trusted are left out. */
  readonly others?: ReadonlyArray<NodeId> | undefined
  /** With others: how long one may take to accept it; a minute unless told otherwise. */
  readonly acceptMs?: number | undefined
  /** The same id and content again is the same task; a fresh one unless given. */
  readonly id?: string | undefined
}

/** An outcome that lies in a file of this machine: a text, or a file of that name. */
export interface LocalOutcome {
  readonly _tag: "Local"
  readonly path: string
  /** Empty for a text. */
  readonly name: string
}

type Task = Effect.Effect<TaskRecord, TaskError>

/** The tasks of one node. */
export class Tasks extends Context.Service<
  Tasks,
  {
    readonly get: (side: Side, id: string) => Task
    readonly list: (side: Side) => Effect.Effect<ReadonlyArray<TaskRecord>, TaskError>
    /** Accepted and not begun, the first one first. */
    readonly queued: Effect.Effect<ReadonlyArray<TaskRecord>, TaskError>
    /** Waits until the task is at a later revision, or has heard of one, than this one was; at most so long. */
    readonly changed: (task: TaskRecord, timeoutMs: number) => Task
    /** What came out of it. */
    readonly outcome: (task: TaskRecord) => Effect.Effect<Outcome, TaskError>

    /** Keeps the task until its peer has it, for as long as it lives. */
    readonly submit: (task: NewTask) => Task
    /** Now or never: fails, and keeps nothing, if the peer cannot be reached. */
    readonly offer: (task: NewTask) => Task
    /** Takes it back, whoever of those that could do it has it now. */
    readonly cancel: (id: string, why: string) => Task
    /** How the tasks that were given away have ended, by peer and kind; the row that was touched last first. */
    readonly ledger: Effect.Effect<ReadonlyArray<Tally>, TaskError>
    /** Asks a stranger for trust, and waits so long for it. */
    readonly earn: (node: NodeId, timeoutMs: number) => Effect.Effect<boolean, TaskError>

    /** The task named, or the oldest of a kind, unless told otherwise of none; without a name it waits so long for one. */
    readonly accept: (id: string | undefined, waitMs: number, kind?: string) => Task
    readonly decline: (id: string, why: string) => Task
    readonly execute: Task
    /**
     * Stores the outcome. The submitter is told now, if it can be reached, and else later; that of a program, which names its
     * attempt, is told while it goes on.
     */
    readonly finish: (id: string, outcome: Outcome | LocalOutcome, attempt?: number) => Task
    readonly fail: (
      id: string,
      failure: { readonly why: string; readonly isFinal: boolean; readonly attempt?: number }
    ) => Task

    /** The first task of these kinds, begun and leased to the worker; waits so long for one. */
    readonly claim: (
      kinds: ReadonlyArray<string>,
      options: { readonly worker: string; readonly leaseMs: number; readonly waitMs: number }
    ) => Effect.Effect<TaskRecord | undefined, TaskError>
    readonly renew: (id: string, attempt: number, leaseMs: number, progress?: string) => Task
    /** How far an accepted task is, from somebody who holds no lease: JSON text. */
    readonly tell: (id: string, progress: string) => Task
    /**
     * The worker has left; others may have at once what it had. `isLost`: it was killed, and has come back; each of its attempts
     * counts as one that failed.
     */
    readonly release: (worker: string, isLost?: boolean) => Effect.Effect<void, TaskError>
    /** Whether new tasks are taken. */
    readonly setReady: (isReady: boolean) => Effect.Effect<void>
    readonly status: Effect.Effect<TasksStatus>
  }
>()("effect-pilot/actors/services/Tasks") {}

/** What is there, and what was counted since the start. */
export interface TasksStatus {
  readonly isReady: boolean
  readonly received: number
  readonly submitted: number
  /** Peers that have not heard of everything. */
  readonly untoldPeers: number
  readonly malformed: number
  readonly refused: number
}
