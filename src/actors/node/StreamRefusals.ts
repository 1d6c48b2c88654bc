/**
 * What a node answers by a reset and no stream of it stands behind: SYNs that it does not take, and packets of streams that it
 * does not know. One per peer.
 */
import type { Pieces } from "../../core/data/Bytes.ts"
import { ExpiringMap } from "../../core/data/ExpiringMap.ts"
import * as TokenBucket from "../../core/data/TokenBucket.ts"
import { SYN_LIFE_MS } from "../../protocol/stream/Handshake.ts"
import * as Segments from "../../protocol/stream/Segments.ts"
import type { StreamConfig } from "../../protocol/stream/StreamConfig.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import * as Packet from "../../protocol/wire/Packet.ts"
import type { ResetReason } from "../../protocol/wire/ResetReason.ts"
import * as NodeContext from "./NodeContext.ts"
import * as StreamPackets from "./StreamPackets.ts"

/** How what concerns streams reaches this peer, and the time. */
export interface Link {
  readonly context: NodeContext.NodeContext
  readonly peer: NodeId
  /** Hands whole packets to the tunnel; a full mailbox loses them, as the network would. */
  readonly transmit: (packets: ReadonlyArray<Pieces>) => void
  readonly nowMs: () => number
}

/** A SYN that was answered by a reset. */
interface Refused {
  readonly sequence: number
  readonly reason: ResetReason
}

/** Mutable, owned by the `Connections` of the peer, whose settings these are. */
export class StreamRefusals {
  readonly #link: Link
  readonly #config: StreamConfig
  readonly #disowned: TokenBucket.TokenBucket
  /** By the name of the connection that never was. */
  readonly #refused = new ExpiringMap<number, Refused>({ entriesMax: REFUSED_MAX, lifeMs: SYN_LIFE_MS })

  constructor(link: Link, config: StreamConfig) {
    this.#link = link
    this.#config = config
    this.#disowned = new TokenBucket.TokenBucket({ capacity: DISOWNED_MAX, perSecond: DISOWNED_MAX }, link.nowMs())
  }

  /** Resets a SYN. */
  refuse(key: number, syn: Packet.Packet, reason: ResetReason): void {
    this.#refused.set(key, { sequence: syn.sequence, reason }, this.#link.nowMs())
    this.#reset(syn, reason)
  }

  /**
   * Whether this SYN is a repeat of one that was refused; it is refused again, though the port may have a listener by now:
   * its dialler has given up. Of a peer that begins every stream at 0 nobody can tell.
   */
  repeated(key: number, syn: Packet.Packet): boolean {
    const refused = this.#refused.get(key, this.#link.nowMs())
    if (refused?.sequence !== syn.sequence || !this.#config.isPeerSequenceRandom) return false
    this.#reset(syn, refused.reason)
    return true
  }

  /**
   * A packet of a stream that is not known here, because this node has restarted or has given the stream up. A peer that
   * announced reasons is told (RFC 9293 §3.10.7.1); to any other an RST would mean too much (wire §9.4). Strangers hear
   * nothing (security rule 3).
   */
  disown(packet: Packet.Packet): void {
    const isAnswer = (packet.flags & Packet.Flag.Rst) !== 0 || (packet.flags & FIN_ACK) === FIN_ACK
    const { context, nowMs, peer } = this.#link
    if (isAnswer || !this.#config.hasResetReasons || !NodeContext.admits(context, peer, packet.destinationPort)) return
    if (this.#disowned.take(nowMs())) this.#reset(packet, "NoConnection")
  }

  #reset({ destinationPort, source, sourcePort }: Packet.Packet, reason: ResetReason): void {
    const rst = this.#config.hasResetReasons ? Segments.resetFor(reason) : Segments.reset
    const remote = { address: source, port: sourcePort }
    this.#link.transmit(StreamPackets.encode([rst], this.#link.context.address, destinationPort, remote))
  }
}

const FIN_ACK = Packet.Flag.Fin | Packet.Flag.Ack
/** Packets of unknown streams that are answered, per second and at once; one is enough to end such a stream. */
const DISOWNED_MAX = 32
/** Refused SYNs that are remembered, the newest. */
const REFUSED_MAX = 64
