/** The face of the registry towards a node: one service, whatever carries it (rendezvous §2–4). */
import { Context, type Effect, Schema } from "effect"
import type { Endpoint } from "../../core/data/Endpoint.ts"
import type { JsonObject } from "../../core/data/Json.ts"
import type { KeyChain } from "../../protocol/identity/KeyChain.ts"
import type { Address, NodeId } from "../../protocol/wire/Address.ts"
import type { FoundCard } from "../../protocol/wire/RegistryReply.ts"
import type { KeyChanged, NameMoved, PeerKeys } from "../trust/PeerKeys.ts"

/**
 * Why a registry call failed. `Refused` carries the registry's own text. `Ambiguous`: several registries know the name, each
 * with another key behind it; `NoRendezvous`: none is called what follows the `@`.
 */
export class RegistryError extends Schema.TaggedError<RegistryError>()("RegistryError", {
  reason: Schema.Literals([
    "Unavailable",
    "Refused",
    "NotFound",
    "Ambiguous",
    "NoRendezvous",
    "PinMismatch",
    "NoTls",
    "BadReply",
    "Timeout"
  ]),
  operation: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.operation}: ${this.detail === "" ? this.reason : this.detail}`
  }
}

/** Reply to `lookup`. */
export interface LookedUp {
  readonly node: NodeId
  readonly address: Address
  readonly publicKey: Uint8Array
  readonly hostname: string
  readonly isPublic: boolean
  readonly endpoint: Endpoint | undefined
  /** The reply as received, for `pilotctl lookup`. */
  readonly raw: Readonly<Record<string, unknown>>
}

/** Reply to `resolve_hostname`. */
export interface ResolvedName {
  readonly node: NodeId
  readonly address: Address
  readonly isPublic: boolean
  readonly hostname: string
  readonly raw: Readonly<Record<string, unknown>>
}

/** What waits for a node at its registry. */
export interface PolledHandshakes {
  readonly requests: ReadonlyArray<{
    readonly from: NodeId
    readonly justification: string
    readonly timestamp: number
  }>
  readonly responses: ReadonlyArray<{ readonly from: NodeId; readonly accept: boolean; readonly timestamp: number }>
}

/** Public capability cards at a registry of ours (`CardOperations`); another refuses them as unknown. */
export interface Cards {
  /** `{ card, signature }` for a card of this node; it is not looked at. */
  readonly sign: (card: JsonObject) => JsonObject
  readonly publish: (signed: JsonObject) => Effect.Effect<void, RegistryError>
  readonly withdraw: (service: string) => Effect.Effect<void, RegistryError>
  /** What the registry finds, not checked. `schema` is one of the arguments that the caller has. */
  readonly search: (question: {
    readonly query: string
    readonly schema: JsonObject
    readonly limit: number
  }) => Effect.Effect<ReadonlyArray<FoundCard>, RegistryError>
}

/** The one of several registries that is to be asked about a target, and how its answers read outside. */
export interface Route {
  readonly registry: RegistryClient["Service"]
  readonly keys: PeerKeys["Service"]
  /** As that registry knows it. */
  readonly target: string | NodeId
  readonly found: (found: LookedUp) => LookedUp
  readonly failed: <E>(error: E | KeyChanged | NameMoved) => E | KeyChanged | NameMoved
}

/** What a client over several registries knows besides (decision 58). */
export interface Several {
  readonly route: (target: string | NodeId) => Effect.Effect<Route, RegistryError>
  readonly members: () => ReadonlyArray<{
    readonly registry: RegistryClient["Service"]
    /** As that registry knows the target; nothing if it is none of its. */
    readonly inside: (target: string | NodeId) => string | NodeId | undefined
  }>
}

/** What the registry makes of a chain of keys. */
export interface PublishedChain {
  /** The key that counts there now. */
  readonly publicKey: Uint8Array
  readonly pendingUntilSeconds: number | undefined
  readonly isForked: boolean
}

/** All signing happens inside; every call has a time-out and fails with `RegistryError`. */
export class RegistryClient extends Context.Service<
  RegistryClient,
  {
    /** Signed registration; the client remembers the id it was given and signs the other calls with it. */
    readonly register: (options: {
      readonly listenAddress: string
      readonly owner?: string
      readonly lanAddresses?: ReadonlyArray<string>
    }) => Effect.Effect<{ readonly node: NodeId; readonly address: Address }, RegistryError>
    /** This host is in another network: whatever connection there is leads nowhere. */
    readonly hangUp?: Effect.Effect<void>
    readonly heartbeat: Effect.Effect<{ readonly timeSeconds: number }, RegistryError>
    readonly deregister: Effect.Effect<Readonly<Record<string, unknown>>, RegistryError>
    readonly lookup: (node: NodeId) => Effect.Effect<LookedUp, RegistryError>
    /** The endpoint of a public or trusted node. */
    readonly resolve: (node: NodeId) => Effect.Effect<Endpoint, RegistryError>
    readonly resolveHostname: (name: string) => Effect.Effect<ResolvedName, RegistryError>
    /** These return the registry's reply as received, because IPC passes it through (node §1.5). */
    readonly setHostname: (name: string) => Effect.Effect<Readonly<Record<string, unknown>>, RegistryError>
    readonly setVisibility: (isPublic: boolean) => Effect.Effect<Readonly<Record<string, unknown>>, RegistryError>
    readonly setTags: (tags: ReadonlyArray<string>) => Effect.Effect<Readonly<Record<string, unknown>>, RegistryError>
    readonly setTaskExec: (enabled: boolean) => Effect.Effect<Readonly<Record<string, unknown>>, RegistryError>
    /** Reputation (rendezvous §4.13); the reference calls it polo. */
    readonly score: (node: NodeId) => Effect.Effect<number, RegistryError>
    readonly addScore: (node: NodeId, points: number) => Effect.Effect<void, RegistryError>
    readonly reportTrust: (peer: NodeId) => Effect.Effect<void, RegistryError>
    readonly revokeTrust: (peer: NodeId) => Effect.Effect<void, RegistryError>
    readonly requestHandshake: (peer: NodeId, justification: string) => Effect.Effect<void, RegistryError>
    readonly respondHandshake: (peer: NodeId, accept: boolean) => Effect.Effect<void, RegistryError>
    readonly pollHandshakes: Effect.Effect<PolledHandshakes, RegistryError>
    readonly cards: Cards
    /** Only of a client that stands before several registries; `Names` asks the right one. */
    readonly several?: Several
    /** Teaches a registry of ours statements about the keys of a node (`KeyChainOperations`); another refuses. */
    readonly publishKeyChain: (node: NodeId, chain: KeyChain) => Effect.Effect<PublishedChain, RegistryError>
  }
>()("effect-pilot/actors/registry/RegistryClient") {}
