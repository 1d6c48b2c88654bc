/** `WebSocketClient` on real sockets. What opens them is loaded when the first one is wanted, which on most hosts is never. */
import { Effect, Layer } from "effect"
import { WebSocketClient } from "./WebSocketClient.ts"

/** One WebSocket, for adapters that carry something else through it. */
export const connect: WebSocketClient["Service"]["connect"] = (target, options) =>
  Effect.flatMap(
    Effect.promise(() => import("./NodeWebSocketOpen.ts")),
    (adapter) => adapter.connect(target, options)
  )

/** Provides `WebSocketClient`. */
export const layer: Layer.Layer<WebSocketClient> = Layer.succeed(WebSocketClient, { connect })
