/**
 * One peer of a node whose operator has switched encryption off (wire §6.1): packets in clear, and nobody is who they say.
 * Exists for networks that protect themselves otherwise; a node with encryption on neither sends nor accepts any of it
 * (security rule 6).
 *
 * Owns the peer's `Connections` and the path its packets last came by. Told and telling as `TunnelActor` is.
 */
import { Clock, Effect, type Scope } from "effect"
import * as Actor from "../../core/actor/Actor.ts"
import type { ActorRef } from "../../core/actor/ActorRef.ts"
import * as MonotonicTime from "../../core/actor/MonotonicTime.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Path from "../../nat/Path.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import * as BeaconMessage from "../../protocol/wire/BeaconMessage.ts"
import * as ControlMessage from "../../protocol/wire/ControlMessage.ts"
import * as Packet from "../../protocol/wire/Packet.ts"
import * as TunnelFrame from "../../protocol/wire/TunnelFrame.ts"
import { Connections } from "./Connections.ts"
import type { NodeContext } from "./NodeContext.ts"
import * as PacketIntake from "./PacketIntake.ts"
import { type Inbound, Message, type Running } from "./PeerMessage.ts"
import { Pings } from "./Pings.ts"

/** Starts the actor in the surrounding scope. */
export const spawn = Effect.fnUntraced(function* (options: {
  readonly context: NodeContext
  readonly node: NodeId
  readonly idle: Effect.Effect<void>
}): Effect.fn.Return<Running, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const self: { ref: ActorRef<Message> | undefined; peer: PlainPeer | undefined } = { ref: undefined, peer: undefined }
  const ref = yield* Actor.spawn<Message, never, never>({
    name: `peer/${options.node}`,
    mailbox: { capacity: MAILBOX_CAPACITY, overflow: "dropNewest" },
    start: Effect.map(Effect.scope, (scope) => {
      const tell = (message: Message) => void self.ref?.tellUnsafe(message)
      const peer = new PlainPeer(options.context, options.node, scope, tell, () => MonotonicTime.nowMsUnsafe(clock))
      self.peer = peer
      return {
        receive: (message) => peer.receive(message),
        afterBatch: () => peer.connections.sweep(),
        deadlineMs: () => peer.activeAtMs + IDLE_MS,
        timerFired: () => (peer.connections.size > 0 ? peer.touch() : options.idle)
      }
    }),
    restart: { intensity: 3, periodMs: 10_000 }
  })
  self.ref = ref
  return {
    node: options.node,
    ref,
    status: () => ({
      node: options.node,
      endpoint: self.peer?.path?.endpoint,
      path: self.peer?.hasHeard !== true ? "none" : self.peer.path?.relayed === true ? "relay" : "direct",
      encrypted: false,
      authenticated: false,
      rttMs: self.peer?.pings.rttMs,
      publicKey: undefined
    }),
    connections: () => self.peer?.connections.status() ?? [],
    hasOpened: () => self.peer?.hasHeard ?? false,
    isAway: () => false,
    isBusy: () => false,
    isRelayed: () => self.peer?.path?.relayed === true
  }
})

/** One life of the actor. */
class PlainPeer {
  readonly connections: Connections
  readonly pings = new Pings()
  activeAtMs: number
  hasHeard = false
  path: Path.Path | undefined
  readonly #context: NodeContext
  readonly #node: NodeId
  readonly #scope: Scope.Scope
  readonly #nowMs: () => number

  constructor(
    context: NodeContext,
    node: NodeId,
    scope: Scope.Scope,
    tell: (message: Message) => void,
    nowMs: () => number
  ) {
    this.#context = context
    this.#node = node
    this.#scope = scope
    this.#nowMs = nowMs
    this.activeAtMs = nowMs()
    this.path = context.beacon === undefined ? undefined : Path.relay
    this.connections = new Connections({
      context,
      peer: node,
      transmit: (packets) => tell(Message.Send({ packets })),
      gone: () => tell(Message.ConnectionsGone()),
      nowMs
    })
  }

  touch(): void {
    this.activeAtMs = this.#nowMs()
  }

  receive(message: Message): Effect.Effect<void> | void {
    switch (message._tag) {
      case "Frames":
        return this.#receiveFrames(message.frames)
      case "Send":
        for (const packet of message.packets) this.#send(Bytes.join(packet))
        return
      case "LearnPath":
        if (!this.hasHeard) this.path = message.path
        return
      case "Ping": {
        const port = this.pings.start(this.#context.crypto.randomBytes(2), message.reply, this.#nowMs())
        return this.#send(Packet.encode(ControlMessage.ping(this.#context.address, message.target, port, EMPTY)))
      }
      case "Connect":
        return this.#punch()
      case "FindMtu":
      case "MtuKnown":
      case "SizeVanished":
      case "KeyKnown":
      case "NetworkChanged":
      case "RenewKeys":
      case "Birthday":
        return
      default:
        return this.connections.perform(message, this.#scope)
    }
  }

  #receiveFrames(frames: ReadonlyArray<Inbound>): Effect.Effect<void> | void {
    const packets: Array<Uint8Array> = []
    for (const { frame, path } of frames) {
      if (frame._tag !== "Plain") continue
      this.path = path
      this.hasHeard = true
      packets.push(frame.packet)
    }
    this.touch()
    return PacketIntake.deliver(
      {
        context: this.#context,
        peer: this.#node,
        connections: this.connections,
        scope: this.#scope,
        answer: (packet) => this.#send(packet),
        pong: (packet) => this.pings.answered(packet.destinationPort, this.#nowMs())
      },
      packets
    )
  }

  /** Asks the peer, through the beacon, to open its translator for us (rendezvous §8). */
  #punch(): void {
    const { address, beacon, socket } = this.#context
    if (beacon !== undefined) socket.send(BeaconMessage.encodePunchRequest(address.node, this.#node), beacon)
  }

  #send(packet: Uint8Array): void {
    this.touch()
    const { address, beacon, socket } = this.#context
    const frame = TunnelFrame.encode({ _tag: "Plain", packet })
    if (this.path?.endpoint !== undefined) socket.send(frame, this.path.endpoint)
    else if (beacon !== undefined) socket.send(BeaconMessage.encodeRelay(address.node, this.#node, frame), beacon)
  }
}

const EMPTY = new Uint8Array(0)
const MAILBOX_CAPACITY = 1024
/** A silent peer is forgotten after this long without connections. */
const IDLE_MS = 600_000
