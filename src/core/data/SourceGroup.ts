/** Whom a budget per source address counts as one: an IPv4 address, or the /64 of IPv6 that one host owns whole. */
import * as Bytes from "./Bytes.ts"
import * as IpAddress from "./IpAddress.ts"

/** A key for maps; equal for the addresses of one host. A text that is no address stands for itself. */
export const of = (host: string): string => {
  if (!host.includes(":")) return host
  const bytes = IpAddress.parse(host)
  if (bytes === undefined) return host
  return bytes.length === 4 ? bytes.join(".") : Bytes.toHex(bytes.subarray(0, 8))
}
