/** Segments of a stream as packets, ready to be sealed. */
import * as NativeCrc32 from "../../core/crypto/NativeCrc32.ts"
import type { Pieces } from "../../core/data/Bytes.ts"
import type { Address, Port, SocketAddress } from "../../protocol/wire/Address.ts"
import * as Packet from "../../protocol/wire/Packet.ts"

/** All in one array, because one per packet would cost more than writing them; large payloads stay where they are. */
export const encode = (
  segments: ReadonlyArray<Packet.Segment>,
  source: Address,
  sourcePort: Port,
  remote: SocketAddress
): ReadonlyArray<Pieces> => {
  let sizeBytes = 0
  for (const { payload } of segments)
    sizeBytes += Packet.HEADER_BYTES + (payload.length < APART_BYTES_MIN ? payload.length : 0)
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
      source,
      destination: remote.address,
      sourcePort,
      destinationPort: remote.port
    }
    const start = end
    if (payload.length < APART_BYTES_MIN) {
      end += Packet.encodeInto(packet, bytes, start, NativeCrc32.update)
      return bytes.subarray(start, end)
    }
    end += Packet.HEADER_BYTES
    Packet.encodeHeaderInto(packet, bytes, start, NativeCrc32.update)
    return [bytes.subarray(start, end), payload]
  })
}

/** From here on a copy of a payload costs more than a datagram in pieces. */
const APART_BYTES_MIN = 8192
