/** `HttpRelay` over Node's HTTP, which reads and writes the messages, and `httpxy`, which passes them on. */
import * as Http from "node:http"
import type * as Stream from "node:stream"
import { Effect, Layer } from "effect"
import { createProxyServer } from "httpxy"
import * as Provided from "../actor/Provided.ts"
import type { Duplex } from "./Duplex.ts"
import { type Dialled, type HttpRefusal, HttpRelay, type HttpRoute, type HttpRouting } from "./HttpRelay.ts"
import { NodeDuplex, open, type Run, runner } from "./NodeDuplex.ts"

/** One HTTP engine for all streams of this process. */
export const layer: Layer.Layer<HttpRelay> = Layer.effect(
  HttpRelay,
  Effect.gen(function* () {
    const engine = makeEngine(yield* Provided.services<never>())
    yield* Effect.addFinalizer(() => Effect.sync(() => engine.server.close()))
    return { serve: (client, routing) => serve(engine, client, routing) }
  })
)

interface Engine {
  readonly server: Http.Server
  readonly run: Run
  readonly routings: WeakMap<object, HttpRouting>
}

const serve = ({ routings, run, server }: Engine, client: Duplex<unknown>, routing: HttpRouting): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const stream = new NodeDuplex(client, run)
    routings.set(stream, routing)
    stream.on("error", () => {})
    stream.on("close", () => resume(Effect.void))
    server.emit("connection", stream)
    return Effect.sync(() => stream.destroy())
  })

const makeEngine = (context: Parameters<typeof Effect.runForkWith<never>>[0]): Engine => {
  const routings = new WeakMap<object, HttpRouting>()
  const run = runner(context)
  const proxy = createProxyServer()
  proxy.on("error", (error, _request, response) => fail(response, { status: 502, message: error.message }))
  // Headers of an event stream that has said nothing yet are news already.
  proxy.on("proxyRes", (_answer, _request, response) =>
    process.nextTick(() => response.headersSent || response.flushHeaders())
  )
  const routed = (request: Http.IncomingMessage): HttpRoute | HttpRefusal => {
    const routing = routings.get(request.socket)
    const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]))
    return (
      routing?.({ method: request.method ?? "", target: request.url ?? "", headers }) ?? { status: 404, message: "" }
    )
  }
  const server = Http.createServer(LIMITS, (request, response) => {
    const route = routed(request)
    if ("status" in route) return fail(response, route)
    change(request, route)
    void proxy.web(request, response, optionsOf(route, run)).catch(() => response.destroy())
  })
  server.on("upgrade", (request, socket, head) => {
    const route = routed(request)
    if ("status" in route) return fail(socket, route)
    change(request, route)
    void proxy.ws(request, socket as never, optionsOf(route, run), head).catch(() => socket.destroy())
  })
  server.on("connect", (request, socket, head) => {
    const route = routed(request)
    if ("status" in route) return fail(socket, route)
    if (!("dial" in route.to)) return fail(socket, { status: 403, message: "no tunnel leads there" })
    tunnel(open(route.to, run), socket, head)
  })
  server.on("clientError", (_error, socket) => fail(socket, { status: 400, message: "" }))
  return { server, run, routings }
}

const optionsOf = ({ headers, to }: HttpRoute, run: Run) => ({
  headers: { ...headers },
  target: "dial" in to ? PLACEHOLDER : { host: to.host, port: to.port, protocol: "http:" },
  agent: "dial" in to ? new DialAgent(to, run) : false
})

/** What belongs to this hop, or to nobody but us, goes. */
const change = (request: Http.IncomingMessage, { path, strip }: HttpRoute): void => {
  request.url = path
  for (const name of Object.keys(request.headers)) {
    if (name.startsWith(strip) || HOP_HEADERS.has(name)) delete request.headers[name]
  }
}

/** A stream of its own for one request. */
class DialAgent extends Http.Agent {
  readonly #to: Dialled
  readonly #run: Run

  constructor(to: Dialled, run: Run) {
    super({ keepAlive: false })
    this.#to = to
    this.#run = run
  }

  override createConnection(): Stream.Duplex {
    return open(this.#to, this.#run)
  }
}

const tunnel = (there: NodeDuplex, here: Stream.Duplex, head: Uint8Array): void => {
  const both = () => {
    here.destroy()
    there.destroy()
  }
  here.on("error", both)
  here.on("close", both)
  there.on("error", (error) => {
    if (!isEstablished) fail(here, { status: 502, message: error.message })
    both()
  })
  there.on("close", both)
  let isEstablished = false
  // A first write of nothing completes when the dial has.
  there.write(head.length > 0 ? head : EMPTY, (error) => {
    if (error !== null && error !== undefined) return
    isEstablished = true
    here.write("HTTP/1.1 200 Connection established\r\n\r\n")
    here.pipe(there)
    there.pipe(here)
  })
}

const fail = (to: Http.ServerResponse | Stream.Duplex | undefined, refusal: HttpRefusal): void => {
  if (to === undefined || to.destroyed) return
  const { headers = {}, message, status } = refusal
  if (to instanceof Http.ServerResponse) {
    if (to.headersSent) return void to.destroy()
    to.writeHead(status, { "content-type": "text/plain; charset=utf-8", ...headers }).end(`${message}\n`)
    return
  }
  const lines = Object.entries({ ...headers, connection: "close" }).map(([name, value]) => `${name}: ${value}\r\n`)
  to.end(`HTTP/1.1 ${status} ${Http.STATUS_CODES[status] ?? ""}\r\n${lines.join("")}\r\n${message}\n`)
}

const PLACEHOLDER = { host: "localhost", port: 80, protocol: "http:" }
const EMPTY = new Uint8Array(0)
const HOP_HEADERS = new Set(["proxy-authorization", "proxy-connection", "keep-alive", "te", "trailer"])
/** A client that dawdles over its headers is cut off; bodies may take as long as they want. */
const LIMITS = { headersTimeout: 10_000, requestTimeout: 0, keepAliveTimeout: 60_000, maxHeaderSize: 65_536 }
