/**
 * HTTP between peers: an `HttpApi`, a router or anything else of Effect's http modules served on a virtual port, and called as
 * `http://NAME.pilot:PORT/`.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import type * as NodeServices from "@effect/platform-node/NodeServices"
import { Context, Effect, Layer, type Scope } from "effect"
import { type Etag, HttpClient, type HttpPlatform, HttpServer } from "effect/http"
import * as NodeHttpOnStreams from "../core/net/NodeHttpOnStreams.ts"
import * as CallerHeaders from "../protocol/mcp/CallerHeaders.ts"
import { Current } from "./Caller.ts"
import { Pilot, PilotError } from "./PilotService.ts"
import * as VirtualSocket from "./VirtualSocket.ts"

/**
 * Effect's `HttpServer` on a port of this node, with what its file responses and the like need. Nobody is let in until `allow`
 * names someone. Handlers know the peer by `Pilot.caller`, and by the headers `Pilot-Caller-Node-Id`, `-Address`, `-Hostname`,
 * `-Fingerprint` and `-Public-Key`, which no peer can set itself.
 */
export const httpServer = (
  options: VirtualSocket.ServerOptions
): Layer.Layer<
  HttpServer.HttpServer | HttpPlatform.HttpPlatform | Etag.Generator | NodeServices.NodeServices,
  VirtualSocket.ServerError,
  Pilot
> => Layer.merge(Layer.effect(HttpServer.HttpServer, makeServer(options)), NodeHttpServer.layerHttpServices)

const makeServer = Effect.fnUntraced(function* (options: VirtualSocket.ServerOptions) {
  const { accept, address } = yield* VirtualSocket.makeAcceptor(options)
  const { carry, server } = yield* NodeHttpOnStreams.make(address)
  const serve = accept(({ duplex }) =>
    Effect.gen(function* () {
      const caller = yield* Current
      const { keys: _, node = 0, publicKey = "", ...facts } = caller ?? {}
      return yield* carry(duplex, {
        context: Context.make(Current, caller),
        strip: CallerHeaders.PREFIX,
        headers: CallerHeaders.of({ node_id: node, public_key: publicKey, ...facts })
      })
    })
  )
  yield* Effect.forkScoped(Effect.ignore(serve))
  return server
})

/**
 * Effect's `HttpClient` for requests to `http://NAME.pilot:PORT/`, where `NAME` is a hostname or a decimal node id. Any other
 * host is refused. Streams stay open between requests, for as long as the scope around whoever provides it.
 */
export const httpClient: Layer.Layer<HttpClient.HttpClient, never, Pilot | Scope.Scope> = Layer.fromBuild(() =>
  Effect.gen(function* () {
    const pilot = yield* Pilot
    const client = yield* NodeHttpOnStreams.client((host, port) => {
      const name = /^(.+)\.pilot$/i.exec(host)?.[1]
      return name === undefined
        ? Effect.fail(new PilotError({ reason: "Refused", detail: `${host} is no peer: http://NAME.pilot:PORT/` }))
        : Effect.map(pilot.dial(name, port), ({ duplex }) => duplex)
    })
    return Context.make(HttpClient.HttpClient, client)
  })
)
