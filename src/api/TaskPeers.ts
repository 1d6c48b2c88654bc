/** Whom a task may be given to, as its submitter says it: one peer, or all that are capable. */
import { Effect } from "effect"
import type { DialError } from "../actors/node/Node.ts"
import { PEERS_MAX } from "../protocol/task/Passing.ts"
import { NodeId } from "../protocol/wire/Address.ts"
import * as Peer from "./Peer.ts"
import type { Pilot, PilotError } from "./PilotService.ts"
import type { TaskError, Tasks } from "./TasksService.ts"

/** Who is meant, and whether strangers are. */
export interface Wanted {
  readonly to: string | Peer.Selector
  readonly anyone?: boolean
}

/** Whether the choice is left to the node. */
export const isOpen = (to: string | Peer.Selector): to is Peer.AnyOf | Peer.Capable =>
  typeof to !== "string" && (to._tag === "Capable" || to._tag === "AnyOf")

/** The nodes, the best fitting first; never empty. Strangers only if there is nobody else and they are wanted. */
export const find = Effect.fnUntraced(function* (
  tasks: Tasks["Service"],
  { anyone = false, to }: Wanted
): Effect.fn.Return<ReadonlyArray<NodeId>, DialError | Peer.NoSuchPeer | PilotError | TaskError, Pilot> {
  const trusted = Effect.map(Peer.candidates(to), (peers) => peers.slice(0, PEERS_MAX).map(({ node }) => NodeId(node)))
  if (!anyone || typeof to === "string" || to._tag !== "Capable") return yield* trusted
  return yield* Effect.catchTag(trusted, "NoSuchPeer", (nobody) =>
    Effect.gen(function* () {
      for (const node of (yield* Peer.strangers(to)).slice(0, STRANGERS_MAX)) {
        const isTrusted = Effect.orElseSucceed(tasks.earn(NodeId(node), EARN_MS), () => false)
        if (yield* isTrusted) return [NodeId(node)]
      }
      return yield* nobody
    })
  )
})

/** Asked for trust, one after the other. */
const STRANGERS_MAX = 4
/** Each has so long to grant it. */
const EARN_MS = 20_000
