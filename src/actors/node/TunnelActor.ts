/**
 * One peer: its encrypted association, its paths, its connections.
 *
 * Owns a `Tunnel` with fresh X25519 keys (they die with the actor, so a restarted one reuses no nonce: security
 * rule 5), a `PathSelector` and the `Connections` of that peer. Told by the socket of the peer's frames, one message per
 * batch; by its connections of packets to send; by `NodeSupervisor` to dial. It opens and seals synchronously and
 * writes what is due at the end of each turn. Mailbox full: the newest batches are dropped, as the network would.
 * Restarted afresh on a defect; its connections end then.
 */
import { Clock, Effect, type Scope } from "effect"
import * as Actor from "../../core/actor/Actor.ts"
import type { ActorRef } from "../../core/actor/ActorRef.ts"
import * as MonotonicTime from "../../core/actor/MonotonicTime.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import type { PeerStatus } from "./Node.ts"
import type { NodeContext } from "./NodeContext.ts"
import type { Message, Running } from "./PeerMessage.ts"
import { TunnelPeer } from "./TunnelPeer.ts"

/** Starts the actor in the surrounding scope. `idle` is told when nothing is going on any more, `gone` when it has ended. */
export const spawn = Effect.fnUntraced(function* (options: {
  readonly context: NodeContext
  readonly node: NodeId
  readonly idle: Effect.Effect<void>
  readonly gone: Effect.Effect<void>
}): Effect.fn.Return<Running, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const nowMs = () => MonotonicTime.nowMsUnsafe(clock)
  const self: { ref: ActorRef<Message> | undefined; peer: TunnelPeer | undefined } = { ref: undefined, peer: undefined }
  const tell = (message: Message) => self.ref?.tellUnsafe(message) ?? false
  const ref = yield* Actor.spawn<Message, never, never>({
    name: `peer/${options.node}`,
    mailbox: { capacity: MAILBOX_CAPACITY, overflow: "dropNewest" },
    start: Effect.map(Effect.scope, (scope) => {
      const peer = new TunnelPeer({ ...options, tell, nowMs, scope })
      self.peer = peer
      return {
        receive: (message) => peer.receive(message),
        afterBatch: () => {
          peer.flush()
          return peer.connections.sweep()
        },
        deadlineMs: () => peer.deadlineMs,
        timerFired: () => peer.timeout()
      }
    }),
    restart: { intensity: 3, periodMs: 10_000 },
    onExit: () => options.gone
  })
  self.ref = ref
  return {
    node: options.node,
    ref,
    status: () => self.peer?.status() ?? unknownPeer(options.node),
    connections: () => self.peer?.connections.status() ?? [],
    hasOpened: () => self.peer?.hasOpened ?? false,
    isAway: () => self.peer?.isAway ?? false,
    isBusy: () => (self.peer?.connections.size ?? 0) > 0,
    isRelayed: () => self.peer?.isRelayed ?? false
  }
})

const unknownPeer = (node: NodeId): PeerStatus => ({
  node,
  endpoint: undefined,
  path: "none",
  encrypted: false,
  authenticated: false,
  rttMs: undefined,
  publicKey: undefined
})

/** Batches; a batch is what one loop turn brought. */
const MAILBOX_CAPACITY = 1024
