/**
 * How far an address reaches: over the public internet, within a private network, or not beyond a host (RFC 6890, RFC 4193,
 * RFC 6598). Somebody else's word should lead only where it may.
 */
import * as Bytes from "./Bytes.ts"
import * as IpAddress from "./IpAddress.ts"

/** A block of addresses, `10.0.0.0/8`. */
export interface Block {
  readonly prefix: Uint8Array
  readonly bits: number
}

/** Reads a block; a plain address is a block of one. `undefined` for anything else. */
export const parseBlock = (text: string): Block | undefined => {
  const [address = "", bits, ...rest] = text.split("/")
  const prefix = IpAddress.parse(address)
  if (prefix === undefined || rest.length > 0) return undefined
  const bitsMax = 8 * prefix.length
  if (bits === undefined) return { prefix, bits: bitsMax }
  return /^\d{1,3}$/.test(bits) && Number(bits) <= bitsMax ? { prefix, bits: Number(bits) } : undefined
}

/** Whether an address of 4 or 16 bytes lies in a block. */
export const isWithin = (address: Uint8Array, { bits, prefix }: Block): boolean => {
  if (address.length !== prefix.length) return false
  const whole = bits >>> 3
  if (!Bytes.equals(address.subarray(0, whole), prefix.subarray(0, whole))) return false
  const rest = bits & 7
  return rest === 0 || (address[whole]! ^ prefix[whole]!) >>> (8 - rest) === 0
}

/** Belongs to the public internet; text that is no address does not. IPv6 that carries IPv4 counts as that. */
export const isPublic = (text: string): boolean => {
  const address = IpAddress.parse(text)
  if (address === undefined) return false
  if (address.length === 16 && !isWithin(address, GLOBAL)) return false
  const embedded = embeddedV4(address)
  return [address, ...(embedded === undefined ? [] : [embedded])].every((one) => !isAny(one, SPECIAL))
}

/** Another host can have it: neither loopback nor link-local, which mean nothing elsewhere, nor a group's, nor nobody's. */
export const isUsable = (text: string): boolean => {
  const address = IpAddress.parse(text)
  return address !== undefined && !isAny(address, [...HOST, ...NOBODY])
}

/** On this side of a translator: of this host, this link, or a private or shared network. */
export const isInside = (text: string): boolean => {
  const address = IpAddress.parse(text)
  return address !== undefined && isAny(address, [...HOST, ...PRIVATE])
}

const isAny = (address: Uint8Array, blocks: ReadonlyArray<Block>): boolean =>
  blocks.some((one) => isWithin(address, one))

/** 6to4 leads to the IPv4 address inside it. */
const embeddedV4 = (address: Uint8Array): Uint8Array | undefined =>
  address.length === 16 && address[0] === 0x20 && address[1] === 0x02 ? address.subarray(2, 6) : undefined

const block = (text: string): Block => {
  const parsed = parseBlock(text)
  if (parsed === undefined) throw new TypeError(`not a block of addresses: ${text}`)
  return parsed
}

/** All unicast addresses of IPv6 that are given out. */
const GLOBAL = block("2000::/3")
/** This host, and what it is linked to. */
const HOST: ReadonlyArray<Block> = ["127.0.0.0/8", "169.254.0.0/16", "::1", "fe80::/10"].map(block)
const PRIVATE: ReadonlyArray<Block> = [
  "10.0.0.0/8",
  "100.64.0.0/10",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "fc00::/7"
].map(block)
/** Groups, and what no host may have. */
const NOBODY: ReadonlyArray<Block> = ["0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4", "::", "ff00::/8"].map(block)
const SPECIAL: ReadonlyArray<Block> = [
  ...HOST,
  ...PRIVATE,
  ...NOBODY,
  ...["192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"].map(
    block
  ),
  ...["2001::/32", "2001:2::/48", "2001:10::/28", "2001:db8::/32", "3fff::/20"].map(block)
]
