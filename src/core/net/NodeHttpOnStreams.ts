/**
 * Effect's HTTP server and client of Node on streams that are there already, or are dialled by name, instead of sockets of the
 * system. The parsing is Node's; what travels is ours.
 */
import * as Http from "node:http"
import * as Https from "node:https"
import type { Duplex as NodeStream } from "node:stream"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Context, Effect, Exit, type Scope } from "effect"
import {
  type HttpClient,
  type HttpMiddleware,
  HttpServer,
  type HttpServerRequest,
  type HttpServerResponse
} from "effect/http"
import type { NetAddress } from "effect/net"
import * as Provided from "../actor/Provided.ts"
import type { Duplex } from "./Duplex.ts"
import { NodeDuplex, open, runner } from "./NodeDuplex.ts"

/** What surrounds the requests of one stream. */
export interface Surroundings {
  /** Added to the context of its handlers. */
  readonly context: Context.Context<never>
  /** Headers that begin so are taken away, whoever set them. Lower case. */
  readonly strip: string
  /** Headers that are set instead. Lower case. */
  readonly headers: Readonly<Record<string, string>>
}

/** A server, and the way to give it streams. */
export interface HttpOnStreams {
  readonly server: HttpServer.HttpServer["Service"]
  /** Serves the requests on one stream until either end has had enough. */
  readonly carry: (stream: Duplex<unknown>, surroundings: Surroundings) => Effect.Effect<void>
}

/** Without an application that is served, requests get 503. */
export const make = Effect.fnUntraced(function* (
  address: NetAddress.SocketAddress
): Effect.fn.Return<HttpOnStreams, never, Scope.Scope> {
  const run = runner(yield* Provided.services<never>())
  const streams = new WeakMap<
    object,
    { readonly around: Surroundings; handler?: { readonly of: App; readonly handle: Handler } }
  >()
  let app: App | undefined
  const engine = yield* Effect.acquireRelease(
    Effect.sync(() => Http.createServer(LIMITS)),
    (server) => Effect.sync(() => void server.close(() => {}))
  )
  engine.on("request", (request, response) => {
    const stream = streams.get(request.socket)
    if (app === undefined || stream === undefined) return void response.writeHead(503).end()
    for (const name of Object.keys(request.headers))
      if (name.startsWith(stream.around.strip)) delete request.headers[name]
    Object.assign(request.headers, stream.around.headers)
    if (stream.handler?.of !== app) stream.handler = { of: app, handle: app(stream.around.context) }
    stream.handler.handle(request, response)
  })
  engine.on("clientError", (_error, socket) => socket.end("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n"))
  // Only a server that listens watches how long headers take.
  engine.emit("listening")
  return {
    carry: (duplex, around) =>
      Effect.callback<void>((resume) => {
        // Node writes nothing at the end of an answer, and readers are promised chunks that are not empty.
        const write = (bytes: Uint8Array) => (bytes.length === 0 ? Effect.void : duplex.write(bytes))
        const stream = new NodeDuplex({ ...duplex, write }, run)
        streams.set(stream, { around })
        stream.on("error", () => {})
        stream.on("close", () => resume(Effect.void))
        engine.emit("connection", stream)
        return Effect.sync(() => stream.destroy())
      }),
    server: HttpServer.make({
      address,
      serve: Effect.fnUntraced(function* (httpApp, middleware) {
        const scope = yield* Effect.scope
        const services = yield* Provided.services<never>()
        const served: App = (context) =>
          handlerIn(Context.merge(services, context), makeHandler(httpApp, middleware, scope))
        app = served
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => {
            if (app === served) app = undefined
          })
        )
      })
    })
  }
})

/** Made at once, in a fiber with the scheduler of that context: its requests inherit it, and `runSync` would give its own. */
const handlerIn = (context: Context.Context<never>, making: Effect.Effect<Handler>): Handler => {
  const made = Effect.runForkWith(context)(making).pollUnsafe()
  if (made === undefined || Exit.isFailure(made)) throw new Error("the handler of an HTTP server is made synchronously")
  return made.value
}

const makeHandler = (
  httpApp: HttpApp,
  middleware: HttpMiddleware.HttpMiddleware | undefined,
  scope: Scope.Scope
): Effect.Effect<Handler> =>
  NodeHttpServer.makeHandler<HttpServerRequest.HttpServerRequest | Scope.Scope, unknown, HttpApp>(httpApp, {
    scope,
    middleware
  })

type HttpApp = Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  unknown,
  HttpServerRequest.HttpServerRequest | Scope.Scope
>
type Handler = (request: Http.IncomingMessage, response: Http.ServerResponse) => void
type App = (context: Context.Context<never>) => Handler

/** Opens a stream to the host and port of a URL. */
export type Dial = (host: string, port: number) => Effect.Effect<Duplex<unknown>, unknown, Scope.Scope>

/** A client that dials in this way; streams stay open between requests, and end with the scope. */
export const client = Effect.fnUntraced(function* (
  dial: Dial
): Effect.fn.Return<HttpClient.HttpClient, never, Scope.Scope> {
  const run = runner(yield* Provided.services<never>())
  const agent = yield* Effect.acquireRelease(
    Effect.sync(() => new DialAgent((host, port) => open({ dial: dial(host, port) }, run))),
    (one) => Effect.sync(() => one.destroy())
  )
  return yield* Effect.provideService(NodeHttpClient.makeNodeHttp, NodeHttpClient.HttpAgent, {
    http: agent,
    https: new Https.Agent()
  })
})

class DialAgent extends Http.Agent {
  readonly #open: (host: string, port: number) => NodeStream

  constructor(openStream: (host: string, port: number) => NodeStream) {
    super({ keepAlive: true, maxSockets: STREAMS_PER_HOST_MAX, maxFreeSockets: IDLE_STREAMS_PER_HOST_MAX })
    this.#open = openStream
  }

  override createConnection({ host, port }: Http.ClientRequestArgs): NodeStream {
    return this.#open(String(host), Number(port ?? 80))
  }
}

/** A client that dawdles over its headers is cut off; bodies may take as long as they want. */
const LIMITS = { headersTimeout: 10_000, requestTimeout: 0, keepAliveTimeout: 60_000, maxHeaderSize: 65_536 }
/** Requests to one port of a peer at once; more wait. */
const STREAMS_PER_HOST_MAX = 64
/** Streams to one port of a peer that stay open with nothing to do. */
const IDLE_STREAMS_PER_HOST_MAX = 4
