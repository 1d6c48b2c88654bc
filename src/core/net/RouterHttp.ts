/**
 * HTTP to the router of this network, for UPnP. What it answers is nobody's word but its own, so it is short and comes in time, or
 * it is nothing. Nobody asks unless somebody provides it.
 */
import { Context, type Effect, Schema } from "effect"

/** One request; `host` is an address, so nothing is looked up. */
export interface RouterRequest {
  readonly host: string
  readonly port: number
  readonly path: string
  /** With a body it is a POST. */
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** Whatever status it has; redirects are not followed. */
export interface RouterAnswer {
  readonly status: number
  readonly text: string
}

/** No answer, or a longer one than `BODY_BYTES_MAX`. */
export class RouterHttpFailed extends Schema.TaggedError<RouterHttpFailed>()("RouterHttpFailed", {
  detail: Schema.String
}) {}

/** Asks; interruption closes the connection. */
export type Ask = (request: RouterRequest) => Effect.Effect<RouterAnswer, RouterHttpFailed>

/** How the router is asked. */
export const RouterHttp = Context.Reference<Ask | undefined>("effect-pilot/core/net/RouterHttp", {
  defaultValue: () => undefined
})

/** Descriptions of real routers have 3 to 20 KB. */
export const BODY_BYTES_MAX = 65_536
