/** A place on the underlying IP network. */
import * as IpAddress from "./IpAddress.ts"

/** An IP literal (no name, no brackets) and a UDP or TCP port. */
export interface Endpoint {
  readonly host: string
  readonly port: number
}

/** Same host text and port. */
export const equals = (a: Endpoint, b: Endpoint): boolean => a.port === b.port && a.host === b.host

/** `host:port`, IPv6 in brackets. */
export const format = (self: Endpoint): string =>
  self.host.includes(":") ? `[${self.host}]:${self.port}` : `${self.host}:${self.port}`

/** Reads `ip:port` or `[ip]:port`, the host in its canonical spelling; `undefined` for names, zones and other text. */
export const parse = (text: string): Endpoint | undefined => {
  const [, v6, v4, digits] = /^(?:\[([^\]]*)\]|([^:]*)):([0-9]{1,5})$/.exec(text) ?? []
  if (v6 !== undefined && !v6.includes(":")) return undefined
  const host = IpAddress.canonical(v6 ?? v4 ?? "")
  const port = Number(digits)
  return host === undefined || port > 0xffff ? undefined : { host, port }
}

/** Both literals are of IPv4, or both of IPv6. */
export const isSameFamily = (a: string, b: string): boolean => a.includes(":") === b.includes(":")

/** The address that stands for every address of its host. */
export const isWildcard = (host: string): boolean => host === "0.0.0.0" || host === "::"

/** A wildcard is nobody's address: on one host, others reach it on the loopback. */
export const reachable = (self: Endpoint): Endpoint => {
  if (!isWildcard(self.host)) return self
  return { host: self.host === "::" ? "::1" : "127.0.0.1", port: self.port }
}
