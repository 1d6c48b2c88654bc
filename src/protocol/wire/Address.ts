/**
 * Virtual addresses (wire §1): network id (16 bits) then node id (32 bits), 6 bytes on the wire, text
 * `D:NNNN.HHHH.LLLL`. Routing looks at the node id only.
 */
import { type Brand, Result } from "effect"
import * as ByteReader from "../../core/data/ByteReader.ts"
import * as Bytes from "../../core/data/Bytes.ts"

/** 32-bit node id, given by the registry. */
export type NodeId = number & Brand.Brand<"NodeId">
/** Names a number that is already known to be a 32-bit node id. */
export const NodeId = (value: number): NodeId => (value >>> 0) as NodeId

/** 16-bit network id; 0 is the backbone. */
export type NetworkId = number & Brand.Brand<"NetworkId">
/** Names a number that is already known to be a 16-bit network id. */
export const NetworkId = (value: number): NetworkId => (value & 0xffff) as NetworkId

/** 16-bit virtual port (wire §2). */
export type Port = number & Brand.Brand<"Port">
/** Names a number that is already known to be a 16-bit port. */
export const Port = (value: number): Port => (value & 0xffff) as Port

/** A node in a network. */
export interface Address {
  readonly network: NetworkId
  readonly node: NodeId
}

/** A port of a node. */
export interface SocketAddress {
  readonly address: Address
  readonly port: Port
}

/** Why a text is not an address; the names are those of the vectors. */
export type AddressError =
  | "no_colon"
  | "bad_network_decimal"
  | "group_count"
  | "bad_hex_group"
  | "network_mismatch"
  | "bad_port"

/** An address from plain numbers. */
export const make = (network: number, node: number): Address => ({ network: NetworkId(network), node: NodeId(node) })

/** The text form, upper-case hex. */
export const format = (self: Address): string =>
  `${self.network}:${hex4(self.network)}.${hex4(self.node >>> 16)}.${hex4(self.node & 0xffff)}`

/** Parses the text form; nothing is trimmed (wire §1). */
export const parse = (text: string): Result.Result<Address, AddressError> => {
  const colon = text.indexOf(":")
  if (colon < 0) return Result.fail("no_colon")
  const decimal = text.slice(0, colon)
  const network = Number(decimal)
  if (!/^[0-9]+$/.test(decimal) || network > 0xffff) return Result.fail("bad_network_decimal")
  const groups = text.slice(colon + 1).split(".")
  if (groups.length !== 3) return Result.fail("group_count")
  const [networkHex, high, low] = groups as [string, string, string]
  // The length counts bytes, and is judged for all groups before the content of any (wire §1, steps 4 and 5).
  if (groups.some((group) => Bytes.fromUtf8(group).length !== 4)) return Result.fail("bad_hex_group")
  if (!HEX4.test(networkHex)) return Result.fail("bad_hex_group")
  if (Number.parseInt(networkHex, 16) !== network) return Result.fail("network_mismatch")
  if (!HEX4.test(high) || !HEX4.test(low)) return Result.fail("bad_hex_group")
  return Result.succeed(make(network, Number.parseInt(high, 16) * 0x10000 + Number.parseInt(low, 16)))
}

/** `address:port` in text. */
export const formatSocket = (self: SocketAddress): string => `${format(self.address)}:${self.port}`

/** Parses `address:port`, split at the last colon. */
export const parseSocket = (text: string): Result.Result<SocketAddress, AddressError> => {
  const colon = text.lastIndexOf(":")
  if (colon < 0) return Result.fail("no_colon")
  const port = text.slice(colon + 1)
  if (!/^[0-9]+$/.test(port) || Number(port) > 0xffff) return Result.fail("bad_port")
  return Result.map(parse(text.slice(0, colon)), (address) => ({ address, port: Port(Number(port)) }))
}

/** Bytes on the wire: network id (2), node id (4). */
export const ENCODED_BYTES = 6

/** The six bytes of the wire. */
export const encode = (self: Address): Uint8Array => {
  const bytes = new Uint8Array(ENCODED_BYTES)
  encodeInto(self, bytes, 0)
  return bytes
}

/** Writes the six bytes at `offset`. */
export const encodeInto = (self: Address, target: Uint8Array, offset: number): void => {
  Bytes.writeU16(target, offset, self.network)
  Bytes.writeU32(target, offset + 2, self.node)
}

/** Reads six bytes at `offset`; the caller has checked the bounds. Any six bytes are an address. */
export const decodeAt = (bytes: Uint8Array, offset: number): Address => ({
  network: NetworkId(Bytes.readU16(bytes, offset)),
  node: NodeId(Bytes.readU32(bytes, offset + 2))
})

/** Reads the next six bytes. */
export const read = (reader: ByteReader.ByteReader): Address => make(ByteReader.u16(reader), ByteReader.u32(reader))

/** Reads the next four bytes as a node id. */
export const readNodeId = (reader: ByteReader.ByteReader): NodeId => NodeId(ByteReader.u32(reader))

/** Reads the next two bytes as a port. */
export const readPort = (reader: ByteReader.ByteReader): Port => Port(ByteReader.u16(reader))

/** Node id FFFFFFFF: every member of the network. */
export const isBroadcast = (self: Address): boolean => self.node === 0xffffffff

/** Network 0, node 0. */
export const isUnspecified = (self: Address): boolean => self.network === 0 && self.node === 0

/** Same network and node. */
export const equals = (a: Address, b: Address): boolean => a.node === b.node && a.network === b.network

const hex4 = (value: number): string => value.toString(16).toUpperCase().padStart(4, "0")
const HEX4 = /^[0-9a-fA-F]{4}$/
