/** The `Pilot` service: what a node offers to programs, whoever runs it. `Pilot.ts` is its face for users. */
import { Context, type Effect, Schema, type Scope, type Stream } from "effect"
import type { PublicCard, TrustedPeer } from "../actors/mcp/client/CapabilityDirectory.ts"
import type { DialError, PingTimeout, PortInUse } from "../actors/node/Node.ts"
import type { JsonObject } from "../core/data/Json.ts"
import type { Scheme } from "../protocol/tunnel/KeyDerivation.ts"
import type { Caller } from "./Caller.ts"
import type { Connection, Options as ConnectionOptions } from "./Connection.ts"
import type { Why } from "./Why.ts"

export type { PublicCard, TrustedPeer } from "../actors/mcp/client/CapabilityDirectory.ts"

/** The node cannot be asked: no daemon, or it went away, or it said no. */
export class PilotError extends Schema.TaggedError<PilotError>()("PilotError", {
  reason: Schema.Literals(["NotRunning", "Disconnected", "Refused"]),
  detail: Schema.String
}) {
  override get message(): string {
    return this.detail
  }
}

/** What this node is. */
export interface Info {
  readonly address: string
  readonly node: number
  /** Empty when the node has no name. */
  readonly hostname: string
  /** Of its Ed25519 key, for people to compare. */
  readonly fingerprint: string
  readonly uptimeSeconds: number
}

/** A peer as it was resolved. */
export interface Peer {
  readonly address: string
  readonly node: number
  readonly hostname: string
  /** The key pinned for it: Ed25519, base64. */
  readonly publicKey: string
  /** Of that key. */
  readonly fingerprint: string
}

/** How a stream is opened. */
export interface DialOptions extends ConnectionOptions {
  /** 30 s unless told otherwise. */
  readonly timeoutMs?: number
}

/** One measurement. */
export interface Ping {
  readonly rttMs: number
  readonly path: "direct" | "relay" | "none"
}

/** Everything a node offers to programs. A target is a hostname, an address or a decimal node id. */
export class Pilot extends Context.Service<
  Pilot,
  {
    readonly info: Effect.Effect<Info, PilotError>
    /** The first use of a name pins its key; another key behind it fails with reason `NameMoved` (security rule 1). */
    readonly resolve: (target: string) => Effect.Effect<Peer, DialError | PilotError>
    /** Closing the scope closes the connection, after what was written has arrived. */
    readonly dial: (
      target: string,
      port: number,
      options?: DialOptions
    ) => Effect.Effect<Connection, DialError | PilotError, Scope.Scope>
    /**
     * Takes the port for as long as the scope lives, and gives the connections that come to it; like `listen`, for whoever must
     * know when the port is there. Each lives in a scope of its own that ends when the stream of connections does.
     */
    readonly bind: (
      port: number,
      options?: ConnectionOptions
    ) => Effect.Effect<Stream.Stream<Connection, PilotError>, PortInUse | PilotError, Scope.Scope>
    /**
     * Who is at the other end of a connection, by its `remote`, and all keys that may stand for it: the one it is trusted under
     * and those that follow to it. No keys: it is not trusted (any more).
     */
    readonly identify: (
      remote: string
    ) => Effect.Effect<Caller["Service"] & { readonly keys: ReadonlyArray<string> }, PilotError>
    /** Every connection lives in a scope of its own that ends when the stream of connections does, or it is closed. */
    readonly listen: (port: number, options?: ConnectionOptions) => Stream.Stream<Connection, PortInUse | PilotError>
    /**
     * The generation of keys that the tunnel to the peer runs on, for protocols inside that have two as well (wire §15.1).
     * Without a tunnel, or with one that has not shown its own yet: the one that peers have had from the beginning.
     */
    readonly keyScheme: (target: string) => Effect.Effect<Scheme, DialError | PilotError>
    readonly trusted: Effect.Effect<ReadonlyArray<TrustedPeer>, PilotError>
    /** What the registry finds; for `Directory`, which checks it. */
    readonly publicCards: (question: {
      readonly query: string
      readonly schema: JsonObject
      readonly limit: number
    }) => Effect.Effect<ReadonlyArray<PublicCard>, PilotError>
    readonly ping: (
      target: string,
      options?: { readonly timeoutMs?: number }
    ) => Effect.Effect<Ping, DialError | PingTimeout | PilotError>
    /** How a peer is reached now, and why so; of one that nothing goes on with, the kind is `none`. */
    readonly why: (target: string) => Effect.Effect<Why, DialError | PilotError>
  }
>()("effect-pilot/api/Pilot") {}
