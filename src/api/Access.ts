/** Who may use what a program serves: nobody, until peers are named. */
import { Effect } from "effect"
import type { DialError } from "../actors/node/Node.ts"
import * as Peer from "./Peer.ts"
import { Pilot, type PilotError } from "./PilotService.ts"

/** Who is let in, beside programs of this node itself. A rule of the node's policy for the port goes before all of it. */
export interface Access {
  /**
   * `"trusted"`: every peer that this node trusts, also those it trusts later. Or peers, each as a string (a hostname, an
   * address, a node id) or as `Peer.byKey` and the like: the keys that stand behind them when serving begins are what counts.
   */
  readonly allow?: "trusted" | ReadonlyArray<string | Peer.Selector>
}

/** A caller with all keys that may stand for it. */
export type Identity = Effect.Success<ReturnType<Pilot["Service"]["identify"]>>

/** The caller behind the `remote` of a connection; `undefined` if it is not let in. */
export type Gate = (remote: string) => Effect.Effect<Identity | undefined, PilotError>

/** Looks the named peers up, once. `what` is for the warning that nobody is named. */
export const members = Effect.fnUntraced(function* (
  { allow }: Access,
  what: string
): Effect.fn.Return<(identity: Identity) => boolean, DialError | Peer.NoSuchPeer | PilotError, Pilot> {
  const pilot = yield* Pilot
  const { node } = yield* pilot.info
  const named = allow === undefined || allow === "trusted" ? [] : allow
  const resolved = yield* Effect.forEach(named, (one) => Peer.candidates(one), { concurrency: LOOK_UPS_MAX })
  const keys = new Set(resolved.flatMap((peers) => peers.map(({ publicKey }) => publicKey)))
  if (allow !== "trusted" && keys.size === 0)
    yield* Effect.logWarning(`${what} lets nobody in but this node itself: name peers with allow`)
  const isNamed = (known: ReadonlyArray<string>) =>
    allow === "trusted" ? known.length > 0 : known.some((key) => keys.has(key))
  return (identity) => identity.node === node || isNamed(identity.keys)
})

/** The same for connections, by their `remote`. */
export const gate = Effect.fnUntraced(function* (
  access: Access,
  what: string
): Effect.fn.Return<Gate, DialError | Peer.NoSuchPeer | PilotError, Pilot> {
  const pilot = yield* Pilot
  const isMember = yield* members(access, what)
  return (remote) => Effect.map(pilot.identify(remote), (identity) => (isMember(identity) ? identity : undefined))
})

/** Peers looked up at once. */
const LOOK_UPS_MAX = 8
