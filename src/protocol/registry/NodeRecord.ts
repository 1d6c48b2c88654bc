/**
 * What the registry knows of one node (rendezvous §3). The record outlives the node's presence: a node that comes back
 * finds its visibility, tags, flags and reputation as it left them, where the reference hands out a blank one.
 */
import * as Address from "../wire/Address.ts"
import type { NodeKeys } from "./NodeKeys.ts"

/** One node; replaced as a whole by every change. */
export interface NodeRecord {
  readonly id: Address.NodeId
  /** 32 bytes, Ed25519. */
  readonly publicKey: Uint8Array
  readonly owner: string
  /** `ip:port` as peers are told it. */
  readonly endpoint: string
  readonly lanAddresses: ReadonlyArray<string>
  readonly hostname: string
  readonly tags: ReadonlyArray<string>
  readonly isPublic: boolean
  readonly taskExec: boolean
  readonly poloScore: number
  /** Registered now: neither deregistered nor silent for too long. */
  readonly isPresent: boolean
  /** When it was last known to be present, in seconds since 1970; an absent node keeps its name for a while from then. */
  readonly presentAtSeconds: number
  /** A signed register was accepted: unsigned ones are refused for ever (architecture, security rule 4). */
  readonly hasSigned: boolean
  /** A rotation that names its new key was accepted: the unbound text is refused for ever (rendezvous §2.5). */
  readonly hasBoundRotation: boolean
  /** A heartbeat that names its time was accepted: the timeless text is refused for ever (rendezvous §2.5). */
  readonly hasBoundHeartbeat: boolean
  /** Of a node that keeps a chain of keys (security rule 9); absent for others, whose keys move as the protocol has it. */
  readonly keys?: NodeKeys
}

/** A node as its first registration leaves it: private, nameless. */
export const make = (id: Address.NodeId, publicKey: Uint8Array, atSeconds: number): NodeRecord => ({
  id,
  publicKey,
  owner: "",
  endpoint: "",
  lanAddresses: NONE,
  hostname: "",
  tags: NONE,
  isPublic: false,
  taskExec: false,
  poloScore: 0,
  isPresent: true,
  presentAtSeconds: atSeconds,
  hasSigned: false,
  hasBoundRotation: false,
  hasBoundHeartbeat: false
})

/** One for all, because most have none. */
export const NONE: ReadonlyArray<string> = []

/** Its address on the backbone. */
export const address = (self: NodeRecord): string => Address.format(Address.make(0, self.id))
