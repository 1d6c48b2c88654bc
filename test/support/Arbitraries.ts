/** Generators of bytes, numbers and wire values, steered towards the edges of their ranges. */
import { Arbitrary, Schema } from "effect"
import * as Bytes from "../../src/core/data/Bytes.ts"
import type * as Endpoint from "../../src/core/data/Endpoint.ts"
import * as IpAddress from "../../src/core/data/IpAddress.ts"
import type { Json, JsonObject } from "../../src/core/data/Json.ts"
import * as Address from "../../src/protocol/wire/Address.ts"
import type { Announcement } from "../../src/protocol/wire/Announcement.ts"
import type { BeaconMessage } from "../../src/protocol/wire/BeaconMessage.ts"
import type * as BirthdayMessage from "../../src/protocol/wire/BirthdayMessage.ts"
import * as FileStream from "../../src/protocol/wire/FileStream.ts"
import type { HandshakeMessage } from "../../src/protocol/wire/HandshakeMessage.ts"
import type { Answered, IpcReply } from "../../src/protocol/wire/IpcReply.ts"
import type { IpcRequest } from "../../src/protocol/wire/IpcRequest.ts"
import type { NatProbe } from "../../src/protocol/wire/NatProbe.ts"
import type { Packet } from "../../src/protocol/wire/Packet.ts"
import type * as PathOffer from "../../src/protocol/wire/PathOffer.ts"
import type { RegistryRequest } from "../../src/protocol/wire/RegistryRequest.ts"
import type { SackBlock } from "../../src/protocol/wire/SackBlocks.ts"
import type { TunnelFrame } from "../../src/protocol/wire/TunnelFrame.ts"

/** A whole number within bounds. */
export const integer = (minimum: number, maximum: number): Arbitrary.Arbitrary<number> =>
  Arbitrary.map(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum }))), (value) => value + 0)

/** One of the given arbitraries, each as likely. */
export const oneOf = <A>(...choices: ReadonlyArray<Arbitrary.Arbitrary<A>>): Arbitrary.Arbitrary<A> =>
  Arbitrary.flatMap(integer(0, choices.length - 1), (index) => choices[index]!)

/** One of the given values, each as likely. */
export const element = <const A>(...values: ReadonlyArray<A>): Arbitrary.Arbitrary<A> =>
  Arbitrary.map(integer(0, values.length - 1), (index) => values[index]!)

/** An unsigned integer of so many bits; half of the time beside a power of two or a border. */
export const unsigned = (bits: 8 | 16 | 32): Arbitrary.Arbitrary<number> => {
  const maximum = 2 ** bits - 1
  const edges = [0, 1, 2, 2 ** (bits - 1) - 1, 2 ** (bits - 1), 2 ** (bits - 1) + 1, maximum - 1, maximum]
  return oneOf(integer(0, maximum), element(...edges))
}

/** Up to `sizeMax` bytes. */
export const bytes = (sizeMax: number): Arbitrary.Arbitrary<Uint8Array> =>
  Arbitrary.map(Arbitrary.array(integer(0, 255), { maxLength: sizeMax }), (array) => Uint8Array.from(array))

/** Exactly so many bytes. */
export const bytesOf = (sizeBytes: number): Arbitrary.Arbitrary<Uint8Array> =>
  Arbitrary.map(integer(0, 0xffffffff), (seed) => {
    let state = seed | 1
    return Uint8Array.from({ length: sizeBytes }, () => {
      state = Math.imul(state, 1664525) + 1013904223
      return state >>> 24
    })
  })

/** A message of a file in chunks; of the few ids, sizes and offsets that meet each other. */
export const fileStream: Arbitrary.Arbitrary<FileStream.FileStream> = Arbitrary.flatMap(
  Arbitrary.all({ tag: integer(0, 6), seed: integer(0, 2), offset: element(0, 1, 5, 10, 2 ** 40), bytes: bytes(12) }),
  ({ bytes: content, offset, seed, tag }) => {
    const digest = new Uint8Array(32).fill(seed)
    const id = digest.subarray(0, FileStream.ID_BYTES)
    const file = { sizeBytes: offset, digest, chunkBytes: 10, name: `name-${seed}` }
    const messages: ReadonlyArray<FileStream.FileStream> = [
      { _tag: "Init", id, file },
      { _tag: "Chunk", id, offset, bytes: content },
      { _tag: "Ack", id, offset },
      { _tag: "Done", id },
      { _tag: "InitAck", id, offset },
      { _tag: "Complete", id, isStored: seed === 0, text: "text" },
      { _tag: "Abort", id, text: "text" }
    ]
    return Arbitrary.map(integer(0, 0), () => messages[tag]!)
  }
)

