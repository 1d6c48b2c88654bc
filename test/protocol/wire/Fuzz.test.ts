import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Result } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Json from "../../../src/core/data/Json.ts"
import * as Address from "../../../src/protocol/wire/Address.ts"
import * as Announcement from "../../../src/protocol/wire/Announcement.ts"
import * as BeaconMessage from "../../../src/protocol/wire/BeaconMessage.ts"
import * as ControlMessage from "../../../src/protocol/wire/ControlMessage.ts"
import * as HandshakeMessage from "../../../src/protocol/wire/HandshakeMessage.ts"
import * as IpcReply from "../../../src/protocol/wire/IpcReply.ts"
import * as IpcRequest from "../../../src/protocol/wire/IpcRequest.ts"
import * as LengthPrefix from "../../../src/protocol/wire/LengthPrefix.ts"
import * as Packet from "../../../src/protocol/wire/Packet.ts"
import * as RegistryMessage from "../../../src/protocol/wire/RegistryMessage.ts"
import * as RegistryReply from "../../../src/protocol/wire/RegistryReply.ts"
import * as RegistryRequest from "../../../src/protocol/wire/RegistryRequest.ts"
import * as SackBlocks from "../../../src/protocol/wire/SackBlocks.ts"
import * as TunnelFrame from "../../../src/protocol/wire/TunnelFrame.ts"
import * as Arb from "../../support/Arbitraries.ts"
import * as Fuzzer from "../../support/Fuzzer.ts"

/** More in a long run: `FUZZ_RUNS=1000000`; another run: `FUZZ_SEED=…`. */
const RUNS = Number(process.env["FUZZ_RUNS"] ?? 4000)
const SEED = Number(process.env["FUZZ_SEED"] ?? 20_260_214)

interface Target {
  readonly samples: Arbitrary.Arbitrary<Uint8Array>
  readonly decode: (bytes: Uint8Array) => unknown
}

const target = <A>(
  samples: Arbitrary.Arbitrary<A>,
  encode: (value: A) => Uint8Array,
  decode: (bytes: Uint8Array) => unknown
): Target => ({ samples: Arbitrary.map(samples, encode), decode })

const afterPrefix = (frame: Uint8Array) => frame.subarray(LengthPrefix.PREFIX_BYTES)

/** Decoded, and encoded again if that worked: what was accepted can be passed on. */
const through =
  <A>(decode: (bytes: Uint8Array) => Result.Result<A, unknown>, encode: (value: A) => Uint8Array) =>
  (bytes: Uint8Array): unknown => {
    const decoded = decode(bytes)
    return Result.isSuccess(decoded) ? encode(decoded.success) : decoded
  }

/** A packet with its checksum repaired, so that mutations get past it. */
const repaired = (bytes: Uint8Array): Uint8Array => {
  if (bytes.length < Packet.HEADER_BYTES) return bytes
  const part = Bytes.copy(bytes)
  const decoded = Packet.decode(
    Packet.encode({
      flags: part[0]!,
      protocol: part[1]!,
      source: Address.decodeAt(part, 4),
      destination: Address.decodeAt(part, 10),
      sourcePort: Address.Port(Bytes.readU16(part, 16)),
      destinationPort: Address.Port(Bytes.readU16(part, 18)),
      sequence: Bytes.readU32(part, 20),
      acknowledgement: Bytes.readU32(part, 24),
      window: Bytes.readU16(part, 28),
      payload: part.subarray(Packet.HEADER_BYTES)
    })
  )
  return Packet.encode(Result.getOrThrow(decoded))
}

const readReplies = (object: Json.JsonObject) => [
  RegistryReply.registered(object),
  RegistryReply.lookedUp(object),
  RegistryReply.resolved(object),
  RegistryReply.resolvedHostname(object),
  RegistryReply.polled(object),
  RegistryReply.punchEndpoints(object),
  RegistryMessage.failureText(object)
]

