/** One request of a front's client: where it goes, and what is known of it while it waits. */
import type { Effect, Fiber } from "effect"
import type * as Json from "../../../core/data/Json.ts"
import type { KnownService } from "./FrontRoster.ts"
import type { ClientProfile, FrontUpstream } from "./FrontUpstream.ts"

/** Where a request goes, and how it reads there. */
export interface Routed {
  readonly service: KnownService
  readonly message: Uint8Array
}

/** Either the result, or where the request has to go. */
export type Outcome =
  | { readonly _tag: "Done"; readonly result: Json.JsonObject }
  | { readonly _tag: "Call"; readonly routed: Routed }

/** One request that waits. */
export interface Call {
  /** Raw text, as the client wrote it last: a repeated request has another. */
  id: string
  /** Where it is found among those that wait. */
  slot: number
  readonly method: string
  readonly token: string | undefined
  /** What this request said of its client: the next one of a shared session may be another client's. */
  readonly profile: ClientProfile
  /** Undefined until it is known. */
  service: KnownService | undefined
  /** As it went to the service, and under which number; undefined before it went. */
  sent: Uint8Array | undefined
  number: number | undefined
  /** The session at which it waits. */
  upstream: FrontUpstream | undefined
  fiber: Fiber.Fiber<void> | undefined
  /** Ends what was opened for this call alone. */
  release: Effect.Effect<void>
}