/** Any text, with characters that writers escape. */
export const text: Arbitrary.Arbitrary<string> = oneOf(
  Arbitrary.schema(Schema.String),
  Arbitrary.map(
    Arbitrary.array(element("a", "B", "0", " ", "<", ">", "&", '"', "\\", "\n", "\u0000", "\u2028", "é", "𝄞", "/")),
    (characters) => characters.join("")
  )
)

/** Any node id. */
export const nodeId: Arbitrary.Arbitrary<Address.NodeId> = Arbitrary.map(unsigned(32), Address.NodeId)

/** Any port. */
export const port: Arbitrary.Arbitrary<Address.Port> = Arbitrary.map(unsigned(16), Address.Port)

/** Any address. */
export const address: Arbitrary.Arbitrary<Address.Address> = Arbitrary.map(
  Arbitrary.all({ network: unsigned(16), node: unsigned(32) }),
  ({ network, node }) => Address.make(network, node)
)

/** An IPv4 or IPv6 endpoint in its canonical spelling, with runs of zero groups. */
export const endpoint: Arbitrary.Arbitrary<Endpoint.Endpoint> = Arbitrary.map(
  Arbitrary.all({
    host: oneOf(
      bytesOf(4),
      bytesOf(16),
      Arbitrary.map(bytesOf(16), (host) => host.fill(0, host[0]! % 16))
    ),
    port: unsigned(16)
  }),
  ({ host, port }) => ({ host: IpAddress.format(host) ?? "", port })
)

/** Where a node says it may be reached. */
export const pathOffer: Arbitrary.Arbitrary<PathOffer.PathOffer> = Arbitrary.all({
  round: unsigned(8),
  heard: unsigned(8),
  places: Arbitrary.array(Arbitrary.all({ kind: element("host", "reflexive", "mapped", "sequential"), endpoint }), {
    maxLength: 6
  })
})

/** What two nodes say to each other about guessing ports. */
export const birthdayMessage: Arbitrary.Arbitrary<BirthdayMessage.BirthdayMessage> =
  oneOf<BirthdayMessage.BirthdayMessage>(
    Arbitrary.all({ _tag: element("Asked", "Agreed"), round: unsigned(8), place: endpoint }),
    Arbitrary.all({
      _tag: element("Declined"),
      round: unsigned(8),
      reason: element("NotPredictable", "NotNow", "Busy", "Limited", "Unplaced")
    }),
    Arbitrary.all({ _tag: element("Opened"), round: unsigned(8), sockets: unsigned(16) }),
    Arbitrary.all({ _tag: element("Ended"), round: unsigned(8), probes: unsigned(16) })
  )

/** Any packet of version 1, with payloads that look like SACK or announcements among them. */
export const packet: Arbitrary.Arbitrary<Packet> = Arbitrary.all({
  flags: integer(0, 15),
  protocol: oneOf(element(1, 2, 3), unsigned(8)),
  source: address,
  destination: address,
  sourcePort: port,
  destinationPort: port,
  sequence: unsigned(32),
  acknowledgement: unsigned(32),
  window: unsigned(16),
  payload: oneOf(
    bytes(80),
    Arbitrary.map(bytes(40), (rest) => Bytes.concat(Bytes.fromUtf8("SACK"), rest)),
    Arbitrary.map(bytes(40), (rest) => Bytes.concat(Bytes.fromUtf8("EPX"), rest))
  )
})

/** Any tunnel frame. */
export const tunnelFrame: Arbitrary.Arbitrary<TunnelFrame> = oneOf<TunnelFrame>(
  Arbitrary.map(bytesOf(50), (packet) => ({ _tag: "Plain", packet })),
  Arbitrary.map(Arbitrary.all({ sender: nodeId, nonce: bytesOf(12), body: bytes(64), tag: bytesOf(16) }), (parts) => ({
    _tag: "Sealed",
    sender: parts.sender,
    nonce: parts.nonce,
    sealed: Bytes.concat(parts.body, parts.tag)
  })),
  Arbitrary.map(Arbitrary.all({ sender: nodeId, agreementKey: bytesOf(32) }), (parts) => ({
    _tag: "KeyRequest",
    ...parts
  })),
  Arbitrary.map(
    Arbitrary.all({ sender: nodeId, agreementKey: bytesOf(32), identityKey: bytesOf(32), signature: bytesOf(64) }),
    (parts) => ({ _tag: "KeyExchange", ...parts })
  ),
  Arbitrary.Constant<TunnelFrame>({ _tag: "Punch" })
)

/** Text that survives UTF-8. */
export const utf8: Arbitrary.Arbitrary<string> = Arbitrary.map(text, (value) => value.toWellFormed())

