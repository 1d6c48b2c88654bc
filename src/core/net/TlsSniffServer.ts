/**
 * A TCP server whose one port serves TLS and plain text: a connection that begins with a TLS handshake record (0x16) is
 * TLS, any other is plain. `NodeTlsSniffServer` implements it. Bytes arrive as one batch per event-loop turn; sending
 * never waits.
 */
import { Context, type Data, type Effect, type Scope } from "effect"
import type { Endpoint } from "../data/Endpoint.ts"
import type { BindError } from "./UdpEndpoint.ts"
import type { WebSocketPeer } from "./WebSocketPeer.ts"

/** One accepted connection. */
export interface ServedConnection {
  /** Unique while the server runs. */
  readonly id: number
  readonly remote: Endpoint
  readonly isTls: boolean
  /** Bytes accepted by `send` that the network has not taken yet. */
  readonly bufferedBytes: () => number
  /** Queues bytes; ignored once the connection is gone. `bytes` must not change afterwards. */
  readonly send: (bytes: Uint8Array) => void
  /** Stops reading, so that the peer is held back by TCP. */
  readonly pause: () => void
  readonly resume: () => void
  /** Sends what is queued, then closes. */
  readonly end: () => void
  /** Closes now; what is queued is lost. */
  readonly destroy: () => void
}

/** What happened to a connection. `Closed` is the last event of each. */
export type ServerEvent = Data.TaggedEnum<{
  Opened: { readonly connection: ServedConnection }
  Received: { readonly connection: ServedConnection; readonly bytes: Uint8Array }
  Closed: { readonly connection: ServedConnection }
}>

/** A listening server. */
export interface ListeningServer {
  readonly local: Endpoint
  /** Installs the only receiver; at most one batch per event-loop turn, in order of arrival. */
  readonly onBatch: (receive: (batch: ReadonlyArray<ServerEvent>) => void) => void
  /** Serves what comes in the binary messages of a WebSocket, within the same limits as a connection from there. */
  readonly adopt: (peer: WebSocketPeer, remote: Endpoint) => void
}

/** What to listen with. */
export interface ListenOptions {
  /** `undefined` for every address of this machine. */
  readonly host: string | undefined
  /** 0 asks for a free one. */
  readonly port: number
  /** PEM. */
  readonly tls: { readonly certificatePem: string; readonly privateKeyPem: string }
  /** Connections beyond it are closed at once. */
  readonly connectionsMax: number
  /** Connections of one source group (`SourceGroup`) beyond it are closed at once. */
  readonly connectionsPerSourceMax: number
  /** Time to send the first byte and to finish the TLS handshake. */
  readonly openingTimeoutMs: number
}

/** Opens servers; closing the scope closes the server and its connections. */
export class TlsSniffServer extends Context.Service<
  TlsSniffServer,
  {
    readonly listen: (options: ListenOptions) => Effect.Effect<ListeningServer, BindError, Scope.Scope>
  }
>()("effect-pilot/core/net/TlsSniffServer") {}
