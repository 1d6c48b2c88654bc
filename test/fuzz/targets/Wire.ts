/** The wire formats of nodes and beacons. */
import { Arbitrary, Result } from "effect"
import * as ByteReader from "../../../src/core/data/ByteReader.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Segments from "../../../src/protocol/stream/Segments.ts"
import * as PacketSource from "../../../src/protocol/tunnel/PacketSource.ts"
import * as Address from "../../../src/protocol/wire/Address.ts"
import * as Announcement from "../../../src/protocol/wire/Announcement.ts"
import * as BeaconMessage from "../../../src/protocol/wire/BeaconMessage.ts"
import * as BirthdayMessage from "../../../src/protocol/wire/BirthdayMessage.ts"
import * as ControlMessage from "../../../src/protocol/wire/ControlMessage.ts"
import * as NatProbe from "../../../src/protocol/wire/NatProbe.ts"
import * as Packet from "../../../src/protocol/wire/Packet.ts"
import * as PathOffer from "../../../src/protocol/wire/PathOffer.ts"
import * as PortMapMessage from "../../../src/protocol/wire/PortMapMessage.ts"
import * as ResetReason from "../../../src/protocol/wire/ResetReason.ts"
import * as SackBlocks from "../../../src/protocol/wire/SackBlocks.ts"
import * as SizeProbe from "../../../src/protocol/wire/SizeProbe.ts"
import * as TunnelFrame from "../../../src/protocol/wire/TunnelFrame.ts"
import * as Arb from "../../support/Arbitraries.ts"
import * as Corpus from "../Corpus.ts"
import * as Fuzzer from "../Fuzzer.ts"
import { assertStable } from "../Oracle.ts"

/** One reply of each kind, as routers send them. */
const PORT_MAP_REPLIES = [
  "0281000000001c20000000090000000000000000000000007477656c766520627974657311000000" +
    "0fa0afc800000000000000000000ffffc6336407",
  "0080000000000009c6336407",
  "00810000000000090fa0afc800001c20",
  "0081000100000009"
].flatMap((hex) => Bytes.fromHex(hex) ?? [])

/** A format with its writer: what is read can be written, and is the same when read again. */
const codec = <A>(options: {
  readonly name: string
  readonly decode: (bytes: Uint8Array) => Result.Result<A, unknown>
  readonly encode: (value: A) => Uint8Array
  readonly values: Arbitrary.Arbitrary<A>
  readonly covers?: ReadonlyArray<unknown>
  readonly check?: (value: A) => boolean
}): Fuzzer.Target => {
  const { check, decode, encode } = options
  return Fuzzer.decoder({
    name: options.name,
    covers: [decode, ...(options.covers ?? [])],
    samples: () => [
      ...Corpus.generated(options.values, encode),
      ...Corpus.vectorBytes((bytes) => Result.isSuccess(decode(bytes)))
    ],
    decode: (bytes) => {
      const decoded = assertStable(decode, encode, bytes)
      if (Result.isSuccess(decoded) && check?.(decoded.success) === false) throw new Error("a field has the wrong size")
      return decoded
    }
  })
}

/** What cryptography is given has the size it expects. */
const isWhole = (frame: TunnelFrame.TunnelFrame): boolean => {
  switch (frame._tag) {
    case "Sealed":
      return frame.nonce.length === TunnelFrame.NONCE_BYTES && frame.sealed.length >= 16
    case "KeyRequest":
      return frame.agreementKey.length === 32
    case "KeyExchange":
      return frame.agreementKey.length === 32 && frame.identityKey.length === 32 && frame.signature.length === 64
    default:
      return true
  }
}

/** The packet with its checksum made right, so that a mutation gets past it. */
const repaired = (bytes: Uint8Array): Uint8Array => {
  const padded = bytes.length < Packet.HEADER_BYTES ? Bytes.concat(bytes, new Uint8Array(Packet.HEADER_BYTES)) : bytes
  return Packet.encode({
    flags: padded[0]!,
    protocol: padded[1]!,
    source: Address.decodeAt(padded, 4),
    destination: Address.decodeAt(padded, 10),
    sourcePort: Address.Port(Bytes.readU16(padded, 16)),
    destinationPort: Address.Port(Bytes.readU16(padded, 18)),
    sequence: Bytes.readU32(padded, 20),
    acknowledgement: Bytes.readU32(padded, 24),
    window: Bytes.readU16(padded, 28),
    payload: padded.subarray(Packet.HEADER_BYTES)
  })
}

