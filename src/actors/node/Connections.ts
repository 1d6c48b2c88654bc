/**
 * The streams of one peer: finds the connection a packet belongs to, opens new ones, answers a SYN (wire §9). Owned by
 * the peer's `TunnelActor`, which spawns them in its scope, so that they end with their tunnel.
 */
import { Deferred, Effect, Scope } from "effect"
import * as NativeCrc32 from "../../core/crypto/NativeCrc32.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Stream from "../../protocol/stream/Connection.ts"
import type * as Address from "../../protocol/wire/Address.ts"
import type { NodeId, Port } from "../../protocol/wire/Address.ts"
import * as Packet from "../../protocol/wire/Packet.ts"
import * as ConnectionActor from "./ConnectionActor.ts"
import type { ConnectionStatus } from "./Node.ts"
import * as NodeContext from "./NodeContext.ts"
import type { ConnectionMessage } from "./PeerMessage.ts"

/** How the connections of this peer reach the network and the time. */
export interface Link {
  readonly context: NodeContext.NodeContext
  readonly peer: NodeId
  /** Hands whole packets to the tunnel; a full mailbox loses them, as the network would. */
  readonly transmit: (packets: ReadonlyArray<Uint8Array>) => void
  /** Tells the owner that a connection has nothing left to do. */
  readonly gone: (key: number) => void
  readonly nowMs: () => number
}

/** The streams of one peer. */
export class Connections {
  readonly #link: Link
  readonly #running = new Map<number, ConnectionActor.Running>()
  /** What this batch brought, per connection. */
  #arrived = new Map<number, Array<Packet.Segment>>()

  constructor(link: Link) {
    this.#link = link
  }

  /** Open or closing connections. */
  get size(): number {
    return this.#running.size
  }

