/**
 * The face of a node's policy towards its services: one question for each wish of a peer, asked where the wish arrives and
 * answered at once, since it may be asked for every packet. `PolicyActor` implements it; without one, what was exposed is
 * allowed.
 */
import { Context } from "effect"
import type { Action } from "../../protocol/policy/Action.ts"
import type { Reason } from "../../protocol/policy/Policy.ts"
import type { NodeId, Port } from "../../protocol/wire/Address.ts"

/** The answer to one wish. */
export interface Answer {
  readonly isAllowed: boolean
  readonly reason: Reason
  /** For the peer: no more than that the policy says so, and when to ask again. */
  readonly text: string
  /** Something is bounded, so `spend` and `release` have to be called. */
  readonly isBounded: boolean
  /** These bytes were carried; gives the milliseconds after which more may be. */
  readonly spend: (sizeBytes: number) => number
  /** What was allowed is over. Idempotent. */
  readonly release: () => void
}

/** What services ask. */
export interface Guard {
  /** There is no rule: nothing needs to be looked at. */
  readonly isOpen: () => boolean
  /**
   * Decides about one wish and takes it from the limits; a denial is recorded. `isExposed`: whether the service would let
   * this peer without a policy. `holds`: it lasts, and `release` ends it.
   */
  readonly ask: (node: NodeId, action: Action, isExposed: boolean, holds?: boolean) => Answer
  /** The same, of a stream that arrives at a port: also whether anything behind the port may be allowed at all. */
  readonly stream: (node: NodeId, port: Port, isExposed: boolean) => Answer
  /** Whether a wish would be allowed now. Takes nothing, records nothing. */
  readonly permits: (node: NodeId, action: Action, isExposed: boolean) => boolean
  /** The same for whatever is behind a port. */
  readonly reaches: (node: NodeId, port: Port, isExposed: boolean) => boolean
}

/** Nothing is bounded. */
export const FREE: Answer = {
  isAllowed: true,
  reason: "exposed",
  text: "",
  isBounded: false,
  spend: () => 0,
  release: () => {}
}

/** What was not exposed to the peer. */
export const CLOSED: Answer = { ...FREE, isAllowed: false, reason: "notExposed", text: "not exposed to this peer" }

/** A node without a policy. */
export const OPEN: Guard = {
  isOpen: () => true,
  ask: (_node, _action, isExposed) => (isExposed ? FREE : CLOSED),
  stream: (_node, _port, isExposed) => (isExposed ? FREE : CLOSED),
  permits: (_node, _action, isExposed) => isExposed,
  reaches: (_node, _port, isExposed) => isExposed
}

/** The same guard for whoever knows nodes by other ids. */
export const renamed = (guard: Guard, outside: (node: NodeId) => NodeId): Guard => ({
  isOpen: guard.isOpen,
  ask: (node, action, isExposed, holds) => guard.ask(outside(node), action, isExposed, holds),
  stream: (node, port, isExposed) => guard.stream(outside(node), port, isExposed),
  permits: (node, action, isExposed) => guard.permits(outside(node), action, isExposed),
  reaches: (node, port, isExposed) => guard.reaches(outside(node), port, isExposed)
})

/** The guard of the node that starts; `OPEN` unless provided. */
export const PolicyGuard = Context.Reference<Guard>("effect-pilot/PolicyGuard", { defaultValue: () => OPEN })
