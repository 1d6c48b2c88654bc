/**
 * What happens to a packet once it is known whom it is from, for peers without a tunnel (this node itself, and plaintext
 * peers): streams to their connections, datagrams to the subscribers, pings answered.
 */
import { Effect, Result, Scope } from "effect"
import * as NativeCrc32 from "../../core/crypto/NativeCrc32.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import * as ControlMessage from "../../protocol/wire/ControlMessage.ts"
import * as Packet from "../../protocol/wire/Packet.ts"
import type { Connections } from "./Connections.ts"
import * as NodeContext from "./NodeContext.ts"

/** Delivers one batch; the effect, if any, accepts new connections in `scope`. */
export const deliver = (
  options: {
    readonly context: NodeContext.NodeContext
    readonly peer: NodeId
    readonly connections: Connections
    readonly scope: Scope.Scope
    readonly answer: (packet: Uint8Array) => void
    readonly pong: (packet: Packet.Packet) => void
  },
  packets: ReadonlyArray<Uint8Array>
): Effect.Effect<void> | void => {
  const { connections, context, peer } = options
  const accepts: Array<Packet.Packet> = []
  for (const bytes of packets) {
    const decoded = Packet.decode(bytes, NativeCrc32.update)
    if (Result.isFailure(decoded) || !isBetween(context, peer, decoded.success)) {
      context.report({ _tag: "PacketDropped", reason: "Malformed", peer })
      continue
    }
    const packet = decoded.success
    if (packet.protocol === Packet.Protocol.Stream) {
      if (connections.receive(packet)) accepts.push(packet)
    } else if (packet.protocol === Packet.Protocol.Datagram) receiveDatagram(context, peer, packet)
    else if ((packet.flags & Packet.Flag.Ack) !== 0) options.pong(packet)
    else if (context.isTrusted(peer) || context.isPublic()) {
      const pong = ControlMessage.pong(packet, context.address)
      if (pong !== undefined) options.answer(Packet.encode(pong))
    }
  }
  connections.deliver()
  if (accepts.length === 0) return
  return Effect.forEach(accepts, (syn) => connections.accept(syn), { discard: true }).pipe(Scope.provide(options.scope))
}

/** Hands a datagram to the node's subscribers if the peer may reach its port. */
export const receiveDatagram = (context: NodeContext.NodeContext, peer: NodeId, packet: Packet.Packet): void => {
  if (packet.payload.length === 0) return
  const wish = { service: "datagram", port: packet.destinationPort, sizeBytes: packet.payload.length } as const
  if (!context.guard.ask(peer, wish, NodeContext.exposes(context, peer, packet.destinationPort)).isAllowed) return
  context.report({
    _tag: "DatagramReceived",
    peer: packet.source,
    port: packet.destinationPort,
    sourcePort: packet.sourcePort,
    sizeBytes: packet.payload.length
  })
  context.datagramReceived({
    source: packet.source,
    sourcePort: packet.sourcePort,
    destinationPort: packet.destinationPort,
    payload: packet.payload
  })
}

const isBetween = (context: NodeContext.NodeContext, peer: NodeId, packet: Packet.Packet): boolean =>
  packet.source.node === peer && packet.destination.node === context.address.node