  /** One row per connection. */
  status(): ReadonlyArray<ConnectionStatus> {
    return Array.from(this.#running.values(), (running) => running.status())
  }

  /** The shortest of their round-trip times, milliseconds; `undefined` before the first sample. */
  get smoothedRttMs(): number | undefined {
    const measured = this.status().flatMap(({ smoothedRttMs }) => (smoothedRttMs > 0 ? [smoothedRttMs] : []))
    return measured.length === 0 ? undefined : Math.min(...measured)
  }

  /** Sorts one packet to its connection. True when it is a SYN that nobody knows yet: `accept` decides. */
  receive(packet: Packet.Packet): boolean {
    const key = keyOf(packet.destinationPort, packet.source.network, packet.sourcePort)
    if (this.#running.has(key)) {
      const batch = this.#arrived.get(key)
      if (batch === undefined) this.#arrived.set(key, [packet])
      else batch.push(packet)
      return false
    }
    return (packet.flags & (Packet.Flag.Syn | Packet.Flag.Ack)) === Packet.Flag.Syn
  }

  /** Gives each connection its packets of this batch as one message. */
  deliver(): void {
    if (this.#arrived.size === 0) return
    const arrived = this.#arrived
    this.#arrived = new Map()
    for (const [key, segments] of arrived) {
      this.#running.get(key)?.ref.tellUnsafe(ConnectionActor.Message.Segments({ segments }))
    }
  }

  /** Answers a SYN: silence for strangers, RST without a listener or above a limit, else a new connection. */
  accept(syn: Packet.Packet): Effect.Effect<void, never, Scope.Scope> {
    const { context, peer } = this.#link
    const port = syn.destinationPort
    const key = keyOf(port, syn.source.network, syn.sourcePort)
    if (this.#running.has(key)) {
      this.receive(syn)
      return Effect.void
    }
    if (!NodeContext.admits(context, peer, port)) {
      context.report({ _tag: "PacketDropped", reason: "Untrusted", peer })
      return Effect.void
    }
    // A trusted peer is known by its key and bounded by its connections; the rate keeps strangers off (wire §9.5).
    if (!context.isTrusted(peer) && !context.ports.admitSyn(peer, this.#link.nowMs())) {
      context.report({ _tag: "PacketDropped", reason: "RateLimited", peer })
      return Effect.void
    }
    const remote = { address: syn.source, port: syn.sourcePort }
    if (!context.listeners.hasRoom(port) || !context.ports.open(port, remote)) {
      this.#refuse(syn)
      return Effect.void
    }
    const connection = Stream.Connection.listening(context.stream, this.#initialSequence())
    connection.receive(syn, this.#link.nowMs())
    return Effect.map(this.#spawn(key, connection, port, remote, "accepted"), (running) => {
      running.ref.tellUnsafe(ConnectionActor.Message.Touched())
      if (!context.listeners.offer(port, running.handle)) {
        running.ref.tellUnsafe(ConnectionActor.Message.Reset({ reason: "LocalAbort" }))
      }
    })
  }

  /** Does what a peer's actor was told about its connections; new ones live in `scope`. */
  perform(message: ConnectionMessage, scope: Scope.Scope): Effect.Effect<void> | void {
    switch (message._tag) {
      case "Dial":
        return this.dial(message.localPort, message.remote).pipe(
          Scope.provide(scope),
          Effect.flatMap((running) => Deferred.succeed(message.reply, running))
        )
      case "ConnectionGone":
        return this.forget(message.key)
      case "ResetConnections":
        return this.resetAll(message.reason)
      case "CloseConnections":
        return this.close()
      case "CloseConnection":
        return this.close(message.id)
    }
  }

  /** Opens a connection from a port the caller has allocated and opened in the port table; its SYN leaves at the end of the turn. */
  dial(localPort: Port, remote: Address.SocketAddress): Effect.Effect<ConnectionActor.Running, never, Scope.Scope> {
    const { context, nowMs } = this.#link
    const connection = Stream.Connection.dialing(context.stream, this.#initialSequence(), nowMs())
    const key = keyOf(localPort, remote.address.network, remote.port)
    return Effect.tap(this.#spawn(key, connection, localPort, remote, "dialled"), (running) =>
      Effect.sync(() => running.ref.tellUnsafe(ConnectionActor.Message.Touched()))
    )
  }

  /** Ends the bookkeeping of a connection that reported itself gone, and stops its actor. */
  forget(key: number): Effect.Effect<void> {
    const running = this.#running.get(key)
    if (running === undefined) return Effect.void
    this.#running.delete(key)
    const { localPort, remote, remotePort } = running.handle
    this.#link.context.ports.close(localPort, { address: remote, port: remotePort }, this.#link.nowMs())
    this.#link.context.report({
      _tag: "ConnectionClosed",
      connection: running.handle.id,
      peer: remote,
      reset: running.failed()
    })
    return running.ref.stop
  }

  /** FIN, after what was written, on every connection or on the one with this id. */
  close(id?: number): void {
    for (const running of this.#running.values()) {
      if (id === undefined || running.handle.id === id) running.ref.tellUnsafe(ConnectionActor.Message.Close())
    }
  }

  /**
   * The peer has begun a new life and knows none of these connections: they end, except those it has not heard of yet. The
   * packet that showed it has opened but not been handed over; what arrived before it belongs to the old life.
   */
  peerRestarted(): void {
    this.deliver()
    for (const running of this.#running.values()) {
      if (running.status().state === "SYN_SENT") continue
      running.ref.tellUnsafe(ConnectionActor.Message.Reset({ reason: "PeerRestarted" }))
    }
  }

  /** Resets every connection, for the reason given. */
  resetAll(reason: "TrustRevoked" | "NodeStopped"): void {
    for (const running of this.#running.values()) running.ref.tellUnsafe(ConnectionActor.Message.Reset({ reason }))
  }

  #spawn(
    key: number,
    connection: Stream.Connection,
    localPort: Port,
    remote: Address.SocketAddress,
    direction: "dialled" | "accepted"
  ) {
    const { context, transmit, gone } = this.#link
    const id = context.nextConnectionId()
    const port = direction === "dialled" ? remote.port : localPort
    context.report({ _tag: "ConnectionOpened", connection: id, peer: remote.address, port, direction })
    return ConnectionActor.spawn({
      id,
      localPort,
      remote: remote.address,
      remotePort: remote.port,
      connection,
      transmit: (segments) => transmit(this.#packets(segments, localPort, remote)),
      resting: () => context.ports.close(localPort, remote, this.#link.nowMs()),
      gone: () => gone(key)
    }).pipe(Effect.tap((running) => Effect.sync(() => this.#running.set(key, running))))
  }

  #refuse(syn: Packet.Packet): void {
    const rst = { flags: Packet.Flag.Rst, sequence: 0, acknowledgement: 0, window: 0, payload: EMPTY }
    this.#link.transmit(this.#packets([rst], syn.destinationPort, { address: syn.source, port: syn.sourcePort }))
  }

  /** All in one array, because one per packet would cost more than writing them. */
  #packets(
    segments: ReadonlyArray<Packet.Segment>,
    localPort: Port,
    remote: Address.SocketAddress
  ): ReadonlyArray<Uint8Array> {
    let sizeBytes = 0
    for (const { payload } of segments) sizeBytes += Packet.HEADER_BYTES + payload.length
    const bytes = new Uint8Array(sizeBytes)
    let end = 0
    return segments.map(({ acknowledgement, flags, payload, sequence, window }) => {
      const packet = {
        flags,
        sequence,
        acknowledgement,
        window,
        payload,
        protocol: Packet.Protocol.Stream,
        source: this.#link.context.address,
        destination: remote.address,
        sourcePort: localPort,
        destinationPort: remote.port
      }
      const start = end
      end += Packet.encodeInto(packet, bytes, start, NativeCrc32.update)
      return bytes.subarray(start, end)
    })
  }

  #initialSequence(): number {
    return Stream.initialSequence(Bytes.readU32(this.#link.context.crypto.randomBytes(4), 0))
  }
}

/** A connection's name among those of one peer: local port, remote network, remote port (wire §9.1). */
const keyOf = (localPort: Port, network: Address.NetworkId, remotePort: Port): number =>
  network * 0x1_0000_0000 + localPort * 0x1_0000 + remotePort

const EMPTY = new Uint8Array(0)
