/**
 * Names of peers where programs expect host names: `mcp-host.pilot`, `2.pilot` (a node id), and `mcp-host.acme.pilot` for
 * `mcp-host@acme`, a peer at a further rendezvous.
 */

/** The peer that a host name means; undefined for names outside of `.pilot`. A final dot changes nothing. */
export const parse = (host: string): string | undefined => {
  const [, name, alias] = NAME.exec(host.toLowerCase()) ?? []
  return alias === undefined ? name : `${name}@${alias}`
}

/** `mcp-host.pilot:8080` as it stands in a Host header or after CONNECT; without a port `orElse`. */
export const parseAuthority = (
  authority: string,
  orElse: number
): { readonly peer: string; readonly port: number } | undefined => {
  const [, host = "", digits] = /^([^:]*)(?::([0-9]{1,5}))?$/.exec(authority) ?? []
  const peer = parse(host)
  const port = digits === undefined ? orElse : Number(digits)
  return peer === undefined || port > 0xffff ? undefined : { peer, port }
}

/** The host name of a peer. */
export const format = (peer: string): string => `${peer.replace("@", ".")}.pilot`

const NAME = /^([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)(?:\.([a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?))?\.pilot\.?$/