/** Any JSON value of small depth. */
export const json: Arbitrary.Arbitrary<Json> = (() => {
  const leaf = oneOf<Json>(utf8, integer(-1000, 1000), element<Json>(true, false, null, 0.5, 1e21))
  const branch = (inner: Arbitrary.Arbitrary<Json>): Arbitrary.Arbitrary<Json> =>
    oneOf<Json>(
      inner,
      Arbitrary.array(inner, { maxLength: 4 }),
      Arbitrary.map(Arbitrary.array(Arbitrary.all([utf8, inner]), { maxLength: 4 }), (members) =>
        Object.fromEntries(members.filter(([key]) => key !== "__proto__"))
      )
    )
  return branch(branch(leaf))
})()

/** Any JSON object. */
export const jsonObject: Arbitrary.Arbitrary<JsonObject> = Arbitrary.map(
  Arbitrary.array(Arbitrary.all([utf8, json]), { maxLength: 4 }),
  (members) => Object.fromEntries(members.filter(([key]) => key !== "__proto__"))
)

/** A value with its tag. */
const tagged = <const Tag extends string, const Fields extends Readonly<Record<string, Arbitrary.Arbitrary<unknown>>>>(
  tag: Tag,
  fields: Fields
) => Arbitrary.map(Arbitrary.all(fields), (values) => ({ _tag: tag, ...values }))

const optional = <A>(item: Arbitrary.Arbitrary<A>): Arbitrary.Arbitrary<A | undefined> =>
  oneOf<A | undefined>(item, Arbitrary.Constant(undefined))

/** Any beacon message. */
export const beaconMessage: Arbitrary.Arbitrary<BeaconMessage> = oneOf<BeaconMessage>(
  tagged("Discover", { node: nodeId, identityKey: optional(bytesOf(32)) }),
  tagged("DiscoverReply", { endpoint }),
  tagged("PunchRequest", {
    requester: nodeId,
    target: nodeId,
    grant: optional(Arbitrary.all({ expirySeconds: integer(0, Number.MAX_SAFE_INTEGER), signature: bytesOf(64) }))
  }),
  tagged("PunchCommand", { endpoint }),
  tagged("Relay", { sender: nodeId, destination: nodeId, frame: bytes(40) }),
  tagged("RelayDeliver", { sender: nodeId, frame: bytes(40) }),
  tagged("Sync", { beacon: unsigned(32), nodes: Arbitrary.array(nodeId, { maxLength: 9 }) }),
  tagged("DiscoverExtended", { node: nodeId, identityKey: optional(bytesOf(32)) }),
  tagged("RelayDeliverTo", { sender: nodeId, destination: nodeId, frame: bytes(40) }),
  tagged("Notification", { kind: unsigned(8) })
)

/** Any question about a translator, and any answer. */
export const natProbe: Arbitrary.Arbitrary<NatProbe> = oneOf<NatProbe>(
  tagged("ProbeRequest", {
    nonce: bytesOf(8),
    from: element("Same", "OtherPort", "OtherHost"),
    proof: optional(Arbitrary.all({ endpoint, cookie: bytesOf(12) }))
  }),
  tagged("ProbeReply", {
    nonce: bytesOf(8),
    from: element("Same", "OtherPort", "OtherHost"),
    cookie: bytesOf(12),
    seen: endpoint,
    otherPort: unsigned(16),
    otherHost: optional(endpoint)
  })
)

/** Any block, reversed and empty ones included. */
export const sackBlock: Arbitrary.Arbitrary<SackBlock> = Arbitrary.all({ left: unsigned(32), right: unsigned(32) })

/** Any announcement. */
export const announcement: Arbitrary.Arbitrary<Announcement> = Arbitrary.all({
  capabilities: unsigned(32),
  fields: Arbitrary.array(Arbitrary.all({ type: unsigned(8), value: oneOf(bytes(12), bytesOf(255)) }), { maxLength: 4 })
})

/** Any IPC request that decodes to itself. */
export const ipcRequest: Arbitrary.Arbitrary<IpcRequest> = oneOf<IpcRequest>(
  tagged("Empty", {}),
  tagged("Bind", { port }),
  tagged("Dial", { address, port }),
  tagged("Send", { connection: unsigned(32), data: bytes(40) }),
  tagged("Close", { connection: unsigned(32) }),
  tagged("SendTo", { address, port, data: bytes(40) }),
  tagged("Info", {}),
  tagged("HandshakeSend", { node: nodeId, justification: utf8 }),
  tagged("HandshakeApprove", { node: nodeId }),
  tagged("HandshakeReject", { node: nodeId, reason: utf8 }),
  tagged("HandshakePending", {}),
  tagged("HandshakeTrusted", {}),
  tagged("HandshakeRevoke", { node: nodeId }),
  tagged("HandshakeWait", { node: nodeId, timeoutMs: integer(0, 30_000) }),
  tagged("ResolveHostname", { name: Arbitrary.map(utf8, (name) => `n${name}`) }),
  tagged("SetHostname", { name: utf8 }),
  tagged("SetVisibility", { isPublic: element(true, false) }),
  tagged("Deregister", {}),
  tagged("SetTags", { tags: Arbitrary.array(utf8, { maxLength: 3 }) }),
  tagged("SetWebhook", { url: utf8 }),
  tagged("SetTaskExec", { enabled: element(true, false) }),
  tagged("Health", {}),
  tagged("Broadcast", { network: unsigned(16), port, token: bytes(20), data: bytes(40) }),
  tagged("RotateKey", {}),
  tagged("EnrollRecovery", { enrollment: utf8, signature: utf8 }),
  Arbitrary.map(Arbitrary.all({ op: utf8, value: jsonObject }), ({ op, value }) => ({
    _tag: "Extension",
    op: `x${op}`,
    value: { ...value, op: `x${op}` }
  }))
)

