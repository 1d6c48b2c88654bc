/**
 * Tasks that several could do: who is asked first, and who next when one declines, cannot be reached, or does not accept in
 * time. Each try is a task of its own, with its own id and peer, and names its successor when it has ended; so what an earlier
 * peer has heard is taken back as any task is, and nothing that it says later counts for the next.
 */
import * as Address from "../wire/Address.ts"
import type * as TaskLedger from "./TaskLedger.ts"
import type * as TaskRecord from "./TaskRecord.ts"
import type { Peer } from "./TaskRefusal.ts"
import * as TaskSteps from "./TaskSteps.ts"

type Task = TaskRecord.TaskRecord

/** What is needed of the table of all tasks. */
export interface Tasks {
  readonly get: (side: "submitted", id: string) => Task | undefined
  readonly put: (task: Task) => Task
  readonly openWith: (peer: Task["peer"]) => number
  readonly ledger: TaskLedger.TaskLedger
}

/**
 * The best first, by what this node has seen of them, divided by how many tasks they have of it already, so that equals share.
 * Those who are as good as each other stay in their order.
 */
export const ranked = (tasks: Tasks, peers: ReadonlyArray<Peer>, kind: string): ReadonlyArray<Peer> => {
  const worth = new Map(
    peers.map((peer) => [
      peer,
      tasks.ledger.expectation([peer.key, ...(peer.formerKeys ?? [])], kind) / (1 + tasks.openWith(peer.address.node))
    ])
  )
  return peers.toSorted((a, b) => worth.get(b)! - worth.get(a)!)
}

/** When it is time for the next one; `Infinity` for never. */
export const dueAtMs = (task: Task): number => (isOpen(task) ? (task.passAtMs ?? Number.POSITIVE_INFINITY) : NEVER_MS)

/** Whether it is time for the next one. */
export const isDue = (task: Task, nowMs: number): boolean => nowMs >= dueAtMs(task) && nowMs < task.expiresAtMs

/**
 * Ends this try, and makes the next one; `undefined` when there is nobody else. A try that has been declined ends as that; any
 * other is taken back, and its peer told so.
 */
export const passOn = (tasks: Tasks, task: Task, why: string, nowMs: number): Task | undefined => {
  const [next, ...others] = task.others ?? []
  if (next === undefined || task.successor !== undefined || nowMs >= task.expiresAtMs) return undefined
  const id = freeId(tasks, task.id)
  const { others: _, passAtMs: before, ...rest } = task
  const isDeaf = task.told > 0 && !task.isOurs
  if (task.completedAtMs === 0) {
    const ended = TaskSteps.ended({ ...rest, successor: id }, "CANCELLED", `${why}: passed on`, nowMs)
    tasks.put(isDeaf ? TaskSteps.silent(ended) : ended)
    if (task.told > 0) tasks.ledger.record(task.peerKey, task.kind, "late", nowMs)
  } else tasks.put({ ...rest, successor: id })
  const fresh = TaskSteps.fresh({
    ...{ side: "submitted", id, description: task.description, peer: next.peer, peerKey: next.peerKey },
    ...{
      from: task.from,
      to: Address.format(Address.make(0, next.peer)),
      createdAtMs: nowMs,
      expiresAtMs: task.expiresAtMs
    }
  })
  const patienceMs = (before ?? nowMs) - task.createdAtMs
  return tasks.put({
    ...fresh,
    ...{ kind: task.kind, priority: task.priority, revision: 1 },
    ...(others.length === 0 ? {} : { others, passAtMs: nowMs + patienceMs })
  })
}

/** A peer cannot be reached: what it has not heard of goes to the next ones. */
export const unreached = (tasks: Tasks, untold: ReadonlyArray<Task>, why: string, nowMs: number): void => {
  for (const { id, side } of untold) {
    const task = side === "submitted" ? tasks.get("submitted", id) : undefined
    if (task?.status === "OFFERED") passOn(tasks, task, why, nowMs)
  }
}

const isOpen = ({ others, side, status }: Task): boolean =>
  side === "submitted" && others !== undefined && (status === "OFFERED" || status === "NEW")

/** `night`, `night_2`, `night_3`, …; never longer than an id may be. */
const freeId = (tasks: Tasks, id: string): string => {
  const stem = id.replace(/_\d{1,4}$/, "").slice(0, STEM_MAX)
  for (let number = 2; ; number++) {
    const next = `${stem}_${number}`
    if (tasks.get("submitted", next) === undefined) return next
  }
}

const NEVER_MS = Number.POSITIVE_INFINITY
const STEM_MAX = 58
/** Peers that one task may be offered to, one after the other. */
export const PEERS_MAX = 16
/** How long one may take to accept it before the next is asked. */
export const ACCEPT_MS = 60_000
/** The least that a submitter may ask for. */
export const ACCEPT_MIN_MS = 1_000
