/** The chains of keys of peers, as the rest of the node sees them (security rule 9). `PeerChains` implements it. */
import type { Effect, Scope } from "effect"
import type { KeyChain } from "../../protocol/identity/KeyChain.ts"
import type { KeyStanding } from "../../protocol/identity/KeyStanding.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"

/** What has changed about the keys of one peer. */
export type KeyFact =
  /** A new key is announced; it counts from then on, unless somebody takes it back. */
  | { readonly _tag: "Announced"; readonly node: NodeId; readonly next: Uint8Array; readonly fromSeconds: number }
  | { readonly _tag: "Cancelled"; readonly node: NodeId; readonly next: Uint8Array }
  /** The pin has moved. */
  | { readonly _tag: "Moved"; readonly node: NodeId; readonly from: Uint8Array; readonly to: Uint8Array }
  /** A person here has decided for a key, whatever was pinned before. */
  | { readonly _tag: "Accepted"; readonly node: NodeId; readonly from: Uint8Array | undefined; readonly to: Uint8Array }
  /** Frozen until a person decides, or the recovery key. */
  | { readonly _tag: "Forked"; readonly node: NodeId; readonly keys: ReadonlyArray<Uint8Array> }
  | { readonly _tag: "Thawed"; readonly node: NodeId }
  | { readonly _tag: "RecoveryEnrolled"; readonly node: NodeId; readonly key: Uint8Array; readonly fromSeconds: number }
  | { readonly _tag: "RecoveryContested"; readonly node: NodeId }

/** Chains by node id. */
export interface KeyChains {
  /**
   * Takes what a chain says about a node, whoever brought it; returns when pins and trust follow. About a node that is not
   * pinned it is only kept for a while, in case the next thing is its first use.
   */
  readonly learn: (node: NodeId, chain: KeyChain) => Effect.Effect<void>
  /** The same for what time has brought. */
  readonly settle: Effect.Effect<void>
  /** Of nodes about which anything is known. */
  readonly standings: () => ReadonlyMap<NodeId, KeyStanding>
  /** Whether the present pinned key follows from that one. */
  readonly follows: (node: NodeId, former: Uint8Array) => boolean
  /** The keys the node had before the pinned one, as far as this node has followed them. */
  readonly formerKeys: (node: NodeId) => ReadonlyArray<Uint8Array>
  /** The rival key, while the chain of a node is forked. */
  readonly rival: (node: NodeId) => Uint8Array | undefined
  /** A person's decision against the key that is announced; the key, or `undefined` if none is. */
  readonly refuse: (node: NodeId) => Effect.Effect<Uint8Array | undefined>
  /** Told of every fact from now on, one after the other, until the scope ends. */
  readonly listen: (listener: (fact: KeyFact) => Effect.Effect<void>) => Effect.Effect<void, never, Scope.Scope>
}