/** What a node does with each packet that opened. */
const dispatched = (bytes: Uint8Array): unknown => {
  const packet = Result.getOrThrow(Packet.decode(repaired(bytes)))
  return [
    ControlMessage.classify(packet),
    ControlMessage.pong(packet, Address.make(0, 1)),
    ControlMessage.isPathProbe(packet),
    ControlMessage.onlyMeasures(packet),
    Segments.blocksOf(packet.payload),
    ResetReason.decode(packet.payload),
    PacketSource.isFrom(bytes, Address.NodeId(1)),
    PacketSource.isChallenge(bytes)
  ]
}

/** Readers of fields: overruns are noticed, not read. */
const fields = (bytes: Uint8Array): unknown => {
  const reader = ByteReader.make(bytes)
  return [
    Address.read(reader),
    Address.readNodeId(reader),
    Address.readPort(reader),
    ByteReader.u64(reader),
    Bytes.readU64(bytes, 0),
    reader.isOverrun,
    ByteReader.rest(reader)
  ]
}

/** Every format of this file. */
export const targets: ReadonlyArray<Fuzzer.Target> = [
  codec({ name: "wire/Packet", decode: Packet.decode, encode: Packet.encode, values: Arb.packet }),
  codec({
    name: "wire/TunnelFrame",
    decode: TunnelFrame.decode,
    covers: [TunnelFrame.classify],
    check: isWhole,
    encode: TunnelFrame.encode,
    values: Arb.tunnelFrame
  }),
  codec({
    name: "wire/BeaconMessage",
    decode: BeaconMessage.decode,
    encode: BeaconMessage.encode,
    values: Arb.beaconMessage
  }),
  codec({
    name: "wire/Announcement",
    decode: Announcement.decode,
    encode: Announcement.encode,
    values: Arb.announcement
  }),
  Fuzzer.decoder({
    name: "wire/PortMapMessage",
    covers: [PortMapMessage.decode],
    samples: () => PORT_MAP_REPLIES,
    decode: PortMapMessage.decode
  }),
  codec({
    name: "wire/NatProbe",
    decode: NatProbe.decode,
    encode: NatProbe.encode,
    values: Arb.natProbe
  }),
  codec({
    name: "wire/BirthdayMessage",
    decode: BirthdayMessage.decode,
    encode: BirthdayMessage.encode,
    values: Arb.birthdayMessage
  }),
  codec({
    name: "wire/PathOffer",
    decode: PathOffer.decode,
    encode: PathOffer.encode,
    values: Arb.pathOffer,
    check: ({ places }) => places.length <= PathOffer.PLACES_MAX
  }),
  codec({
    name: "wire/SizeProbe",
    decode: SizeProbe.decode,
    encode: SizeProbe.encode,
    values: Arbitrary.map(
      Arbitrary.all({
        isProbe: Arb.element(true, false),
        token: Arb.unsigned(32),
        datagramBytes: Arb.integer(0, 1500)
      }),
      ({ isProbe, ...both }) => (isProbe ? SizeProbe.SizeProbe.Probe(both) : SizeProbe.SizeProbe.Answer(both))
    )
  }),
  Fuzzer.decoder({
    name: "wire/SackBlocks",
    covers: [SackBlocks.decode, Segments.blocksOf],
    samples: () => [
      ...Corpus.generated(Arbitrary.array(Arb.sackBlock, { maxLength: 5 }), SackBlocks.encode),
      ...Corpus.vectorBytes((bytes) => Result.isSuccess(SackBlocks.decode(bytes)))
    ],
    decode: (bytes) => Result.map(SackBlocks.decode(bytes), (blocks) => SackBlocks.normalize(blocks, 0))
  }),
  Fuzzer.decoder({
    name: "wire/dispatch",
    covers: [
      ControlMessage.classify,
      ResetReason.decode,
      Segments.blocksOf,
      PacketSource.isFrom,
      PacketSource.isChallenge
    ],
    samples: () => [
      ...Corpus.generated(Arb.packet, Packet.encode),
      ...Corpus.vectorBytes((bytes) => Result.isSuccess(Packet.decode(bytes)))
    ],
    decode: dispatched
  }),
  Fuzzer.decoder({
    name: "wire/fields",
    covers: [
      ...[Address.read, Address.readNodeId, Address.readPort, Address.decodeAt],
      ...[Bytes.readU16, Bytes.readU32, Bytes.readU64]
    ],
    samples: () => Corpus.generated(Arb.bytesOf(24), (bytes) => bytes),
    decode: fields
  })
]
