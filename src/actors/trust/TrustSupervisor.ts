/**
 * Starts the trust service of a node: the actor, the listener on port 444, the first poll. Whoever wires a node calls
 * `poll` of the service after each heartbeat and `reregistered` after each later registration.
 */
import { Effect, type Scope } from "effect"
import { Crypto, type SigningKey } from "../../core/crypto/Crypto.ts"
import type { ProtocolEvent } from "../../protocol/ProtocolEvent.ts"
import { HandshakeStamps } from "../../protocol/trust/HandshakeStamps.ts"
import { Input } from "../../protocol/trust/TrustHandshake.ts"
import * as TrustTable from "../../protocol/trust/TrustTable.ts"
import { Node, type PortInUse } from "../node/Node.ts"
import { RegistryClient } from "../registry/RegistryClient.ts"
import * as HandshakePoll from "./HandshakePoll.ts"
import * as HandshakeReceiver from "./HandshakeReceiver.ts"
import * as HandshakeStream from "./HandshakeStream.ts"
import * as Invitations from "./Invitations.ts"
import * as KeyWatch from "./KeyWatch.ts"
import * as Networks from "./Networks.ts"
import { PeerKeys } from "./PeerKeys.ts"
import { ServiceOpener } from "./ServiceOpener.ts"
import type { Trust } from "./Trust.ts"
import * as TrustActor from "./TrustActor.ts"
import type { TrustContext } from "./TrustContext.ts"
import * as TrustService from "./TrustService.ts"
import type { TrustNotStored, TrustStore } from "./TrustStore.ts"

/** What the service is made of. */
export interface Options {
  /** The node's own key pair: what it says is signed with the key that opens its tunnels. */
  readonly identity: SigningKey
  readonly store: TrustStore
  /** Must not wait. */
  readonly report: (event: ProtocolEvent) => void
  readonly limits?: TrustTable.Limits
}

/** A running trust service. */
export interface Running {
  readonly trust: Trust["Service"]
  /** The registry may have forgotten every pair: reports them again, each after checking its key (rendezvous §9.3). */
  readonly reregistered: Effect.Effect<void>
  /** Chains of keys, of peers and of this node. */
  readonly watch: KeyWatch.KeyWatch
}

/** Starts the service in the surrounding scope; a first poll follows in a moment. */
export const start = Effect.fn("TrustSupervisor.start")(function* (
  options: Options
): Effect.fn.Return<Running, TrustNotStored | PortInUse, Scope.Scope | Crypto | Node | RegistryClient | PeerKeys> {
  const context: TrustContext = {
    identity: options.identity,
    report: options.report,
    openServices: yield* ServiceOpener,
    crypto: yield* Crypto,
    node: yield* Node,
    registry: yield* RegistryClient,
    keys: yield* PeerKeys,
    stamps: new HandshakeStamps()
  }
  const limits = options.limits ?? TrustTable.DEFAULT_LIMITS
  const actor = yield* TrustActor.spawn({ context, store: options.store, limits })
  const watch = yield* KeyWatch.make(context, actor)
  const listener = yield* context.node.listen(HandshakeStream.PORT)
  const networks = yield* Networks.make(context, actor)
  const received: HandshakeReceiver.Options["received"] = (node, input) =>
    Effect.andThen(Effect.ignore(actor.apply(node, input)), networks.met(node))
  yield* HandshakeReceiver.spawn({ context, listener, received, noticed: networks.noticed })
  const { poll } = yield* HandshakePoll.make(context, actor)
  yield* Effect.forkScoped(Effect.delay(poll, FIRST_POLL_MS))
  const pollWhileOpen = Effect.flatMap(Invitations.isOpen({ context, actor }), (isOpen) =>
    isOpen ? poll : Effect.void
  )
  yield* Effect.forkScoped(Effect.forever(Effect.delay(pollWhileOpen, INVITED_POLL_MS)))
  return {
    trust: TrustService.make({ context, actor, limits, poll, networks: networks.service }),
    watch,
    reregistered: actor.applyToAll(Input.Reregistered())
  }
})

/** A program that starts a node dials next: chores wait until it has. */
const FIRST_POLL_MS = 100
/** A heartbeat apart is too long for somebody who has just been invited. */
const INVITED_POLL_MS = 5000