const answered = element<Answered>(
  "Info",
  "Handshake",
  "ResolveHostname",
  "SetHostname",
  "SetVisibility",
  "Deregister",
  "SetTags",
  "SetWebhook",
  "SetTaskExec",
  "Health",
  "RotateKey",
  "EnrollRecovery",
  "Extension"
)

/** Any IPC reply or push. */
export const ipcReply: Arbitrary.Arbitrary<IpcReply> = oneOf<IpcReply>(
  tagged("BindOk", { port }),
  tagged("DialOk", { connection: unsigned(32) }),
  tagged("Accept", { localPort: port, connection: unsigned(32), remote: address, remotePort: port }),
  tagged("Recv", { connection: unsigned(32), data: bytes(40) }),
  tagged("CloseOk", { connection: unsigned(32) }),
  tagged("Error", { code: unsigned(16), message: utf8 }),
  tagged("RecvFrom", { source: address, sourcePort: port, destinationPort: port, data: bytes(40) }),
  tagged("Answer", { to: answered, value: jsonObject })
)

/** Any registry request of a known type. */
export const registryRequest: Arbitrary.Arbitrary<RegistryRequest> = oneOf<RegistryRequest>(
  tagged("Register", {
    listenAddress: utf8,
    publicKey: utf8,
    owner: utf8,
    hostname: utf8,
    lanAddresses: Arbitrary.array(utf8, { maxLength: 3 }),
    signature: utf8
  }),
  tagged("Heartbeat", { node: nodeId, signature: utf8 }),
  tagged("Deregister", { node: nodeId, signature: utf8 }),
  tagged("Lookup", { node: nodeId }),
  tagged("Resolve", { node: nodeId, requester: nodeId, signature: utf8 }),
  tagged("ResolveHostname", { hostname: utf8, requester: nodeId }),
  tagged("SetHostname", { node: nodeId, hostname: utf8, signature: utf8 }),
  tagged("SetVisibility", { node: nodeId, isPublic: element(true, false), signature: utf8 }),
  tagged("SetTags", { node: nodeId, tags: Arbitrary.array(utf8, { maxLength: 3 }), signature: utf8 }),
  tagged("SetTaskExec", { node: nodeId, enabled: element(true, false), signature: utf8 }),
  tagged("GetScore", { node: nodeId }),
  tagged("AddScore", { node: nodeId, requester: nodeId, points: integer(-1_000, 1_000), signature: utf8 }),
  tagged("ReportTrust", { node: nodeId, peer: nodeId, signature: utf8 }),
  tagged("RevokeTrust", { node: nodeId, peer: nodeId, signature: utf8 }),
  tagged("RequestHandshake", { from: nodeId, to: nodeId, justification: utf8, signature: utf8 }),
  tagged("PollHandshakes", { node: nodeId, signature: utf8 }),
  tagged("RespondHandshake", { node: nodeId, peer: nodeId, accept: element(true, false), signature: utf8 }),
  tagged("Punch", { requester: nodeId, a: nodeId, b: nodeId, signature: utf8 }),
  tagged("PublishCard", { node: nodeId, signedCard: jsonObject, signature: utf8 }),
  tagged("WithdrawCard", { node: nodeId, service: utf8, signature: utf8 }),
  tagged("SearchCards", { query: utf8, schema: jsonObject, limit: unsigned(16) })
)

/** Any handshake message. */
export const handshakeMessage: Arbitrary.Arbitrary<HandshakeMessage> = Arbitrary.all({
  kind: element("request", "accept", "reject", "revoke"),
  node: nodeId,
  publicKey: oneOf(bytesOf(32), bytesOf(0)),
  justification: utf8,
  signature: oneOf(bytesOf(64), bytesOf(0)),
  reason: utf8,
  unixSeconds: integer(-1, 2_000_000_000)
})