const NODE = { node_id: 2, address: "0:0000.0000.0002" }
const INBOX = [{ from_node_id: 1, justification: "x", accept: true, timestamp: 5 }]
const REPLIES: ReadonlyArray<Json.JsonObject> = [
  { ...NODE, type: "register_ok", observed_addr: "[2001:db8::1]:4000", protocol_version: 1 },
  {
    ...NODE,
    type: "lookup_ok",
    public_key: "A".repeat(43).concat("="),
    networks: [0, 5],
    tags: ["a"],
    real_addr: "1.2.3.4:5"
  },
  { node_id: 2, type: "resolve_ok", real_addr: "1.2.3.4:5", lan_addrs: ["10.0.0.1:1", "[::1]:2"], relay_only: true },
  { type: "poll_handshakes_ok", requests: INBOX, responses: INBOX },
  { type: "punch_ok", node_a_addr: "1.2.3.4:5", node_b_addr: "[::ffff:1.2.3.4]:5", error: "x" }
]

const TARGETS: Readonly<Record<string, Target>> = {
  Packet: target(Arb.packet, Packet.encode, through(Packet.decode, Packet.encode)),
  "Packet behind its checksum": target(Arb.packet, Packet.encode, (bytes) =>
    Result.map(Packet.decode(repaired(bytes)), (packet) => [
      ControlMessage.classify(packet)._tag,
      ControlMessage.pong(packet, Address.make(0, 1))
    ])
  ),
  TunnelFrame: target(Arb.tunnelFrame, TunnelFrame.encode, through(TunnelFrame.decode, TunnelFrame.encode)),
  BeaconMessage: target(Arb.beaconMessage, BeaconMessage.encode, through(BeaconMessage.decode, BeaconMessage.encode)),
  SackBlocks: target(Arbitrary.array(Arb.sackBlock, { maxLength: 5 }), SackBlocks.encode, (bytes) =>
    Result.map(SackBlocks.decode(bytes), (blocks) => SackBlocks.normalize(blocks, 0))
  ),
  Announcement: target(Arb.announcement, Announcement.encode, through(Announcement.decode, Announcement.encode)),
  IpcRequest: target(
    Arb.ipcRequest,
    (request) => afterPrefix(IpcRequest.encode(request)),
    through(IpcRequest.decode, IpcRequest.encode)
  ),
  IpcReply: target(
    Arb.ipcReply,
    (reply) => afterPrefix(IpcReply.encode(reply)),
    through(IpcReply.decode, IpcReply.encode)
  ),
  RegistryRequest: target(
    Arb.registryRequest,
    (request) => afterPrefix(RegistryMessage.encodeOrdered(RegistryRequest.toObject(request))),
    through(RegistryMessage.decode, (object) =>
      RegistryMessage.encode(RegistryRequest.toObject(RegistryRequest.fromObject(object)))
    )
  ),
  RegistryReply: target(
    Arb.element(...REPLIES),
    (reply) => Bytes.fromUtf8(JSON.stringify(reply)),
    (bytes) => Result.map(RegistryMessage.decode(bytes), readReplies)
  ),
  HandshakeMessage: target(
    Arb.handshakeMessage,
    HandshakeMessage.encode,
    through(HandshakeMessage.decode, HandshakeMessage.encode)
  ),
  Json: target(
    Arb.json,
    (value) => Bytes.fromUtf8(JSON.stringify(value)),
    (bytes) => Json.parse(Bytes.toUtf8Lossy(bytes))
  ),
  LengthPrefix: target(
    Arb.bytes(60),
    (body) => LengthPrefix.encode(body),
    (bytes) => {
      const splitter = new LengthPrefix.Splitter(1_048_576)
      const first = splitter.push(Bytes.copy(bytes))
      return [first, splitter.push(Bytes.copy(bytes)), splitter.heldBytes]
    }
  ),
  "Address text": target(
    Arb.address,
    (address) => Bytes.fromUtf8(`${Address.format(address)}:80`),
    (bytes) => [Address.parse(Bytes.toUtf8Lossy(bytes)), Address.parseSocket(Bytes.toUtf8Lossy(bytes))]
  )
}

describe("every decoder takes any bytes", () => {
  for (const [name, { decode, samples }] of Object.entries(TARGETS))
    it.effect(`${name} neither throws nor outgrows its input (seed ${SEED})`, () =>
      Effect.gen(function* () {
        const valid = yield* Arbitrary.sampleEffect(samples, { count: 200, seed: SEED })

        assert.isAbove(valid.length, 0)
        Fuzzer.run({ seed: SEED, runs: RUNS, samples: valid, decode })
      })
    )
})
