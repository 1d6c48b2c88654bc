/**
 * The memberships of one node: which rendezvous has which slot and name, what is known of its peers' keys, and its node once
 * that is registered. Mutable; changed by `MembershipLayer` only, read on the packet path.
 */
import type { Effect } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import type { KeyChain } from "../../protocol/identity/KeyChain.ts"
import type * as Address from "../../protocol/wire/Address.ts"
import * as LocalNode from "../../protocol/wire/LocalNode.ts"
import type { Node } from "../node/Node.ts"
import type { RegistryClient } from "../registry/RegistryClient.ts"
import type { PeerKeys } from "../trust/PeerKeys.ts"
import type { Trust, TrustError, TrustedPeer } from "../trust/Trust.ts"
import type { MembershipState } from "./Memberships.ts"

/** Where a rendezvous is and how it is recognised; what is kept on disk of a further one. */
export interface Card {
  readonly alias: string
  readonly slot: number
  readonly registry: string
  readonly beacon: string
  readonly fingerprint?: string
  readonly plaintext?: boolean
  readonly hostname?: string
}

/** The trust list of a membership that is not up, as it is on disk. Ids are the registry's. */
export interface Shelf {
  /** Makes its trust hold in the others. */
  readonly recall: Effect.Effect<void, TrustError>
  readonly trusted: Effect.Effect<ReadonlyArray<TrustedPeer>>
  /** Ends the trust in a key, and no network brings it back. */
  readonly revoke: (publicKey: Uint8Array) => Effect.Effect<void, TrustError>
  /** Keys for which that was done: the list may have been read for its actor just before. */
  readonly revoked: ReadonlyArray<Uint8Array>
}

/** One membership. */
export interface Member {
  readonly card: Card
  readonly registry: RegistryClient["Service"]
  /** What this membership's actors ask: its own pins and trust, and trust in keys that was made elsewhere. */
  readonly keys: PeerKeys["Service"]
  /** Its own pins and trust alone. */
  readonly ownKeys: PeerKeys["Service"]
  /** The node and its trust list, once the registry has registered it. Their ids are the registry's. */
  up:
    | {
        readonly node: Node["Service"]
        readonly trust: Trust["Service"]
        /** New keys for every tunnel, under the identity of now. */
        readonly renewTunnels: Effect.Effect<void>
        /** Tells the chain of this node to peers that have a tunnel. */
        readonly spread: (chain: KeyChain) => Effect.Effect<void>
      }
    | undefined
  /** Its trust list until then. */
  readonly shelf: Shelf
  /** This node's id at the registry, once it has one. */
  ownNode: Address.NodeId | undefined
  /** What the registry said of this node's keys and nobody has looked at yet. */
  heard: KeyChain
  state: MembershipState
  detail: string
  /** Whom its own trust list trusts, and the same keys as text. */
  trusted: ReadonlyMap<Address.NodeId, Uint8Array>
  trustedTexts: ReadonlySet<string>
  /** The keys that tunnels have opened under, the latest last. */
  readonly met: Map<Address.NodeId, Uint8Array>
}

/** A membership that works. */
export type Upright = Member & { readonly up: NonNullable<Member["up"]> }

/** All of them. */
export class Roster {
  readonly #bySlot = new Map<number, Member>()

  /** Home first, then by slot. */
  all(): ReadonlyArray<Member> {
    return [...this.#bySlot.values()].toSorted((a, b) => a.card.slot - b.card.slot)
  }

  /** Those that have been registered. */
  up(): ReadonlyArray<Upright> {
    return this.all().filter(isUp)
  }

  add(member: Member): void {
    this.#bySlot.set(member.card.slot, member)
  }

  remove(member: Member): void {
    if (this.#bySlot.get(member.card.slot) === member) this.#bySlot.delete(member.card.slot)
  }

  /** The membership where a local id is met; ids in slots that nobody has are home's. */
  of(local: Address.NodeId): Member | undefined {
    return this.#bySlot.get(LocalNode.slotOf(local)) ?? this.#bySlot.get(LocalNode.HOME_SLOT)
  }

  called(alias: string): Member | undefined {
    return [...this.#bySlot.values()].find(({ card }) => card.alias === alias)
  }

  /** As the registry of the membership knows a local id. */
  inside(member: Member, local: Address.NodeId): Address.NodeId {
    return member.card.slot === LocalNode.HOME_SLOT ? local : LocalNode.registryIdOf(local)
  }

  /** The local id of a node of the membership; nothing where that would be somebody else's. */
  outside(member: Member, id: Address.NodeId): Address.NodeId | undefined {
    const local = LocalNode.make(member.card.slot, id)
    return local !== undefined && this.of(local) === member ? local : undefined
  }

  /** The same for an address. */
  outsideAddress(member: Member, address: Address.Address): Address.Address | undefined {
    const node = this.outside(member, address.node)
    return node === undefined ? undefined : node === address.node ? address : { ...address, node }
  }

  /** `name@alias`, so that a name that one registry gave passes for no other's: rules and people go by it. */
  outsideName(member: Member, name: string): string {
    return name === "" || member.card.slot === LocalNode.HOME_SLOT ? name : `${name}@${member.card.alias}`
  }

  /** Whether a key is trusted in another membership than this one. */
  isTrustedElsewhere(member: Member, publicKey: Uint8Array | undefined): boolean {
    if (publicKey === undefined || this.#bySlot.size < 2) return false
    const text = Bytes.toHex(publicKey)
    for (const other of this.#bySlot.values()) if (other !== member && other.trustedTexts.has(text)) return true
    return false
  }
}

const isUp = (member: Member): member is Upright => member.up !== undefined
