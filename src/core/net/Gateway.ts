/** The router that leads out of the local network, and this host's address there. Nobody knows unless somebody provides it. */
import { Context, Effect } from "effect"

/** Both as IPv4 literals. */
export interface Gateway {
  readonly gateway: string
  readonly client: string
}

/** Asked anew each time, since networks change. */
export const Gateway = Context.Reference<Effect.Effect<Gateway | undefined>>("effect-pilot/core/net/Gateway", {
  defaultValue: () => Effect.succeed(undefined)
})
