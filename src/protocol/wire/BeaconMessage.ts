/**
 * Beacon messages (rendezvous §8, §14.5; wire §4): one UDP datagram, one type byte, big-endian fields. They share the
 * socket with tunnel frames, which begin with `P`.
 *
 * ```
 * 01 Discover       node id (4)  [Ed25519 public key (32)]         04 PunchCommand  as 02
 * 02 DiscoverReply  IP length (1)  IP (4 or 16)  port (2)          05 Relay         sender (4)  destination (4)  frame
 * 03 PunchRequest   requester (4)  target (4)                      06 RelayDeliver  sender (4)  frame
 *                   [grant: expiry (8)  signature (64)]            07 Sync          beacon id (4)  count (2)  ids (4 each)
 * 08 DiscoverExtended  as 01, asks for 09 in place of 06           09 RelayDeliverTo  as 05
 * 0A Notification   kind (1)
 * ```
 */
import { type Data, Result } from "effect"
import * as ByteReader from "../../core/data/ByteReader.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import type { Endpoint } from "../../core/data/Endpoint.ts"
import * as IpAddress from "../../core/data/IpAddress.ts"
import * as Address from "./Address.ts"
import * as DecodeError from "./DecodeError.ts"

/** The target's consent to a punch: signed over `grantText`, good until `expirySeconds` (Unix time). */
export interface PunchGrant {
  readonly expirySeconds: number
  readonly signature: Uint8Array
}

/** One message. Byte fields are views into the datagram. */
export type BeaconMessage = Data.TaggedEnum<{
  /** "I am `node`; what is my address?" Registration and keepalive at once. Node 0 only asks. */
  Discover: { readonly node: Address.NodeId; readonly identityKey: Uint8Array | undefined }
  /** The address the beacon sees. */
  DiscoverReply: { readonly endpoint: Endpoint }
  PunchRequest: {
    readonly requester: Address.NodeId
    readonly target: Address.NodeId
    readonly grant: PunchGrant | undefined
  }
  /** "Send punches there." */
  PunchCommand: { readonly endpoint: Endpoint }
  Relay: { readonly sender: Address.NodeId; readonly destination: Address.NodeId; readonly frame: Uint8Array }
  RelayDeliver: { readonly sender: Address.NodeId; readonly frame: Uint8Array }
  /** Which nodes a peer beacon serves; replaces its former list. */
  Sync: { readonly beacon: number; readonly nodes: ReadonlyArray<Address.NodeId> }
  DiscoverExtended: { readonly node: Address.NodeId; readonly identityKey: Uint8Array | undefined }
  RelayDeliverTo: { readonly sender: Address.NodeId; readonly destination: Address.NodeId; readonly frame: Uint8Array }
  /** Kind 1: there are handshakes to poll. */
  Notification: { readonly kind: number }
}>

/** Bytes that relaying adds on the way to the beacon. */
export const RELAY_OVERHEAD_BYTES = 9
/** Bytes that are left of them when the beacon delivers as 06. */
export const DELIVER_OVERHEAD_BYTES = 5
/** Ids that one sync can count. */
export const SYNC_NODES_MAX = 0xffff

/** Reads one message; bytes after a fixed layout are ignored. */
export const decode = (bytes: Uint8Array): Result.Result<BeaconMessage, DecodeError.DecodeError> => {
  const reader = ByteReader.make(bytes)
  const type = ByteReader.u8(reader)
  if (reader.isOverrun) return DecodeError.truncated(1, 0)
  const body = decodeBody(type, reader)
  if (body === undefined) return DecodeError.unknownType(type)
  return reader.isOverrun ? DecodeError.truncated(bytes.length + 1, bytes.length) : body
}

