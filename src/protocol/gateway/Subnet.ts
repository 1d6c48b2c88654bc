/** The local addresses that a gateway gives to peers: an IPv4 network, handed out from its start (node §7). */
import { Result } from "effect"

/** A network, and the address that is tried next. Immutable. */
export interface Subnet {
  readonly base: number
  readonly bits: number
  readonly next: number
}

/** Why there is no such network or address; worded like the reference's (cli §11). */
export type SubnetError = string

/** `10.4.0.0/16`. The first address given has 1 as its last byte. */
export const parse = (text: string): Result.Result<Subnet, SubnetError> => {
  const [, host = "", digits = ""] = /^([0-9.]+)\/([0-9]{1,2})$/.exec(text) ?? []
  const address = parseAddress(host)
  const bits = Number(digits)
  if (address === undefined || digits === "" || bits > 32)
    return Result.fail(`parse subnet: invalid CIDR address: ${text}`)
  const base = (address & maskOf(bits)) >>> 0
  return Result.succeed({ base, bits, next: ((base & 0xffffff00) | 1) >>> 0 })
}

/** `10.4.0.0/16`. */
export const format = (self: Subnet): string => `${formatAddress(self.base)}/${self.bits}`

/** The next address; freed ones do not come back (node §7). */
export const allocate = (
  self: Subnet,
  isTaken: (ip: string) => boolean
): Result.Result<readonly [ip: string, rest: Subnet], SubnetError> => {
  for (let address = self.next; contains(self, formatAddress(address)); address++) {
    const ip = formatAddress(address)
    if (!isTaken(ip)) return Result.succeed([ip, { ...self, next: address + 1 }])
  }
  return Result.fail("subnet exhausted")
}

/** An address that somebody asks for. */
export const contains = (self: Subnet, ip: string): boolean => {
  const address = parseAddress(ip)
  return address !== undefined && (address & maskOf(self.bits)) >>> 0 === self.base
}

/** On Linux all of 127.0.0.0/8 is this host's without further ado. */
export const isLoopback = (ip: string): boolean => ip.startsWith("127.")

const parseAddress = (text: string): number | undefined => {
  const parts = text.split(".")
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9][0-9]{0,2})$/.test(part) && Number(part) <= 255))
    return undefined
  return parts.reduce((sum, part) => sum * 256 + Number(part), 0)
}

const formatAddress = (address: number): string => [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join(".")

const maskOf = (bits: number): number => (bits === 0 ? 0 : (-1 << (32 - bits)) >>> 0)
