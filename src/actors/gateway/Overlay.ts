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

/** The node. */
export interface Overlay {
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
