/**
 * The face of a node's memberships (decision 58): one per rendezvous it is registered with. `MembershipLayer` implements it.
 */
import { Context, type Effect, Schema } from "effect"
import type { Endpoint } from "../../core/data/Endpoint.ts"
import type { Address } from "../../protocol/wire/Address.ts"

/** Which rendezvous is wanted, as a person or an invitation says it. */
export interface Wanted {
  /** `host:port`. */
  readonly registry: string
  /** `host:port`; the registry's host and the port after its own if absent. */
  readonly beacon?: string | undefined
  /** SHA-256 of its certificate, hex; if absent, the one of the first contact is pinned (security rule 4). */
  readonly fingerprint?: string | undefined
  /** Plain TCP, for a registry of the reference. */
  readonly isPlaintext?: boolean | undefined
  /** What it is called here: `peer@alias`; made from its host if absent. */
  readonly alias?: string | undefined
  /** What this node is called there; as at home if absent. */
  readonly hostname?: string | undefined
}

/** `joined`: its registry answers. `joining`: it has not registered this node yet. `away`: it has, and does not answer. */
export type MembershipState = "joined" | "joining" | "away"

/** One membership as it is now. */
export interface MembershipStatus {
  /** `home` for the one of the configuration. */
  readonly alias: string
  readonly slot: number
  readonly registry: string
  readonly beacon: string
  readonly fingerprint: string | undefined
  readonly state: MembershipState
  /** Why it is not joined; else empty. */
  readonly detail: string
  /** As that registry gave it; nothing before it has. */
  readonly registryAddress: Address | undefined
  /** The same as it reads in this node and at its local doors. */
  readonly address: Address | undefined
  readonly hostname: string
  readonly local: Endpoint | undefined
  readonly mapped: Endpoint | undefined
  readonly peers: number
}

/** Why a membership could not be changed. */
export class MembershipError extends Schema.TaggedError<MembershipError>()("MembershipError", {
  reason: Schema.Literals([
    "Malformed",
    "AliasTaken",
    "AlreadyJoined",
    "TooMany",
    "Unknown",
    "IsHome",
    "NotJoined",
    "NotStored"
  ]),
  detail: Schema.String
}) {
  override get message(): string {
    return this.detail
  }
}

/** The memberships of this node. */
export class Memberships extends Context.Service<
  Memberships,
  {
    /** Home first, then by slot. */
    readonly list: Effect.Effect<ReadonlyArray<MembershipStatus>>
    /** Registers there now, and after every restart. Nothing stays of an attempt that fails. */
    readonly join: (wanted: Wanted) => Effect.Effect<MembershipStatus, MembershipError>
    /** Leaves its registry, closes its streams, and forgets the pins and the trust that were made there. */
    readonly leave: (alias: string) => Effect.Effect<void, MembershipError>
  }
>()("effect-pilot/actors/membership/Memberships") {}

/** Memberships of one node, the one of the configuration included. */
export const MEMBERSHIPS_MAX = 8