/** The datagram. A sync keeps its first `SYNC_NODES_MAX` ids. */
export const encode = (self: BeaconMessage): Uint8Array => {
  switch (self._tag) {
    case "Discover":
    case "DiscoverExtended":
      return Bytes.concat(header(TYPE[self._tag], self.node), self.identityKey ?? Bytes.empty)
    case "DiscoverReply":
    case "PunchCommand":
      return encodeEndpoint(TYPE[self._tag], self.endpoint)
    case "PunchRequest":
      return Bytes.concat(header(TYPE.PunchRequest, self.requester, self.target), encodeGrant(self.grant))
    case "Relay":
      return encodeRelay(self.sender, self.destination, self.frame)
    case "RelayDeliver":
      return Bytes.concat(header(TYPE.RelayDeliver, self.sender), self.frame)
    case "Sync":
      return encodeSync(self.beacon, self.nodes)
    case "RelayDeliverTo":
      return Bytes.concat(header(TYPE.RelayDeliverTo, self.sender, self.destination), self.frame)
    case "Notification":
      return Uint8Array.of(TYPE.Notification, self.kind)
  }
}

/** True for what `decode` would call a discover reply, if anything; without looking further. */
export const isDiscoverReply = (bytes: Uint8Array): boolean => bytes[0] === TYPE.DiscoverReply

/** Registers a node at its beacon and asks for its address. */
export const encodeDiscover = (node: Address.NodeId): Uint8Array => header(TYPE.Discover, node)

/** Asks the beacon to make both sides punch. */
export const encodePunchRequest = (requester: Address.NodeId, target: Address.NodeId): Uint8Array =>
  header(TYPE.PunchRequest, requester, target)

/** A relay message; on the packet path in place of `encode`. */
export const encodeRelay = (sender: Address.NodeId, destination: Address.NodeId, frame: Uint8Array): Uint8Array => {
  const bytes = new Uint8Array(RELAY_OVERHEAD_BYTES + frame.length)
  bytes[0] = TYPE.Relay
  Bytes.writeU32(bytes, 1, sender)
  Bytes.writeU32(bytes, 5, destination)
  bytes.set(frame, RELAY_OVERHEAD_BYTES)
  return bytes
}

/** What the target of a punch signs to allow it (rendezvous §14.5). */
export const grantText = (requester: Address.NodeId, target: Address.NodeId, expirySeconds: number): string =>
  `punch-grant:${requester}:${target}:${expirySeconds}`

type Decoded = Result.Result<BeaconMessage, DecodeError.DecodeError>

const decodeBody = (type: number, reader: ByteReader.ByteReader): Decoded | undefined => {
  switch (type) {
    case TYPE.Discover:
      return Result.succeed({ _tag: "Discover", ...discover(reader) })
    case TYPE.DiscoverReply:
      return Result.map(endpoint(reader), (endpoint) => ({ _tag: "DiscoverReply", endpoint }))
    case TYPE.PunchRequest:
      return punchRequest(reader)
    case TYPE.PunchCommand:
      return Result.map(endpoint(reader), (endpoint) => ({ _tag: "PunchCommand", endpoint }))
    case TYPE.Relay:
      return Result.succeed({ _tag: "Relay", ...relay(reader) })
    case TYPE.RelayDeliver:
      return Result.succeed({
        _tag: "RelayDeliver",
        sender: Address.readNodeId(reader),
        frame: ByteReader.rest(reader)
      })
    case TYPE.Sync:
      return sync(reader)
    case TYPE.DiscoverExtended:
      return Result.succeed({ _tag: "DiscoverExtended", ...discover(reader) })
    case TYPE.RelayDeliverTo:
      return Result.succeed({ _tag: "RelayDeliverTo", ...relay(reader) })
    case TYPE.Notification:
      return Result.succeed({ _tag: "Notification", kind: ByteReader.u8(reader) })
    default:
      return undefined
  }
}

const discover = (reader: ByteReader.ByteReader) => {
  const node = Address.readNodeId(reader)
  // Anything shorter than a key is the trailing bytes that every beacon ignores.
  const identityKey = ByteReader.remaining(reader) < KEY_BYTES ? undefined : ByteReader.take(reader, KEY_BYTES)
  return { node, identityKey }
}

