/** Why nothing was done with a task, and who asks. */
import { Result } from "effect"
import type { Address } from "../wire/Address.ts"
import type { TaskRecord } from "./TaskRecord.ts"

/** Why nothing was done. */
export interface TaskRefusal {
  /** `Stale`: it is about an earlier attempt or revision. `NotTheirs`: it comes from somebody whom the task does not concern. */
  readonly reason: "NotFound" | "InvalidState" | "Expired" | "Full" | "Stale" | "NotTheirs"
  readonly detail: string
}

/** The task as it is now, or why it is as it was. */
export type Answer = Result.Result<TaskRecord, TaskRefusal>

/** Who is at the other end of a stream. Keys are Ed25519, base64. */
export interface Peer {
  readonly address: Address
  /** The one that it is trusted under. */
  readonly key: string
  /** Those that it had before, which its own chain has led from (security rule 9). */
  readonly formerKeys?: ReadonlyArray<string>
  /** This node itself, whatever its key was. */
  readonly isSelf?: boolean
}

/** Nothing was done. */
export const fail = (reason: TaskRefusal["reason"], detail: string): Result.Result<never, TaskRefusal> =>
  Result.fail({ reason, detail })

/** There is none of that id. */
export const none = (id: string): TaskRefusal => ({ reason: "NotFound", detail: `task not found: ${id}` })

/** There is none of that id. */
export const notFound = (id: string): Result.Result<never, TaskRefusal> => Result.fail(none(id))

/** There is one of that id already, and it is another. */
export const taken = (id: string): Result.Result<never, TaskRefusal> => fail("InvalidState", `the id ${id} is taken`)

/** Whether a task that was bound to this key is the peer's. */
export const isKeyOf = ({ formerKeys, isSelf, key }: Peer, bound: string): boolean =>
  bound === key || isSelf === true || formerKeys?.includes(bound) === true

/** Whether the task concerns this peer. */
export const isOf = (task: TaskRecord, peer: Peer): boolean =>
  task.peer === peer.address.node && isKeyOf(peer, task.peerKey)
