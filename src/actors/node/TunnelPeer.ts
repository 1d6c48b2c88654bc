/**
 * One life of a `TunnelActor`: what it does with each message. It interprets what `Tunnel`, `PathSelector` and the
 * streams decide, and performs it.
 */
import { type Deferred, Effect, Result, Scope } from "effect"
import * as NativeCrc32 from "../../core/crypto/NativeCrc32.ts"
import type { Pieces } from "../../core/data/Bytes.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import type * as Path from "../../nat/Path.ts"
import { Tunnel } from "../../protocol/tunnel/Tunnel.ts"
import type { Output } from "../../protocol/tunnel/TunnelOutput.ts"
import type { NodeId, SocketAddress } from "../../protocol/wire/Address.ts"
import * as ControlMessage from "../../protocol/wire/ControlMessage.ts"
import * as Packet from "../../protocol/wire/Packet.ts"
import type * as TunnelFrame from "../../protocol/wire/TunnelFrame.ts"
import { Connections } from "./Connections.ts"
import { type Early, EarlyFrames } from "./EarlyFrames.ts"
import { KeyAgreement } from "./KeyAgreement.ts"
import { KeyLookups } from "./KeyLookups.ts"
import type { PeerStatus } from "./Node.ts"
import type { NodeContext } from "./NodeContext.ts"
import * as PacketIntake from "./PacketIntake.ts"
import { openedBy, PathChecks } from "./PathChecks.ts"
import { PathSizes } from "./PathSizes.ts"
import { type Inbound, Message } from "./PeerMessage.ts"
import { PeerPaths } from "./PeerPaths.ts"
import * as PeerReports from "./PeerReports.ts"
import { Pings } from "./Pings.ts"

/** What a life is made of. */
export interface Options {
  readonly context: NodeContext
  readonly node: NodeId
  readonly scope: Scope.Scope
  /** Told when nothing is going on any more. */
  readonly idle: Effect.Effect<void>
  /** To the actor itself, from outside its turn. */
  readonly tell: (message: Message) => boolean
  readonly nowMs: () => number
}

/** One life of the actor. */
export class TunnelPeer {
  readonly connections: Connections
  hasOpened = false
  readonly #context: NodeContext
  readonly #node: NodeId
  readonly #nowMs: () => number
  readonly #scope: Scope.Scope
  readonly #idle: Effect.Effect<void>
  readonly #paths: PeerPaths
  readonly #keys: KeyAgreement
  readonly #lookups: KeyLookups
  readonly #sizes: PathSizes
  readonly #checks: PathChecks
  readonly #reports: PeerReports.PeerReports
  readonly #tunnel: Tunnel
  readonly #early = new EarlyFrames()
  /** Of the first key exchange that was genuine; this life belongs to it. */
  #identityKey: Uint8Array | undefined
  readonly #pings = new Pings()
  #activeAtMs: number

