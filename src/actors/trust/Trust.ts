/** The face of the trust list (node §2): who may reach this node, and who asks to. `TrustActor` implements it. */
import { Context, type Effect } from "effect"
import type { Standing } from "../../protocol/trust/Relation.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import type { Admissions } from "./Admissions.ts"
import { TrustError } from "./TrustError.ts"

export { TrustError }

/** One trusted peer. */
export interface TrustedPeer {
  readonly node: NodeId
  readonly publicKey: Uint8Array
  readonly approvedAtSeconds: number
  readonly mutual: boolean
  readonly network: number
}

/** One undecided request. */
export interface PendingPeer {
  readonly node: NodeId
  /** Empty when the request came by relay and the key was not yet looked up. */
  readonly publicKey: Uint8Array
  readonly justification: string
  readonly receivedAtSeconds: number
}

/** What stands between this node and another, in one word. */
export interface StandingOf {
  readonly standing: Standing
  /** Why the peer has refused our last request, in its words; `undefined` when it has not. */
  readonly refusal: string | undefined
}

/** The trust list of this node. */
export class Trust extends Context.Service<
  Trust,
  {
    /** Asks for trust, directly or through the registry; returns when the request is on its way. */
    readonly request: (node: NodeId, justification: string) => Effect.Effect<"sent" | "already_trusted", TrustError>
    /** `known` is false when nothing was pending. `fingerprint`, if given, must match the key. */
    readonly approve: (node: NodeId, fingerprint?: string) => Effect.Effect<{ readonly known: boolean }, TrustError>
    readonly reject: (node: NodeId, reason: string) => Effect.Effect<{ readonly known: boolean }, TrustError>
    readonly revoke: (node: NodeId) => Effect.Effect<void, TrustError>
    readonly pending: Effect.Effect<ReadonlyArray<PendingPeer>>
    readonly trusted: Effect.Effect<ReadonlyArray<TrustedPeer>>
    readonly standing: (node: NodeId) => Effect.Effect<StandingOf>
    /** Who comes in without a person here. */
    readonly admissions: Admissions
    /** Fetches what the registry relays; called after each heartbeat, at start, and when a client looks. */
    readonly poll: Effect.Effect<void>
  }
>()("effect-pilot/actors/trust/Trust") {}
