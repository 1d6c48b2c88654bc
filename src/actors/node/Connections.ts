/**
 * The streams of one peer: finds the connection a packet belongs to, opens new ones, answers a SYN (wire §9). Owned by
 * the peer's `TunnelActor`, which spawns them in its scope, so that they end with their tunnel.
 */
import { Deferred, Effect, Scope } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Path from "../../nat/Path.ts"
import * as Stream from "../../protocol/stream/Connection.ts"
import { PathRtt } from "../../protocol/stream/PathRtt.ts"
import * as StreamConfig from "../../protocol/stream/StreamConfig.ts"
import type * as Address from "../../protocol/wire/Address.ts"
import type { Port } from "../../protocol/wire/Address.ts"
import * as Packet from "../../protocol/wire/Packet.ts"
import type { Answer } from "../policy/PolicyGuard.ts"
import * as BoundedConnection from "./BoundedConnection.ts"
import * as ConnectionActor from "./ConnectionActor.ts"
import type { ConnectionStatus } from "./Node.ts"
import * as NodeContext from "./NodeContext.ts"
import type { ConnectionMessage } from "./PeerMessage.ts"
import * as StreamPackets from "./StreamPackets.ts"
import * as StreamRefusals from "./StreamRefusals.ts"

/** How the connections of this peer reach the network, the time and their owner. */
export interface Link extends StreamRefusals.Link {
  /** Gives the owner a turn, because connections have nothing left to do: it calls `sweep` after each of its turns. */
  readonly gone: () => void
  /** Tells the owner that segments of this size vanish on the way. */
  readonly vanished?: (segmentBytes: number) => void
}

/** The streams of one peer. */
export class Connections {
  readonly #link: Link
  readonly #running = new Map<number, ConnectionActor.Running>()
  /** By id: those whose ports belong to another stream already, or to none, until their actors have ended. */
  readonly #displaced = new Map<number, ConnectionActor.Running>()
  /** One for all connections of this peer, because what it announces holds for all of them. */
  readonly #config: { -readonly [key in keyof StreamConfig.StreamConfig]: StreamConfig.StreamConfig[key] }
  readonly #refusals: StreamRefusals.StreamRefusals
  #path: Path.Path | undefined = undefined
  #heardAtMs = Number.NEGATIVE_INFINITY
  /** Those that have nothing left to do. A list, because thousands may end at once, and no mailbox holds so many messages. */
  #gone: Array<{ readonly key: number; readonly id: number }> = []
  /** What this batch brought, per connection. */
  #arrived = new Map<number, Array<Packet.Segment>>()

  constructor(link: Link) {
    this.#link = link
    this.#config = { ...link.context.stream, path: this.#newPath() }
    this.#refusals = new StreamRefusals.StreamRefusals(link, this.#config)
  }

