/**
 * This node as its own peer: streams, datagrams and pings to itself, without a tunnel (node §1.5). Owns the
 * `Connections` of both ends; what one end sends arrives at the other in the next turn.
 */
import { Clock, Deferred, Effect, type Scope } from "effect"
import * as Actor from "../../core/actor/Actor.ts"
import type { ActorRef } from "../../core/actor/ActorRef.ts"
import * as MonotonicTime from "../../core/actor/MonotonicTime.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import { OPEN } from "../policy/PolicyGuard.ts"
import { Connections } from "./Connections.ts"
import type { NodeContext } from "./NodeContext.ts"
import * as PacketIntake from "./PacketIntake.ts"
import { Message, type Running } from "./PeerMessage.ts"

/** Starts the actor in the surrounding scope. */
export const spawn = Effect.fnUntraced(function* (context: NodeContext): Effect.fn.Return<Running, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const { node } = context.address
  const self: { ref: ActorRef<Message> | undefined; connections: Connections | undefined } = {
    ref: undefined,
    connections: undefined
  }
  const tell = (message: Message) => self.ref?.tellUnsafe(message) ?? false
  const trusting: NodeContext = { ...context, isTrusted: () => true, guard: OPEN }
  const ref = yield* Actor.spawn<Message, never, never>({
    name: "peer/self",
    mailbox: { capacity: MAILBOX_CAPACITY, overflow: "dropNewest" },
    start: Effect.map(Effect.scope, (scope) => {
      const connections = new Connections({
        context: trusting,
        peer: node,
        transmit: (packets) => void tell(Message.Send({ packets })),
        gone: () => void tell(Message.ConnectionsGone()),
        nowMs: () => MonotonicTime.nowMsUnsafe(clock)
      })
      // Whatever this node can do, the node at the other end can.
      connections.announced(context.tunnel.capabilities)
      self.connections = connections
      return {
        receive: (message) => receive(trusting, connections, scope, message),
        afterBatch: () => connections.sweep()
      }
    }),
    restart: { intensity: 3, periodMs: 10_000 }
  })
  self.ref = ref
  return {
    node,
    ref,
    status: () => ({
      node,
      endpoint: context.socket.local,
      path: "direct",
      encrypted: false,
      authenticated: true,
      rttMs: 0,
      publicKey: context.identity.publicKey,
      scheme: "later",
      halfCloses: true
    }),
    connections: () => self.connections?.status() ?? [],
    hasOpened: () => true,
    isAway: () => false,
    isBusy: () => false,
    isRelayed: () => false
  }
})

const receive = (
  context: NodeContext,
  connections: Connections,
  scope: Scope.Scope,
  message: Message
): Effect.Effect<void> | void => {
  switch (message._tag) {
    case "Send":
      return PacketIntake.deliver(
        { context, peer: context.address.node, connections, scope, answer: ignore, pong: ignore },
        message.packets.map(Bytes.join)
      )
    case "Ping":
      return Effect.asVoid(Deferred.succeed(message.reply, 0))
    case "Frames":
    case "LearnPath":
    case "Connect":
    case "FindMtu":
    case "MtuKnown":
    case "SizeVanished":
    case "KeyKnown":
    case "NetworkChanged":
    case "RenewKeys":
    case "Birthday":
      return
    default:
      return connections.perform(message, scope)
  }
}

const ignore = () => {}

const MAILBOX_CAPACITY = 1024
