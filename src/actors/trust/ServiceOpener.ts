/**
 * Who keeps what invitations promise: lets a peer use services of this host. Set by whoever wires a daemon with a keeper;
 * without it promises stay due in `trust.json`.
 */
import { Context, type Effect } from "effect"
import type { NodeId } from "../../protocol/wire/Address.ts"

/** Lets the peer with this key use these services; false when it has to be tried again later. */
export type OpenServices = (
  peer: { readonly node: NodeId; readonly publicKey: Uint8Array },
  services: ReadonlyArray<string>
) => Effect.Effect<boolean>

/** The opener, if there is one. */
export const ServiceOpener = Context.Reference<OpenServices | undefined>("effect-pilot/actors/trust/ServiceOpener", {
  defaultValue: () => undefined
})
