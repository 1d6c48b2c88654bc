/**
 * Control packets (wire §12, §15.2, §17): protocol 3, told apart by ports and the ACK flag.
 *
 * ```
 * Ping          no ACK, to port 0, any sequence and payload      Keepalive     no ACK, ports 0 and 0, empty, destination 0
 * Pong          ACK, from port 0 to the ping's source port       Announcement  no ACK, ports 1 and 1
 * Size probe    no ACK, ports 1 and 1                            Path offer    no ACK, ports 1 and 1
 * Birthday      no ACK, ports 1 and 1
 * ```
 */
import { type Data, Result } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Address from "./Address.ts"
import * as Announcement from "./Announcement.ts"
import * as BirthdayMessage from "./BirthdayMessage.ts"
import { Flag, type Packet, Protocol } from "./Packet.ts"
import * as PathOffer from "./PathOffer.ts"
import * as SizeProbe from "./SizeProbe.ts"

/** What a control packet is; `Ignored` covers all that no version defines. */
export type ControlMessage = Data.TaggedEnum<{
  /** To be answered with `pong`. */
  Ping: { readonly packet: Packet }
  /** The answer to a ping sent from `port`; never answered itself. */
  Pong: { readonly port: Address.Port; readonly sequence: number; readonly payload: Uint8Array }
  /** Keeps a NAT open and wants no answer. */
  Keepalive: { readonly source: Address.Address }
  Announced: { readonly announcement: Announcement.Announcement }
  /** Asks, or tells, that a datagram of some size arrived. */
  SizeProbed: { readonly probe: SizeProbe.SizeProbe }
  /** Where the peer may be reached. */
  PathOffered: { readonly offer: PathOffer.PathOffer }
  /** About guessing each other's ports. */
  BirthdayTold: { readonly message: BirthdayMessage.BirthdayMessage }
  Ignored: { readonly source: Address.Address }
}>

/** Sorts a packet of protocol Control. */
export const classify = (packet: Packet): ControlMessage => {
  // Two nodes of the reference answer each other's pongs for ever; a packet with ACK is never a ping (wire §12).
  if ((packet.flags & Flag.Ack) !== 0)
    return { _tag: "Pong", port: packet.destinationPort, sequence: packet.sequence, payload: packet.payload }
  if (packet.destinationPort === PING_PORT)
    return isKeepalive(packet) ? { _tag: "Keepalive", source: packet.source } : { _tag: "Ping", packet }
  if (packet.destinationPort === Announcement.PORT) {
    const decoded = Announcement.decode(packet.payload)
    if (Result.isSuccess(decoded)) return { _tag: "Announced", announcement: decoded.success }
    const probe = SizeProbe.decode(packet.payload)
    if (Result.isSuccess(probe)) return { _tag: "SizeProbed", probe: probe.success }
    const offer = PathOffer.decode(packet.payload)
    if (Result.isSuccess(offer)) return { _tag: "PathOffered", offer: offer.success }
    const birthday = BirthdayMessage.decode(packet.payload)
    if (Result.isSuccess(birthday)) return { _tag: "BirthdayTold", message: birthday.success }
  }
  return { _tag: "Ignored", source: packet.source }
}

/**
 * A ping. `sourcePort` must not be 0 if an answer is wanted: a pong to port 0 is taken for a ping by the reference
 * (wire §12).
 */
export const ping = (
  source: Address.Address,
  destination: Address.Address,
  sourcePort: Address.Port,
  payload: Uint8Array,
  sequence = 0
): Packet => ({ ...control(source, destination, sourcePort, PING_PORT), sequence, payload })

/**
 * The answer to a ping, or `undefined` for anything that is none. It comes from the address that was pinged, or from
 * `own` when the ping named no node (wire §15.2).
 */
export const pong = (packet: Packet, own: Address.Address): Packet | undefined => {
  if (packet.protocol !== Protocol.Control || classify(packet)._tag !== "Ping") return undefined
  const source = packet.destination.node === 0 ? own : packet.destination
  return {
    ...control(source, packet.source, PING_PORT, packet.sourcePort),
    flags: Flag.Ack,
    sequence: packet.sequence,
    acknowledgement: (packet.sequence + 1) >>> 0,
    payload: packet.payload
  }
}

/** Asks along one path whether it works, as the later reference does; answered like a ping, to port 0. */
export const pathProbe = (source: Address.Address, destination: Address.Address): Packet => ({
  ...control(source, destination, PING_PORT, PING_PORT),
  payload: PATH_PROBE
})

/**
 * The same with a number by which its answer is known, from 1 to 2^31 - 1. `onlyMeasures`: the peer is to learn nothing
 * about where this node is from the way the probe took.
 */
export const numbered = (probe: Packet, number: number, onlyMeasures: boolean): Packet => ({
  ...probe,
  sequence: onlyMeasures ? (number | MEASURES) >>> 0 : number
})

/** Whether a ping, or the answer to one, is a path probe (wire §15.2). */
export const isPathProbe = (packet: Packet): boolean =>
  packet.protocol === Protocol.Control && Bytes.equals(packet.payload, PATH_PROBE)

/** Whether it is one that only measures. */
export const onlyMeasures = (packet: Packet): boolean => (packet.sequence & MEASURES) !== 0 && isPathProbe(packet)

/** Keeps a NAT mapping open; receivers drop it (wire §15.2). */
export const keepalive = (source: Address.Address): Packet => control(source, Address.make(0, 0), PING_PORT, PING_PORT)

/** Says what this node can do (wire §17). */
export const announcement = (
  source: Address.Address,
  destination: Address.Address,
  announced: Announcement.Announcement
): Packet => ours(source, destination, Announcement.encode(announced))

/** Asks or tells which datagrams arrive. */
export const sizeProbe = (source: Address.Address, destination: Address.Address, probe: SizeProbe.SizeProbe): Packet =>
  ours(source, destination, SizeProbe.encode(probe))

/** Tells where this node may be reached. */
export const pathOffer = (source: Address.Address, destination: Address.Address, offer: PathOffer.PathOffer): Packet =>
  ours(source, destination, PathOffer.encode(offer))

/** Agrees on birthday probing. */
export const birthday = (
  source: Address.Address,
  destination: Address.Address,
  message: BirthdayMessage.BirthdayMessage
): Packet => ours(source, destination, BirthdayMessage.encode(message))

const ours = (source: Address.Address, destination: Address.Address, payload: Uint8Array): Packet => ({
  ...control(source, destination, Announcement.PORT, Announcement.PORT),
  payload
})

const control = (
  source: Address.Address,
  destination: Address.Address,
  sourcePort: Address.Port,
  destinationPort: Address.Port
): Packet => ({
  flags: 0,
  protocol: Protocol.Control,
  source,
  destination,
  sourcePort,
  destinationPort,
  sequence: 0,
  acknowledgement: 0,
  window: 0,
  payload: Bytes.empty
})

const isKeepalive = (packet: Packet): boolean =>
  packet.sourcePort === 0 && packet.payload.length === 0 && Address.isUnspecified(packet.destination)

const PING_PORT = Address.Port(0)
/** In the sequence number of a probe: it only measures. */
const MEASURES = 0x8000_0000
/** Payload of a path probe (wire §15.2). */
export const PATH_PROBE = Bytes.fromUtf8("pathprobe.v1")
