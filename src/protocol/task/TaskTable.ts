/**
 * All tasks of one node, those that it was given and those that it gave away, with what is asked of them often: who waits to be
 * begun, what has a peer not heard of, when is something due. Mutable, with one owner, who stores what `drain` names before
 * anybody hears of it. What may happen to a task is in `Executing` and `Submitting`. Times are Unix milliseconds.
 */
import { Result } from "effect"
import { SortedList } from "../../core/data/SortedList.ts"
import type { NodeId } from "../wire/Address.ts"
import * as Passing from "./Passing.ts"
import * as Ledger from "./TaskLedger.ts"
import { TaskQueue } from "./TaskQueue.ts"
import * as TaskRecord from "./TaskRecord.ts"
import * as TaskSteps from "./TaskSteps.ts"
import * as TaskTime from "./TaskTime.ts"

/** What is kept at most. */
export interface Limits extends TaskTime.Patience {
  /** Tasks of each side that are not settled: not done, or not heard of by the other side; of all peers, and of one. */
  readonly openMax: number
  readonly openPerPeerMax: number
  /** Characters of their descriptions together, and of one. */
  readonly textMax: number
  readonly descriptionMax: number
  /** Settled ones; the oldest are forgotten. */
  readonly settledMax: number
}

/** What must be stored, or was forgotten; and what it was before, unless it is new. */
export interface Change {
  readonly _tag: "Put" | "Removed"
  readonly record: TaskRecord.TaskRecord
  readonly before?: TaskRecord.TaskRecord | undefined
}

type Task = TaskRecord.TaskRecord

/** The tables of both sides. */
export class TaskTable {
  readonly limits: Limits
  /** Waiting to be begun. */
  readonly queue = new TaskQueue()
  /** How those that were given away have ended. */
  readonly ledger: Ledger.TaskLedger
  readonly #tasks = new Map<string, Task>()
  readonly #sizes = { received: 0, submitted: 0 }
  /** Received and not yet answered, by kind and id, in the order in which they came. */
  readonly #fresh = new Map<string, Map<string, Task>>()
  /** Accepted by a person, the first one first. */
  readonly #byHand = new SortedList<Task>(compareAccepted)
  readonly #open = new Map<string, number>()
  readonly #untold = new Map<NodeId, Map<string, Task>>()
  readonly #changed = new Map<string, Change>()
  #textLength = 0
  #settledCount = 0
  #dueAtMs: number
  #lookedAtMs = 0

  constructor(limits: Limits, stored: Iterable<Task> = [], ledger = new Ledger.TaskLedger()) {
    this.limits = limits
    this.ledger = ledger
    for (const task of stored) this.#add(task)
    // What was due while nobody looked.
    this.#dueAtMs = 0
  }

