/**
 * Binds a packet to the tunnel it came through (wire §6.6): its source must be the node whose keys opened it, or any
 * peer could speak for any other.
 */
import * as Bytes from "../../core/data/Bytes.ts"
import type { NodeId } from "../wire/Address.ts"
import { PATH_PROBE } from "../wire/ControlMessage.ts"
import { HEADER_BYTES, Protocol } from "../wire/Packet.ts"

/** Whether a decrypted packet may come from `peer`. False also for what is too short to be a packet. */
export const isFrom = (packet: Uint8Array, peer: NodeId): boolean => {
  if (packet.length < HEADER_BYTES) return false
  const source = Bytes.readU32(packet, SOURCE_NODE)
  return source === peer || (source === 0 && isKeepalive(packet))
}

/** The one exception: an empty control packet to port 0, sent without a source by some later versions (wire §6.6). */
const isKeepalive = (packet: Uint8Array): boolean =>
  packet[PROTOCOL] === Protocol.Control &&
  Bytes.readU16(packet, PAYLOAD_LENGTH) === 0 &&
  Bytes.readU16(packet, DESTINATION_PORT) === 0

/** Whether a decrypted packet is the ping by which keys are asked to prove themselves. */
export const isChallenge = (packet: Uint8Array): boolean =>
  packet[PROTOCOL] === Protocol.Control && Bytes.equals(packet.subarray(HEADER_BYTES), PATH_PROBE)

/** Offsets into the header (wire §3). */
const PROTOCOL = 1
const PAYLOAD_LENGTH = 2
const SOURCE_NODE = 6
const DESTINATION_PORT = 18