const relay = (reader: ByteReader.ByteReader) => ({
  sender: Address.readNodeId(reader),
  destination: Address.readNodeId(reader),
  frame: ByteReader.rest(reader)
})

const punchRequest = (reader: ByteReader.ByteReader): Decoded => {
  const parties = { requester: Address.readNodeId(reader), target: Address.readNodeId(reader) }
  if (ByteReader.remaining(reader) < GRANT_BYTES)
    return Result.succeed({ _tag: "PunchRequest", ...parties, grant: undefined })
  const expirySeconds = ByteReader.u64(reader)
  if (expirySeconds === undefined) return DecodeError.malformed("grant expiry")
  const grant = { expirySeconds, signature: ByteReader.take(reader, SIGNATURE_BYTES) }
  return Result.succeed({ _tag: "PunchRequest", ...parties, grant })
}

const endpoint = (reader: ByteReader.ByteReader): Result.Result<Endpoint, DecodeError.DecodeError> => {
  const host = IpAddress.format(ByteReader.take(reader, ByteReader.u8(reader)))
  const port = ByteReader.u16(reader)
  if (host === undefined) return DecodeError.malformed("IP length")
  return Result.succeed({ host, port })
}

const sync = (reader: ByteReader.ByteReader): Decoded => {
  const beacon = ByteReader.u32(reader)
  const count = ByteReader.u16(reader)
  // Looked at before allocating: the count is a stranger's word until that many bytes are there.
  if (ByteReader.remaining(reader) < 4 * count)
    return DecodeError.truncated(SYNC_HEADER_BYTES + 4 * count, reader.bytes.length)
  const nodes = Array.from({ length: count }, () => Address.readNodeId(reader))
  return Result.succeed({ _tag: "Sync", beacon, nodes })
}

const header = (type: number, ...ids: ReadonlyArray<number>): Uint8Array => {
  const bytes = new Uint8Array(1 + 4 * ids.length)
  bytes[0] = type
  for (const [index, id] of ids.entries()) Bytes.writeU32(bytes, 1 + 4 * index, id)
  return bytes
}

const encodeEndpoint = (type: number, { host, port }: Endpoint): Uint8Array => {
  // An endpoint's host is a literal by contract; the unspecified address stands for one that is not.
  const address = IpAddress.parse(host) ?? new Uint8Array(4)
  return Bytes.concat(Uint8Array.of(type, address.length), address, Bytes.ofU16(port))
}

const encodeGrant = (grant: PunchGrant | undefined): Uint8Array => {
  if (grant === undefined) return Bytes.empty
  const expiry = new Uint8Array(8)
  Bytes.writeU64(expiry, 0, grant.expirySeconds)
  return Bytes.concat(expiry, grant.signature)
}

const encodeSync = (beacon: number, nodes: ReadonlyArray<Address.NodeId>): Uint8Array => {
  const count = Math.min(nodes.length, SYNC_NODES_MAX)
  const bytes = new Uint8Array(SYNC_HEADER_BYTES + 4 * count)
  bytes[0] = TYPE.Sync
  Bytes.writeU32(bytes, 1, beacon)
  Bytes.writeU16(bytes, 5, count)
  for (let index = 0; index < count; index++) Bytes.writeU32(bytes, SYNC_HEADER_BYTES + 4 * index, nodes[index]!)
  return bytes
}

const TYPE = {
  Discover: 0x01,
  DiscoverReply: 0x02,
  PunchRequest: 0x03,
  PunchCommand: 0x04,
  Relay: 0x05,
  RelayDeliver: 0x06,
  Sync: 0x07,
  DiscoverExtended: 0x08,
  RelayDeliverTo: 0x09,
  Notification: 0x0a
} as const
const KEY_BYTES = 32
const SIGNATURE_BYTES = 64
const GRANT_BYTES = 8 + SIGNATURE_BYTES
const SYNC_HEADER_BYTES = 7
