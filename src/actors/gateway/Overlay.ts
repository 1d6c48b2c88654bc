/** What a gateway needs of its node: streams to peers by name, and the streams that come to a port. */
import { type Effect, Schema, type Scope } from "effect"
import type { Duplex } from "../../core/net/Duplex.ts"
import type { Address } from "../../protocol/wire/Address.ts"

/** No stream to the peer; `detail` is a sentence for people. `isRefused`: the peer answered, and nothing listens there. */
export class Unreachable extends Schema.TaggedError<Unreachable>()("Unreachable", {
  detail: Schema.String,
  isRefused: Schema.Boolean
}) {
  override get message(): string {
    return this.detail
  }
}

/** A stream to or from a peer. `end` closes its writing half; peers of the reference then end theirs, too. */
export interface OverlayStream extends Duplex<{ readonly message: string }> {
  readonly remote: Address
  /** Both halves, at once. Idempotent. */
  readonly close: Effect.Effect<void>
}

/** A datagram port of the node's, held for the scope. */
export interface OverlayDatagrams {
  /** Lost like any datagram. */
  readonly send: (to: Address, port: number, payload: Uint8Array) => Effect.Effect<void>
  /** The next that came to the port; fails when the node is gone, and the port with it. */
  readonly receive: Effect.Effect<OverlayDatagram, Unreachable>
}

/** One that came. */
export interface OverlayDatagram {
  readonly source: Address
  readonly sourcePort: number
  readonly payload: Uint8Array
}

/** The node. */
export interface Overlay {
  /** Holds a datagram port; undefined: a free one. */
  readonly datagrams: (port: number | undefined) => Effect.Effect<OverlayDatagrams, Unreachable, Scope.Scope>
  /** Where a peer is; the first use of a name pins its key (security rule 1). */
  readonly locate: (peer: string) => Effect.Effect<Address, Unreachable>
  /** Ends with the scope. */
  readonly dial: (peer: string, port: number) => Effect.Effect<OverlayStream, Unreachable, Scope.Scope>
  /**
   * Hands every stream that comes to the port to `take`, for ever: a node that went away is waited for. `tell` hears why the
   * port is not served now, and `undefined` when it is.
   */
  readonly serve: (
    port: number,
    take: (stream: OverlayStream) => Effect.Effect<void>,
    tell: (problem: string | undefined) => Effect.Effect<void>
  ) => Effect.Effect<never>
  /** What is known of who is at the other end, for headers: `node_id`, `address`, `hostname`, `fingerprint`. */
  readonly caller: (remote: Address) => Effect.Effect<Readonly<Record<string, string | number>>>
}
