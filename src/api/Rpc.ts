/**
 * Effect's rpc between peers: an `RpcGroup` served on a virtual port and called by name. Errors, streams, interruption and
 * spans cross the tunnel, because the protocol is Effect's own; lines of JSON on a stream.
 */
import { Context, Effect, Latch, Layer, type Scope } from "effect"
import { RpcClient, RpcMiddleware, RpcSerialization, RpcServer } from "effect/rpc"
import { Socket } from "effect/socket"
import { Caller, caller } from "./Caller.ts"
import type * as Peer from "./Peer.ts"
import type { DialOptions, Pilot } from "./PilotService.ts"
import * as VirtualSocket from "./VirtualSocket.ts"

/** How a port is served. */
export interface RpcServerOptions extends VirtualSocket.ServerOptions {
  /** A longer request closes its connection; 4 MiB unless told otherwise. */
  readonly messageBytesMax?: number
}

/** How a peer is called. */
export interface RpcClientOptions extends DialOptions {
  readonly port: number
  /**
   * Calls wait while the peer cannot be reached, instead of failing at once with an `RpcClientError`; what was under way when a
   * connection broke fails in any case, since nobody knows whether it was done.
   */
  readonly retry?: boolean
  /** A longer answer fails; 4 MiB unless told otherwise. */
  readonly messageBytesMax?: number
}

/**
 * The protocol for `RpcServer.layer(group)` on a port of this node. Nobody is let in until `allow` names someone; handlers know
 * the peer by `Pilot.caller`, or by the service `Caller` where the group has the middleware `Pilot.IdentifiesCaller`.
 */
export const rpcServer = (
  options: RpcServerOptions
): Layer.Layer<RpcServer.Protocol, VirtualSocket.ServerError, Pilot> =>
  RpcServer.layerProtocolSocketServer.pipe(
    Layer.provide(VirtualSocket.socketServer(options)),
    Layer.provide(serialization(options))
  )

/**
 * The protocol for `RpcClient.make(group)` to a port of a peer. It dials at once, and again whenever the connection is lost, for
 * as long as the scope around whoever provides it, like the client itself.
 */
export const rpcClient = (
  peer: string | Peer.Selector,
  options: RpcClientOptions
): Layer.Layer<RpcClient.Protocol, never, Pilot | Scope.Scope> =>
  // In the scope around, not the layer's own: `Effect.provide` ends that one when the client has been made.
  Layer.fromBuild(() =>
    Effect.gen(function* () {
      const { port, retry = false, ...dialOptions } = options
      const socket = yield* VirtualSocket.socket(peer, port, dialOptions)
      const scope = yield* Effect.scope
      const isConnected = Latch.makeUnsafe(false)
      const layer = RpcClient.layerProtocolSocket({ retryTransientErrors: retry }).pipe(
        Layer.provide([serialization(options), Layer.succeed(Socket.Socket, socket), telling(isConnected)])
      )
      const built = yield* Layer.buildWithScope(layer, scope)
      return retry ? Context.add(built, RpcClient.Protocol, waiting(built, isConnected)) : built
    })
  )

const telling = (isConnected: Latch.Latch) =>
  Layer.succeed(RpcClient.ConnectionHooks, {
    onConnect: Effect.asVoid(isConnected.open),
    onDisconnect: Effect.asVoid(isConnected.close)
  })

/** Requests wait for a connection instead of failing with the end of the last one. */
const waiting = (
  built: Context.Context<RpcClient.Protocol>,
  isConnected: Latch.Latch
): RpcClient.Protocol["Service"] => {
  const protocol = Context.get(built, RpcClient.Protocol)
  return {
    ...protocol,
    send: (clientId, request, transferables) => {
      const send = Effect.suspend(() => protocol.send(clientId, request, transferables))
      return request._tag === "Request" ? Effect.andThen(isConnected.await, send) : send
    }
  }
}

/** A middleware for groups whose handlers name `Caller` among their dependencies. */
export class IdentifiesCaller extends RpcMiddleware.Service<IdentifiesCaller, { provides: Caller }>()(
  "effect-pilot/api/IdentifiesCaller"
) {}

/** Its implementation. */
export const identifiesCaller: Layer.Layer<IdentifiesCaller> = Layer.succeed(
  IdentifiesCaller,
  IdentifiesCaller.of((effect) => Effect.flatMap(caller, (known) => Effect.provideService(effect, Caller, known)))
)

const serialization = ({ messageBytesMax = MESSAGE_BYTES_MAX }: { readonly messageBytesMax?: number }) =>
  RpcSerialization.layerNdjsonWith({ maxBufferSize: messageBytesMax })

/** One message of rpc, unless told otherwise. */
const MESSAGE_BYTES_MAX = 4_194_304
