/**
 * One of our two own ports (architecture, decision 5): UDP for the packet path. `NodeUdpEndpoint` opens real sockets,
 * the simulator virtual ones. Datagrams arrive as one batch per event-loop turn; sending never waits.
 */
import { Context, type Effect, Schema, type Scope } from "effect"
import type { Pieces } from "../data/Bytes.ts"
import type { Endpoint } from "../data/Endpoint.ts"

/** One received UDP payload. The bytes belong to the receiver. */
export interface Datagram {
  readonly bytes: Uint8Array
  readonly from: Endpoint
  /** Of several sockets that are used as one: the number of that which it came by, if not by the first. */
  readonly by?: number
}

/** Plain numbers, because they change per packet. */
export interface UdpCounters {
  sentDatagrams: number
  sentBytes: number
  receivedDatagrams: number
  receivedBytes: number
  /** Datagrams the kernel refused: no route, queue full, too large. */
  sendErrors: number
}

/** Of a socket that is new. */
export const uncounted = (): UdpCounters => ({
  sentDatagrams: 0,
  sentBytes: 0,
  receivedDatagrams: 0,
  receivedBytes: 0,
  sendErrors: 0
})

/** A bound socket. */
export interface UdpSocket {
  readonly local: Endpoint
  /** Where it is bound in the other address family, if it has both. */
  readonly other?: Endpoint | undefined
  readonly counters: UdpCounters
  /** Installs the only receiver; at most one batch per event-loop turn, in order of arrival. */
  readonly onBatch: (receive: (batch: ReadonlyArray<Datagram>) => void) => void
  /** Hands one datagram to the network; a failure is counted, never thrown. `bytes` must not change afterwards. */
  readonly send: (bytes: Pieces, to: Endpoint) => void
  /** MTU of the local interface that leads there, bytes of an IP packet; the rest of the way may carry less. */
  readonly mtuTowards: (to: Endpoint) => Effect.Effect<number>
}

/** The address is taken, not ours, or not permitted. */
export class BindError extends Schema.TaggedError<BindError>()("BindError", {
  reason: Schema.Literals(["PortInUse", "AddressNotAvailable", "PermissionDenied", "Other"]),
  host: Schema.String,
  port: Schema.Finite,
  detail: Schema.String
}) {}

/** Opens UDP sockets; closing the scope closes the socket. Port 0 asks for a free one. */
export class UdpEndpoint extends Context.Service<
  UdpEndpoint,
  {
    readonly bind: (options: {
      readonly host: string
      readonly port: number
      readonly receiveBufferBytes?: number
      /** Of another socket, which this one is counted with. */
      readonly counters?: UdpCounters
    }) => Effect.Effect<UdpSocket, BindError, Scope.Scope>
    /** Addresses of this machine's interfaces, as literals; none where nobody knows. */
    readonly addresses?: () => ReadonlyArray<string>
  }
>()("effect-pilot/core/net/UdpEndpoint") {}