  /** What changed since it was asked last, each task once. */
  drain(): ReadonlyArray<Change> {
    const changes = [...this.#changed.values()]
    this.#changed.clear()
    return changes
  }

  /** One task. */
  get(side: TaskRecord.Side, id: string): Task | undefined {
    return this.#tasks.get(keyOf({ side, id }))
  }

  /** The tasks of a side, in the order in which they came to be known. */
  all(side: TaskRecord.Side): ReadonlyArray<Task> {
    return [...this.#tasks.values()].filter((task) => task.side === side)
  }

  /** How many tasks of a side are known. */
  size(side: TaskRecord.Side): number {
    return this.#sizes[side]
  }

  /** Accepted and not begun, the first one first. */
  get queued(): ReadonlyArray<Task> {
    return this.all("received")
      .filter(({ status }) => status === "ACCEPTED")
      .toSorted(compareAccepted)
  }

  /** The first of those that are queued for a person, not for a program. */
  get head(): Task | undefined {
    return this.#byHand.first
  }

  /** Of a kind, what nobody has answered yet, the oldest first. */
  fresh(kind: string): Iterable<Task> {
    return this.#fresh.get(kind)?.values() ?? []
  }

  /** When `due` has something to do. */
  get dueAtMs(): number {
    return this.#dueAtMs
  }

  /** Peers that have not heard of everything. */
  get untoldPeers(): ReadonlyArray<NodeId> {
    return [...this.#untold.keys()]
  }

  /** What one peer has not heard of, the oldest change first: all of it, or the first `max` that are wanted. */
  untold(peer: NodeId, max = Number.POSITIVE_INFINITY, isWanted: (task: Task) => boolean = () => true) {
    const found: Array<Task> = []
    for (const task of this.#untold.get(peer)?.values() ?? []) {
      if (found.length >= max) break
      if (isWanted(task)) found.push(task)
    }
    return found
  }

  /** Whether there is anything that this peer has not heard of. */
  isUntold(peer: NodeId): boolean {
    return this.#untold.has(peer)
  }

  /** Why there is no room for one more; `undefined` when there is. */
  fullness(side: TaskRecord.Side, peer: NodeId, description: string): string | undefined {
    const { descriptionMax, openMax, openPerPeerMax, textMax } = this.limits
    if (description.length > descriptionMax) return `the task is longer than ${descriptionMax} characters`
    const isFull = this.#openCount(side) >= openMax || this.#textLength + description.length > textMax
    if (isFull) return "too many tasks are waiting"
    return this.#openCount(`${side} ${peer}`) >= openPerPeerMax ? "too many tasks of this peer are waiting" : undefined
  }

  /** Tasks that this peer was given, which are not settled. */
  openWith(peer: NodeId): number {
    return this.#openCount(`submitted ${peer}`)
  }

  /** Stores a new or changed task, and gives it. */
  put(task: Task): Task {
    const before = this.get(task.side, task.id)
    if (before !== undefined) {
      this.#take(before)
      this.#judge(before, task)
    }
    this.#add(task)
    this.#change("Put", task, before)
    return task
  }

  /** The other side has this revision on its disk. */
  told(side: TaskRecord.Side, id: string, revision: number): void {
    const task = this.get(side, id)
    if (task !== undefined && revision > task.told) this.put({ ...task, told: revision })
  }

  /** Does what time does; tasks that waited at the head of the queue for too long are named. */
  due(nowMs: number): ReadonlyArray<Task> {
    if (nowMs < this.#lookedAtMs)
      for (const task of [...this.#tasks.values()]) {
        const next = TaskTime.putBack(task, nowMs)
        if (next !== task) this.put(next)
      }
    this.#lookedAtMs = nowMs
    if (nowMs < this.#dueAtMs) return []
    this.#dueAtMs = Number.POSITIVE_INFINITY
    const neglected: Array<Task> = []
    for (const task of [...this.#tasks.values()]) {
      if (Passing.isDue(task, nowMs)) {
        Passing.passOn(this, task, "it was not accepted in time", nowMs)
        continue
      }
      const next = Result.getOrUndefined(TaskTime.aged(task, this.limits, nowMs))
      if (next === "neglected") {
        neglected.push(task)
        this.put(TaskSteps.ended(task, "EXPIRED", "Task expired: at head of queue for over 1 hour", nowMs))
      } else if (next === "forgotten" || this.#isOneTooMany(task)) this.#remove(task)
      else if (next === undefined) this.#watch(task)
      else this.put(next)
    }
    return neglected
  }

  #judge(before: Task, task: Task): void {
    if (task.side !== "submitted" || TaskRecord.isDone(before)) return
    const verdict = Ledger.verdictOf(before, task)
    if (verdict !== undefined) this.ledger.record(task.peerKey, task.kind, verdict, task.completedAtMs)
  }

  #isOneTooMany(task: Task): boolean {
    return isSettled(task) && this.#settledCount > this.limits.settledMax
  }

  #remove(task: Task): void {
    this.#take(task)
    this.#forget(task)
    this.#tasks.delete(keyOf(task))
    this.#sizes[task.side]--
    this.#change("Removed", task, task)
  }

  #change(_tag: Change["_tag"], record: Task, previous: Task | undefined): void {
    const key = keyOf(record)
    const earlier = this.#changed.get(key)
    this.#changed.set(key, { _tag, record, before: earlier === undefined ? previous : earlier.before })
  }

  #add(task: Task): void {
    const key = keyOf(task)
    if (!this.#tasks.has(key)) this.#sizes[task.side]++
    this.#tasks.set(key, task)
    this.#count(task, 1)
    if (isClaimable(task)) this.queue.add(task)
    if (isByHand(task)) this.#byHand.add(task)
    // Put again it keeps its place.
    if (isFresh(task)) this.#fresh.set(task.kind, (this.#fresh.get(task.kind) ?? new Map()).set(task.id, task))
    else this.#forget(task)
    if (task.told < task.revision) {
      const ofPeer = this.#untold.get(task.peer) ?? new Map<string, Task>()
      this.#untold.set(task.peer, ofPeer.set(key, task))
    }
    this.#watch(task)
  }

  #take(task: Task): void {
    this.#count(task, -1)
    if (isClaimable(task)) this.queue.remove(task)
    if (isByHand(task)) this.#byHand.remove(task)
    const ofPeer = this.#untold.get(task.peer)
    ofPeer?.delete(keyOf(task))
    if (ofPeer?.size === 0) this.#untold.delete(task.peer)
  }

  /** It is not fresh any more. */
  #forget({ id, kind, side }: Task): void {
    const ofKind = side === "received" ? this.#fresh.get(kind) : undefined
    ofKind?.delete(id)
    if (ofKind?.size === 0) this.#fresh.delete(kind)
  }

  #count(task: Task, by: 1 | -1): void {
    if (isSettled(task)) {
      this.#settledCount += by
      return
    }
    this.#textLength += by * task.description.length
    for (const name of [task.side, `${task.side} ${task.peer}`]) {
      const count = this.#openCount(name) + by
      if (count === 0) this.#open.delete(name)
      else this.#open.set(name, count)
    }
  }

  #openCount(name: string): number {
    return this.#open.get(name) ?? 0
  }

  #watch(task: Task): void {
    const { settledMax } = this.limits
    // A share more than allowed, so that not every task that is done makes all of them be looked through.
    const isCrowded = this.#settledCount > settledMax + settledMax / SLACK
    this.#dueAtMs = isCrowded ? 0 : Math.min(this.#dueAtMs, TaskTime.dueAtMs(task, this.limits))
  }
}

const keyOf = ({ id, side }: Pick<Task, "side" | "id">): string => `${side} ${id}`

/** Done, and the other side knows. */
const isSettled = (task: Task): boolean => TaskRecord.isDone(task) && task.told >= task.revision

const isClaimable = ({ side, status }: Task): boolean =>
  side === "received" && (status === "NEW" || status === "ACCEPTED")

const isFresh = ({ side, status }: Task): boolean => side === "received" && status === "NEW"

const isByHand = ({ kind, side, status }: Task): boolean => side === "received" && status === "ACCEPTED" && kind === ""

const compareAccepted = (a: Task, b: Task): number =>
  a.acceptedAtMs - b.acceptedAtMs || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)

const SLACK = 16

/** What a node keeps unless told otherwise. */
export const LIMITS: Limits = {
  openMax: 20_000,
  openPerPeerMax: 10_000,
  textMax: 64 << 20,
  descriptionMax: 128 << 10,
  settledMax: 10_000,
  doneKeptMs: 7 * 86_400_000,
  attemptsMax: 5
}
