/**
 * Outgoing TCP connections, TLS with a certificate known by its fingerprint, or plain. `NodeTlsClient` implements it.
 * Names of certificates, authorities and dates are not looked at: the fingerprint is the whole identity.
 */
import { Context, type Effect, Schema, type Scope } from "effect"
import type { Duplex } from "./Duplex.ts"
import type { WebSocketTarget } from "./WebSocketClient.ts"

/**
 * Why no connection was made. `NoTls`: something listens, but does not answer a TLS handshake. `Refused`: the
 * certificate is not the one that `accept` wants; `fingerprint` is what was offered.
 */
export class ConnectError extends Schema.TaggedError<ConnectError>()("ConnectError", {
  reason: Schema.Literals(["Unreachable", "NoTls", "Refused", "Timeout"]),
  host: Schema.String,
  port: Schema.Int,
  fingerprint: Schema.String,
  detail: Schema.String
}) {}

/** The connection broke. */
export class StreamLost extends Schema.TaggedError<StreamLost>()("StreamLost", { detail: Schema.String }) {}

/** An open connection. */
export interface ClientStream extends Duplex<StreamLost> {
  /** SHA-256 of the server's certificate in lower-case hexadecimal; `undefined` for a plain connection. */
  readonly fingerprint: string | undefined
}

/** Opens connections; closing the scope closes the connection. */
export class TlsClient extends Context.Service<
  TlsClient,
  {
    readonly connect: (options: {
      readonly host: string
      readonly port: number
      /** Decides on the server's certificate, before any byte of ours is sent. `undefined` for a plain connection. */
      readonly accept: ((fingerprint: string) => boolean) | undefined
      readonly timeoutMs: number
      /** The bytes go in binary messages of a WebSocket there, instead of a TCP connection to host and port. */
      readonly through?: WebSocketTarget | undefined
    }) => Effect.Effect<ClientStream, ConnectError, Scope.Scope>
  }
>()("effect-pilot/core/net/TlsClient") {}