  constructor({ context, idle, node, nowMs, scope, tell }: Options) {
    this.#context = context
    this.#node = node
    this.#nowMs = nowMs
    this.#scope = scope
    this.#idle = idle
    this.#activeAtMs = nowMs()
    this.#paths = new PeerPaths(context, node)
    this.#keys = new KeyAgreement(context)
    this.#lookups = new KeyLookups({ keys: context.keys, node, scope, tell })
    this.#reports = new PeerReports.PeerReports(node, context.report)
    this.#sizes = new PathSizes({
      send: (message, path) => this.#write(ControlMessage.sizeProbe(context.address, this.#paths.peer, message), path),
      socket: context.socket,
      tell
    })
    this.#checks = new PathChecks({
      ...{ context, node, paths: this.#paths, nowMs: nowMs(), tell },
      send: (packet) => this.#send(Packet.encode(packet)),
      seal: (packet) => this.#seal(packet),
      hasStreams: () => this.connections.hasOpen,
      measured: (path, rttMs) => this.connections.measured(path, rttMs),
      introductions: () => [this.#keys.exchange, this.#keys.request]
    })
    this.#tunnel = new Tunnel({ self: context.address.node, peer: node, config: context.tunnel })
    this.connections = new Connections({
      context,
      peer: node,
      transmit: (packets) => void tell({ _tag: "Send", packets }),
      gone: () => void tell(Message.ConnectionsGone()),
      vanished: (segmentBytes) => void tell(Message.SizeVanished({ segmentBytes })),
      nowMs
    })
  }

  get deadlineMs(): number {
    const checkAtMs = this.#checks.deadlineMs(this.connections.size > 0)
    return Math.min(this.#tunnel.deadlineMs, this.#sizes.deadlineMs, this.#activeAtMs + this.#idleLimitMs, checkAtMs)
  }

  receive(message: Message): Effect.Effect<void> | void {
    switch (message._tag) {
      case "Frames":
        return this.#receiveFrames(message.frames)
      case "Send":
        for (const packet of message.packets) this.#send(packet)
        // At once, and not when all of a turn is sealed: what leaves first is on its way meanwhile.
        return this.#act(this.#nowMs())
      case "LearnPath":
        return this.#learn(message.path)
      case "Connect":
        if (!this.hasOpened) this.#paths.punch(this.#nowMs())
        return this.#tunnel.connect(this.#nowMs())
      case "NetworkChanged":
        return this.#checks.networkChanged(message.isAnnounced, this.#nowMs())
      case "Birthday":
        return this.#checks.birthday.perform(message, this.#scope, this.#nowMs())
      case "Ping":
        return this.#ping(message.target, message.reply)
      case "KeyKnown":
        this.#lookups.answered()
        return message.key === undefined ? undefined : this.#verify(message.inbound, message.key)
      case "RenewKeys":
        this.#keys.renew()
        return this.#tunnel.agreementKeyRenewed(this.#nowMs())
      case "FindMtu":
      case "MtuKnown":
      case "SizeVanished":
        return this.#sizes.perform(message, this.#scope, this.#nowMs())
      default:
        return this.connections.perform(message, this.#scope)
    }
  }

  timeout(): Effect.Effect<void> | void {
    const nowMs = this.#nowMs()
    this.#tunnel.timeout(nowMs)
    this.#sizes.timeout(nowMs)
    this.flush()
    if (this.connections.size > 0) this.#activeAtMs = nowMs
    if (nowMs >= this.#activeAtMs + this.#idleLimitMs) return this.#idle
  }

  /** Performs what the tunnel asks for; runs at the end of every turn. */
  flush(): void {
    const nowMs = this.#nowMs()
    this.#act(nowMs)
    this.#paths.release(nowMs)
    this.#checks.run(this.connections.size > 0, nowMs)
    if (this.hasOpened) this.#reports.path(this.#paths.selector.current)
    if (this.hasOpened) this.connections.follow(this.#paths.selector.current)
    this.#sizes.follow(this.#paths.selector.proven, this.#capabilities, nowMs)
    this.connections.resize(this.#sizes.segmentBytes)
  }

  status(): PeerStatus {
    return {
      node: this.#node,
      ...PeerReports.place(this.#paths.selector, this.hasOpened, this.#context.beacon, this.#nowMs()),
      ...PeerReports.abilities(this.#tunnel),
      birthday: this.#checks.birthday.report(this.#nowMs()),
      encrypted: this.#tunnel.isReady,
      authenticated: this.hasOpened,
      rttMs: this.#pings.rttMs ?? this.connections.smoothedRttMs,
      publicKey: this.hasOpened ? this.#identityKey : undefined
    }
  }

  /** What was asked before by other paths is asked by this one, too. */
  #learn(path: Path.Path): void {
    if (this.#paths.selector.learn(path) && this.#tunnel.isAsking) this.#paths.write(this.#keys.exchange, path)
  }

  #receiveFrames(frames: ReadonlyArray<Inbound>): Effect.Effect<void> | void {
    let accepts: Array<Packet.Packet> | undefined
    let work: Effect.Effect<void> | undefined
    for (const inbound of frames) {
      this.#paths.selector.received(inbound.path, inbound.sizeBytes, this.#nowMs())
      const { frame } = inbound
      if (frame._tag === "Sealed") {
        const syn = this.#open({ frame, path: inbound.path, by: inbound.by })
        if (syn !== undefined) accepts = [...(accepts ?? []), syn]
      } else if (frame._tag === "KeyExchange") {
        work = this.#keyExchangeReceived(inbound, frame) ?? work
      } else if (frame._tag === "KeyRequest") {
        this.#tunnel.keyRequestReceived(inbound.path, this.#nowMs())
      }
    }
    this.connections.deliver()
    if (accepts === undefined) return work
    const accepting = Effect.forEach(accepts, (syn) => this.connections.accept(syn), { discard: true }).pipe(
      Scope.provide(this.#scope)
    )
    return work === undefined ? accepting : Effect.andThen(work, accepting)
  }

  /** Opens one frame and hands its packet on; an unknown SYN is returned. */
  #open({ by, frame, path }: Early): Packet.Packet | undefined {
    const nowMs = this.#nowMs()
    const { lives } = this.#tunnel
    const bytes = this.#tunnel.open(frame, path, nowMs)
    if (bytes === undefined) return this.hasOpened ? undefined : this.#early.keep({ frame, path })
    // Before the packet is handed on: it may open a stream under the name of an old one.
    if (lives > 0 && this.#tunnel.lives > lives) this.connections.peerRestarted()
    this.hasOpened = true
    // Before it is answered: by the same socket.
    if (by !== undefined) this.#checks.birthday.opened(by, nowMs)
    this.#activeAtMs = nowMs
    this.connections.heard(nowMs)
    const decoded = Packet.decode(bytes, NativeCrc32.update)
    this.#paths.selector.opened(path, nowMs, Result.isSuccess(decoded) ? openedBy(decoded.success) : "Data")
    if (Result.isFailure(decoded) || decoded.success.destination.node !== this.#context.address.node) {
      this.#context.report({ _tag: "PacketDropped", reason: "Malformed", peer: this.#node })
      return undefined
    }
    const packet = decoded.success
    if (packet.protocol === Packet.Protocol.Stream) return this.connections.receive(packet) ? packet : undefined
    if (packet.protocol === Packet.Protocol.Control) this.#receiveControl(packet, path, nowMs)
    else if (packet.protocol === Packet.Protocol.Datagram)
      PacketIntake.receiveDatagram(this.#context, this.#node, packet)
    return undefined
  }

  /** Answers pings of those who may know this node is here, and matches pongs (wire §12). */
  #receiveControl(packet: Packet.Packet, path: Path.Path, nowMs: number): void {
    if (this.#checks.probed(packet, path, nowMs)) return
    if ((packet.flags & Packet.Flag.Ack) !== 0) {
      this.#pings.answered(packet.destinationPort, nowMs)
      return
    }
    if (this.#tunnel.controlReceived(packet, nowMs)) {
      this.connections.announced(this.#tunnel.announcement?.capabilities ?? 0)
      this.#checks.announced(this.#capabilities)
      return
    }
    const message = ControlMessage.classify(packet)
    if (message._tag === "SizeProbed") return this.#sizes.received(message.probe, path, nowMs)
    if (this.#checks.told(message, nowMs)) return
    if (!this.#context.isTrusted(this.#node) && !this.#context.isPublic()) return
    const pong = ControlMessage.pong(packet, this.#context.address)
    if (pong !== undefined) this.#send(Packet.encode(pong))
  }

  #ping(target: SocketAddress["address"], reply: Deferred.Deferred<number>): void {
    const port = this.#pings.start(this.#context.crypto.randomBytes(2), reply, this.#nowMs())
    this.#send(Packet.encode(ControlMessage.ping(this.#context.address, target, port, new Uint8Array(0))))
  }

  #send(packet: Pieces): void {
    this.#activeAtMs = this.#nowMs()
    if (!this.#tunnel.send(packet, this.#activeAtMs)) {
      this.#context.report({ _tag: "PacketDropped", reason: "QueueFull", peer: this.#node })
    }
  }

  /** Cheap checks first; then the key this peer must show; then the signature (wire §6.2). */
  #keyExchangeReceived(inbound: Inbound, frame: TunnelFrame.KeyExchange): Effect.Effect<void> | undefined {
    if (this.#tunnel.keyExchangeReceived(frame, inbound.path, this.#nowMs()) === "ignore") return undefined
    const known = this.#context.keys.known(this.#node)
    return known === undefined ? this.#lookups.ask(inbound) : this.#verify(inbound, known)
  }

  #verify(inbound: Inbound, expectedKey: Uint8Array): Effect.Effect<void> | undefined {
    const { frame, path } = inbound
    if (frame._tag !== "KeyExchange") return undefined
    // Without a pin the registry may come to name another key; whoever holds it takes over no tunnel and no stream.
    const isOther =
      this.#identityKey !== undefined &&
      !Bytes.equals(this.#identityKey, expectedKey) &&
      !this.#context.follows(this.#node, this.#identityKey)
    const exchange = isOther ? "RegistryMismatch" : this.#keys.verify(frame, expectedKey)
    if (typeof exchange === "string") {
      this.#context.report({ _tag: "KeyRefused", peer: this.#node, reason: exchange })
      return exchange === "KeyChanged" ? this.#lookups.doubt(inbound, expectedKey, this.#nowMs()) : undefined
    }
    this.#identityKey = expectedKey
    this.#tunnel.keyExchangeVerified(exchange, path, this.#nowMs())
    for (const early of this.#early.take()) this.#open(early)
    return undefined
  }

  /** Performing one may ask for more: a renewed key has to be sent. */
  #act(nowMs: number): void {
    for (let due = this.#tunnel.drain(); due.length > 0; due = this.#tunnel.drain())
      for (const output of due) this.#perform(output, nowMs)
  }

  #perform(output: Output, nowMs: number): void {
    switch (output._tag) {
      case "Transmit":
        return this.#paths.transmit(output.frame, output.path, nowMs)
      case "SendKeyExchange":
        for (let copy = 0; copy < (output.isTwice ? 2 : 1); copy++)
          this.#paths.challenge(this.#keys.exchange, output.path)
        if (output.withKeyRequest) this.#paths.challenge(this.#keys.request, output.path)
        return
      case "RenewAgreementKey":
        this.#keys.renew()
        this.#tunnel.agreementKeyRenewed(nowMs)
        return
      case "Established":
        if (this.#identityKey !== undefined) {
          if (this.#tunnel.laterOnly) this.#context.laterOpened(this.#identityKey)
          this.#context.opened(this.#node, this.#identityKey)
        }
        this.#reports.established(output)
        return
      default:
        return this.#reports.noticed(output)
    }
  }

  /** Seals a packet for one path only. */
  #write(packet: Packet.Packet, path: Path.Path): void {
    const frame = this.#seal(packet)
    if (frame !== undefined) this.#paths.write(frame, path)
  }

  #seal(packet: Packet.Packet): Pieces | undefined {
    return this.#tunnel.seal(Packet.encode(packet, NativeCrc32.update), this.#nowMs())
  }

  /** What both ends have announced. */
  get #capabilities(): number {
    return (this.#tunnel.announcement?.capabilities ?? 0) & this.#context.tunnel.capabilities
  }

  /** Nothing comes back from the peer. */
  get isAway(): boolean {
    return this.#paths.selector.isAway(this.#nowMs())
  }

  get isRelayed(): boolean {
    return this.hasOpened && this.#paths.selector.current?.relayed === true
  }

  get #idleLimitMs(): number {
    return this.hasOpened ? IDLE_MS : UNPROVEN_MS
  }
}

/** A silent peer's keys are forgotten after this long without connections. */
const IDLE_MS = 600_000
/** The same for a peer of which nothing has opened yet. */
const UNPROVEN_MS = 45_000
