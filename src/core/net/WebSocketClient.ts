/** Outgoing WebSockets, through an HTTP proxy where there is one. `NodeWebSocketClient` implements it. */
import { Context, type Effect, Schema, type Scope } from "effect"
import type { WebSocketPeer } from "./WebSocketPeer.ts"

/**
 * Why there is no WebSocket. `Proxy`: the HTTP proxy refuses, or its settings cannot be read. `Untrusted`: the certificate
 * is neither the pinned one nor one that an authority of this host answers for. `NotOffered`: the server speaks HTTP, but
 * not this WebSocket.
 */
export class WebSocketError extends Schema.TaggedError<WebSocketError>()("WebSocketError", {
  reason: Schema.Literals(["Unreachable", "Proxy", "Untrusted", "NotOffered", "Timeout"]),
  url: Schema.String,
  detail: Schema.String
}) {}

/** Where to. */
export interface WebSocketTarget {
  /** `wss:` or `ws:`, path included. */
  readonly url: string
  /** The subprotocol, which the server has to take. */
  readonly protocol: string
  /** SHA-256 of the certificate in lower-case hexadecimal: it is trusted besides those of authorities. */
  readonly fingerprint: string | undefined
  /** Which HTTP proxy, read anew for each connection: see `ProxySetting`. */
  readonly proxy: string
  /** Nobody has named it: that it is not there is not worth telling. */
  readonly isGuess: boolean
}

/** Opens WebSockets; closing the scope closes the WebSocket. */
export class WebSocketClient extends Context.Service<
  WebSocketClient,
  {
    readonly connect: (
      target: WebSocketTarget,
      options: { readonly timeoutMs: number; readonly messageBytesMax: number }
    ) => Effect.Effect<WebSocketPeer, WebSocketError, Scope.Scope>
  }
>()("effect-pilot/core/net/WebSocketClient") {}
