/**
 * A port that takes WebSockets, over TLS and, for a reverse proxy in front of it, in clear: a connection that begins with a
 * TLS handshake record is TLS. `NodeWebSocketListener` implements it.
 */
import { Context, type Effect, type Scope } from "effect"
import type { Endpoint } from "../data/Endpoint.ts"
import type { BindError } from "./UdpEndpoint.ts"
import type { WebSocketPeer } from "./WebSocketPeer.ts"

/** What to listen with. */
export interface WebSocketListenOptions {
  /** `undefined` for every address of this machine. */
  readonly host: string | undefined
  /** 0 asks for a free one. */
  readonly port: number
  /** PEM. */
  readonly tls: { readonly certificatePem: string; readonly privateKeyPem: string }
  /** The subprotocol of each path; others are answered 404. */
  readonly protocols: Readonly<Record<string, string>>
  /** A longer message closes its WebSocket. */
  readonly messageBytesMax: number
  /** Connections beyond it are closed at once. */
  readonly connectionsMax: number
  /** The same for one source group (`SourceGroup`). */
  readonly connectionsPerSourceMax: number
  /** Whether `X-Forwarded-For` of this host is believed: a reverse proxy of the operator's. */
  readonly isProxy: (host: string) => boolean
}

/** Where a WebSocket comes from, and what it wants. */
export interface WebSocketRequest {
  readonly path: string
  readonly remote: Endpoint
}

/** A listening port. */
export interface WebSocketServer {
  readonly local: Endpoint
  /** Installs who takes WebSockets; those that come before are closed. */
  readonly onConnection: (accept: (peer: WebSocketPeer, request: WebSocketRequest) => void) => void
}

/** Opens ports; closing the scope closes the port and its WebSockets. */
export class WebSocketListener extends Context.Service<
  WebSocketListener,
  { readonly listen: (options: WebSocketListenOptions) => Effect.Effect<WebSocketServer, BindError, Scope.Scope> }
>()("effect-pilot/core/net/WebSocketListener") {}