  /** The peer has announced what it can do (wire §17): of that, what this node announces too is used. */
  announced(capabilities: number): void {
    Object.assign(this.#config, StreamConfig.announced(capabilities & this.#link.context.tunnel.capabilities))
  }

  /** The path to the peer takes segments of this size. */
  resize(segmentBytes: number): void {
    this.#config.segmentBytesMax = segmentBytes
  }

  /** Open or closing connections. */
  get size(): number {
    return this.#running.size + this.#displaced.size
  }

  /** One of them is more than TIME_WAIT. */
  get hasOpen(): boolean {
    for (const running of this.#running.values()) if (running.status().state !== "TIME_WAIT") return true
    return false
  }

  /** One row per connection. */
  status(): ReadonlyArray<ConnectionStatus> {
    return Array.from(this.#running.values(), (running) => running.status())
  }

  /** The round-trip time of the path, milliseconds; `undefined` before the first sample. */
  get smoothedRttMs(): number | undefined {
    const rtt = this.#config.path?.rtt
    return rtt?.hasSample === true ? rtt.smoothedRttMs : undefined
  }

  /**
   * Packets take this path: what is known of another one does not hold for it. A port that a translator has changed makes
   * no other path (RFC 9000 §9.4).
   */
  follow(path: Path.Path | undefined): void {
    const before = this.#path
    this.#path = path
    if (before === path || path === undefined) return
    if (before === undefined || before.endpoint?.host !== path.endpoint?.host) this.#config.path = this.#newPath()
    // Of the first path as well: what was sent before it opened has waited for keys.
    for (const running of this.#running.values()) running.ref.tellUnsafe(ConnectionActor.Message.Revived())
  }

  /** A probe measured a path: after a change, what is sent again tells no time, and may be all there is for a while. */
  measured(path: Path.Path, rttMs: number): void {
    const known = this.#config.path
    if (this.#path === undefined || !Path.equals(path, this.#path) || known?.rtt.hasSample !== false) return
    known.sample(Math.max(RTT_MS_MIN, rttMs), 0, this.#link.nowMs())
  }

  /** A frame of the peer has opened: after a silence, what waits for a timer that has backed off need not. */
  heard(nowMs: number): void {
    const silentMs = nowMs - this.#heardAtMs
    this.#heardAtMs = nowMs
    if (silentMs >= SILENCE_MS) this.#revive()
  }

  /** Sorts one packet to its connection. True when it is a SYN that nobody knows yet: `accept` decides. */
  receive(packet: Packet.Packet): boolean {
    const key = keyOf(packet.destinationPort, packet.source.network, packet.sourcePort)
    const isSyn = (packet.flags & (Packet.Flag.Syn | Packet.Flag.Ack)) === Packet.Flag.Syn
    const running = this.#running.get(key)
    if (running === undefined) {
      if (!isSyn) this.#refusals.disown(packet)
      return isSyn
    }
    if (isSyn && running.isSupersededBy(packet)) {
      this.#displace(key, running)
      return true
    }
    const batch = this.#arrived.get(key)
    if (batch === undefined) this.#arrived.set(key, [packet])
    else batch.push(packet)
    return false
  }

  /** Gives each connection its packets of this batch as one message. */
  deliver(): void {
    if (this.#arrived.size === 0) return
    const arrived = this.#arrived
    this.#arrived = new Map()
    for (const [key, segments] of arrived) {
      // Without the constructor, which is a proxy: every datagram comes by here.
      this.#running.get(key)?.ref.tellUnsafe({ _tag: "Segments", segments })
    }
  }

  /** Answers a SYN: silence for strangers, RST without a listener or above a limit, else a new connection. */
  accept(syn: Packet.Packet): Effect.Effect<void, never, Scope.Scope> {
    const { context, peer } = this.#link
    const port = syn.destinationPort
    const key = keyOf(port, syn.source.network, syn.sourcePort)
    if (this.#running.has(key) && !this.receive(syn)) return Effect.void
    if (this.#refusals.repeated(key, syn)) return Effect.void
    const admission = NodeContext.admission(context, peer, port)
    if (!admission.isAllowed) return this.#deny(key, syn, admission)
    // A trusted peer is known by its key and bounded by its connections; the rate keeps strangers off (wire §9.5).
    if (!context.isTrusted(peer) && !context.ports.admitSyn(peer, this.#link.nowMs())) {
      admission.release()
      const source = { address: syn.source, port: syn.sourcePort }
      context.report({ _tag: "PacketDropped", reason: "RateLimited", peer, source })
      return Effect.void
    }
    const remote = { address: syn.source, port: syn.sourcePort }
    if (!context.listeners.hasRoom(port) || !context.ports.open(port, remote)) {
      admission.release()
      this.#refusals.refuse(key, syn, context.ports.isBound(port) ? "ResourceLimit" : "NoListener")
      return Effect.void
    }
    const connection = Stream.Connection.listening(this.#config, this.#initialSequence())
    connection.receive(syn, this.#link.nowMs())
    return Effect.flatMap(this.#spawn(key, connection, port, remote, "accepted"), (running) => {
      running.ref.tellUnsafe(ConnectionActor.Message.Touched())
      if (!context.listeners.offer(port, BoundedConnection.of(running.handle, admission))) {
        running.ref.tellUnsafe(ConnectionActor.Message.Reset({ reason: "PeerOverloaded" }))
      }
      return admission.isBounded ? BoundedConnection.releaseAfter(running.handle, admission) : Effect.void
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
      case "ConnectionsGone":
        return
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
    const connection = Stream.Connection.dialing(this.#config, this.#initialSequence(), this.#link.nowMs())
    const key = keyOf(localPort, remote.address.network, remote.port)
    // In TIME_WAIT, or its ports would not have been free: it ends by itself, without them.
    const before = this.#running.get(key)
    if (before !== undefined) this.#displaced.set(before.handle.id, before)
    return Effect.tap(this.#spawn(key, connection, localPort, remote, "dialled"), (running) =>
      Effect.sync(() => running.ref.tellUnsafe(ConnectionActor.Message.Touched()))
    )
  }

  /** Forgets the connections that have nothing left to do; to be called after each turn of the owner. */
  sweep(): Effect.Effect<void> | undefined {
    if (this.#gone.length === 0) return undefined
    const gone = this.#gone
    this.#gone = []
    return Effect.forEach(gone, ({ id, key }) => this.#forget(key, id), { discard: true })
  }

  /** Ends the bookkeeping of a connection that reported itself gone, and stops its actor. */
  #forget(key: number, id: number): Effect.Effect<void> {
    const running = this.#isCurrent(key, id) ? this.#running.get(key) : this.#displaced.get(id)
    if (running === undefined) return Effect.void
    if (!this.#displaced.delete(id)) this.#release(key, running)
    const { localPort, remote, remotePort } = running.handle
    const { bytesReceived, bytesSent } = running.status()
    this.#link.context.report({
      _tag: "ConnectionClosed",
      connection: running.handle.id,
      peer: remote,
      localPort,
      remotePort,
      reset: running.failed(),
      timedOut: running.timedOut(),
      bytesSent,
      bytesReceived
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
   * The peer has begun a new life and knows none of these connections: they end without a word, except those it has not
   * heard of yet, and their ports are free at once. The packet that showed it has opened but not been handed over; what
   * arrived before it belongs to the old life. What the new one can do, it has yet to announce.
   */
  peerRestarted(): void {
    for (const [key, running] of [...this.#running]) {
      if (running.status().state !== "SYN_SENT") this.#displace(key, running)
    }
    Object.assign(this.#config, StreamConfig.unannounced(this.#link.context.stream))
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
    const { context, transmit, gone, vanished } = this.#link
    const id = context.nextConnectionId()
    const port = direction === "dialled" ? remote.port : localPort
    const ports = { port, localPort, remotePort: remote.port }
    if (direction === "accepted") {
      const syn = { connection: id, peer: remote.address, port: localPort, remotePort: remote.port }
      context.report({ _tag: "SynReceived", ...syn })
    }
    const opened = { _tag: "ConnectionOpened", connection: id, peer: remote.address, ...ports, direction } as const
    context.report(opened)
    connection.observe(context.observer(opened))
    return ConnectionActor.spawn({
      id,
      localPort,
      remote: remote.address,
      remotePort: remote.port,
      connection,
      transmit: (segments) => {
        if (!this.#displaced.has(id)) transmit(StreamPackets.encode(segments, context.address, localPort, remote))
      },
      resting: () => {
        if (this.#isCurrent(key, id)) context.ports.close(localPort, remote, this.#link.nowMs())
      },
      vanished: (segmentBytes) => vanished?.(segmentBytes),
      gone: () => {
        // Into a full mailbox it gets nothing, but then there is a turn to come.
        if (this.#gone.push({ key, id }) === 1) gone()
      }
    }).pipe(Effect.tap((running) => Effect.sync(() => this.#running.set(key, running))))
  }

  /** The stream under these ports is not the peer's any more: its actor ends, and the ports are free for another. */
  #displace(key: number, running: ConnectionActor.Running): void {
    const segments = this.#arrived.get(key)
    this.#arrived.delete(key)
    if (segments !== undefined) running.ref.tellUnsafe(ConnectionActor.Message.Segments({ segments }))
    running.ref.tellUnsafe(ConnectionActor.Message.PeerRestarted())
    this.#release(key, running)
    this.#displaced.set(running.handle.id, running)
  }

  #release(key: number, { handle }: ConnectionActor.Running): void {
    this.#running.delete(key)
    const remote = { address: handle.remote, port: handle.remotePort }
    this.#link.context.ports.close(handle.localPort, remote, this.#link.nowMs())
  }

  #isCurrent(key: number, id: number): boolean {
    return this.#running.get(key)?.handle.id === id
  }

  /** Silence, as for a stranger; what comes too often is told so, since it was let in before. */
  #deny(key: number, syn: Packet.Packet, { reason }: Answer): Effect.Effect<void> {
    if (reason === "limit") this.#refusals.refuse(key, syn, "ResourceLimit")
    else this.#link.context.report({ _tag: "PacketDropped", reason: "Untrusted", peer: this.#link.peer })
    return Effect.void
  }

  #revive(): void {
    for (const running of this.#running.values()) {
      if (running.isBackedOff()) running.ref.tellUnsafe(ConnectionActor.Message.Revived())
    }
  }

  #newPath(): PathRtt {
    return new PathRtt(this.#link.context.stream.initialRttMs, this.#link.nowMs())
  }

  #initialSequence(): number {
    return Stream.initialSequence(Bytes.readU32(this.#link.context.crypto.randomBytes(4), 0))
  }
}

/** A connection's name among those of one peer: local port, remote network, remote port (wire §9.1). */
const keyOf = (localPort: Port, network: Address.NetworkId, remotePort: Port): number =>
  network * 0x1_0000_0000 + localPort * 0x1_0000 + remotePort

const RTT_MS_MIN = 0.001
/** Timers of streams have backed off by then, and a path that loses is heard from sooner. */
const SILENCE_MS = 1_000
