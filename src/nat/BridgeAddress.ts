/**
 * How the beacon calls a node that is reached by a WebSocket (rendezvous §14.5): in the place of the UDP address that others
 * have, told apart from every such address by its host, which is no IP literal.
 */
import type { Endpoint } from "../core/data/Endpoint.ts"

/** `connection` is unique while the beacon runs; `remoteHost` is where the WebSocket comes from. */
export const make = (remoteHost: string, connection: number): Endpoint => ({
  host: `${PREFIX}${remoteHost}`,
  port: connection
})

/** True for what `make` has made. */
export const is = ({ host }: Endpoint): boolean => host.startsWith(PREFIX)

/** What a node may be told of where it is seen: a WebSocket has no UDP port. */
export const seen = (self: Endpoint): Endpoint => (is(self) ? { host: remoteHost(self), port: 0 } : self)

/** The host that budgets count. */
export const remoteHost = (self: Endpoint): string => (is(self) ? self.host.slice(PREFIX.length) : self.host)

const PREFIX = "websocket!"
