/** A question about the translator, on its way out. */
import type * as Endpoint from "../core/data/Endpoint.ts"

/** By which of a host's two sockets a datagram goes or has come: the one that peers reach, or one beside it. */
export type Socket = "tunnel" | "second"

/** One datagram to send. */
export interface Sending {
  readonly socket: Socket
  readonly to: Endpoint.Endpoint
  readonly bytes: Uint8Array
}
