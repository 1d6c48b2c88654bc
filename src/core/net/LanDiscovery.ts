/**
 * Multicast DNS on the networks that this machine is on (RFC 6762, RFC 6763), for one service: says what is here, and hears
 * what others say. `NodeLanDiscovery` implements it. Nothing that is heard is checked, except for its size.
 */
import { Context, type Effect, Schema, type Scope } from "effect"

/** What is said of one instance of the service. */
export interface LanRecord {
  /** Unique on the network: one label of DNS. */
  readonly instance: string
  readonly port: number
  /** Strings of at most 255 bytes. */
  readonly texts: ReadonlyArray<string>
}

/** One answer that was heard. */
export interface LanHeard {
  readonly texts: ReadonlyArray<string>
  /** The host it came from. */
  readonly from: string
}

/** Being on the local networks. */
export interface LanPresence {
  /** Addresses of this machine there. */
  readonly addresses: () => ReadonlyArray<string>
  /** Says it now, and whenever somebody asks, in the place of what was said before. */
  readonly publish: (record: LanRecord) => void
  /** Asks who is there. */
  readonly ask: () => void
  /** Installs the only listener. What this process says itself may be heard, too. */
  readonly onHeard: (heard: (one: LanHeard) => void) => void
}

/** There is no multicast here. */
export class LanUnavailable extends Schema.TaggedError<LanUnavailable>()("LanUnavailable", { detail: Schema.String }) {}

/** Opens it; the end of the scope takes back what was published. */
export class LanDiscovery extends Context.Service<
  LanDiscovery,
  { readonly open: (service: string) => Effect.Effect<LanPresence, LanUnavailable, Scope.Scope> }
>()("effect-pilot/core/net/LanDiscovery") {}
