/**
 * What this node believes about keys (security rules 1 and 3): the pins, and who is trusted. Read synchronously on the
 * packet path; written by `TrustActor` (trust) and by name resolution (pins). `PeerKeysStore` persists it.
 */
import { Context, type Effect, Schema } from "effect"
import type { NodeId } from "../../protocol/wire/Address.ts"
import type { KeyChains } from "./KeyChains.ts"

/** Another key stands behind a node id than the one pinned at first use. Only a person may accept it. */
export class KeyChanged extends Schema.TaggedError<KeyChanged>()("KeyChanged", {
  node: Schema.Finite,
  pinnedFingerprint: Schema.String,
  offeredFingerprint: Schema.String
}) {
  override get message(): string {
    return `another key stands behind node ${this.node}: ${this.offeredFingerprint}, pinned ${this.pinnedFingerprint}`
  }
}

/** A name leads to another key than the one pinned at first use. Only a person may accept it. */
export class NameMoved extends Schema.TaggedError<NameMoved>()("NameMoved", {
  name: Schema.String,
  pinnedFingerprint: Schema.String,
  offeredFingerprint: Schema.String
}) {
  override get message(): string {
    return `another key stands behind ${this.name}: ${this.offeredFingerprint}, pinned ${this.pinnedFingerprint}`
  }
}

/** The pins and the trust list of this node. */
export class PeerKeys extends Context.Service<
  PeerKeys,
  {
    /** The key pinned for an address, if any. */
    readonly pinned: (node: NodeId) => Uint8Array | undefined
    /** Where a name has led, by its pinned key: a guess that saves a question if it is right, and is never relied on. */
    readonly guess: (name: string) => NodeId | undefined
    /** The key pinned for each name, lower-case; another map after every change. */
    readonly names: () => ReadonlyMap<string, Uint8Array>
    /** True for a trusted node, and only while its pinned key is the trusted one and its chain of keys has not forked. */
    readonly isTrusted: (node: NodeId) => boolean
    /** Pins a first key, confirms the same one, refuses another. Persisted before it succeeds. */
    readonly pinNode: (node: NodeId, publicKey: Uint8Array) => Effect.Effect<void, KeyChanged>
    readonly pinName: (name: string, publicKey: Uint8Array) => Effect.Effect<void, NameMoved>
    /**
     * A person's decision: replaces the pin of an address, of every name that led to the old key, and of `name`, if the
     * decision was about one that has moved.
     */
    readonly acceptKey: (node: NodeId, publicKey: Uint8Array, name?: string) => Effect.Effect<void>
    /** The later key scheme has opened for this identity, now or in an earlier run (security rule 5). */
    readonly isLaterOnly: (publicKey: Uint8Array) => boolean
    /** Remembers that, on disk soon, for strangers too. Called on the packet path. */
    readonly laterOpened: (publicKey: Uint8Array) => void
    /** How keys of peers follow one another. */
    readonly chains: KeyChains
    /** `TrustActor` only: the trusted nodes with the keys they are trusted under. */
    readonly setTrusted: (trusted: ReadonlyMap<NodeId, Uint8Array>) => void
  }
>()("effect-pilot/actors/trust/PeerKeys") {}
