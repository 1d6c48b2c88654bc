/**
 * Streamable HTTP servers for the bridge to use: the official SDK 1 with sessions, event ids and a correct event store, in
 * this process, so that a test can cut its connections and make it forget what it knew.
 */
import { randomUUID } from "node:crypto"
import * as Http from "node:http"
import type { AddressInfo, Socket } from "node:net"
import { Server } from "@modelcontextprotocol/sdk/server/index.js"
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js"
import { CallToolRequestSchema, type JSONRPCMessage, ListToolsRequestSchema } from "@modelcontextprotocol/sdk/types.js"
import { Effect, Latch, type Scope } from "effect"

/** One server. */
export interface HttpUpstream {
  readonly url: string
  /** Every request as method, path and headers, in order. */
  readonly requests: ReadonlyArray<Http.IncomingMessage>
  /** Ends every connection, without a word. */
  readonly cut: Effect.Effect<void>
  /** The same, and the sessions are forgotten, as after a restart. */
  readonly restart: Effect.Effect<void>
  /** Lets the calls of `wait` go on. */
  readonly release: Effect.Effect<void>
  /** Waits until so many calls of `wait` have begun. */
  readonly begun: (count: number) => Effect.Effect<void>
  /** Answers everything with this status from now on; undefined: normally. */
  readonly refuse: (status: number | undefined, headers?: Http.OutgoingHttpHeaders) => void
  readonly sessions: () => number
}

/** Tools: `echo`, `remember` and `recall` a word of the session, `wait` for the test, with one step of progress before. */
export const make: Effect.Effect<HttpUpstream, never, Scope.Scope> = Effect.gen(function* () {
  const requests: Array<Http.IncomingMessage> = []
  const sockets = new Set<Socket>()
  const transports = new Map<string, StreamableHTTPServerTransport>()
  const gate = Latch.makeUnsafe(false)
  let begun = 0
  let refusal: { readonly status: number; readonly headers: Http.OutgoingHttpHeaders } | undefined
  const changed = Latch.makeUnsafe(false)

  const open = async () => {
    let word = ""
    const server = new Server({ name: "upstream", version: "1" }, { capabilities: { tools: {} } })
    server.setRequestHandler(ListToolsRequestSchema, () => ({
      tools: ["echo", "remember", "recall", "wait"].map((name) => ({ name, inputSchema: { type: "object" as const } }))
    }))
    server.setRequestHandler(CallToolRequestSchema, async ({ params }, extra) => {
      const value = String(params.arguments?.["value"] ?? "")
      if (params.name === "remember") word = value
      if (params.name === "wait") {
        begun++
        changed.openUnsafe()
        const progressToken = extra._meta?.progressToken
        if (progressToken !== undefined) {
          await extra.sendNotification({ method: "notifications/progress", params: { progressToken, progress: 1 } })
        }
        await Effect.runPromise(gate.await)
      }
      return { content: [{ type: "text" as const, text: params.name === "recall" ? word : value }] }
    })
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      eventStore: eventStore(),
      retryInterval: 10,
      onsessioninitialized: (id) => void transports.set(id, transport),
      onsessionclosed: (id) => void transports.delete(id)
    })
    await server.connect(transport)
    return transport
  }

  const http = Http.createServer((request, response) => {
    requests.push(request)
    if (refusal !== undefined) return void response.writeHead(refusal.status, refusal.headers).end()
    const id = request.headers["mcp-session-id"]
    const known = typeof id === "string" ? transports.get(id) : undefined
    if (id !== undefined && known === undefined) return void response.writeHead(404).end()
    void (known === undefined ? open() : Promise.resolve(known)).then((transport) =>
      transport.handleRequest(request, response)
    )
  })
  http.on("connection", (socket) => {
    sockets.add(socket)
    socket.on("close", () => sockets.delete(socket))
  })
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => void http.listen(0, "127.0.0.1", () => resume(Effect.void))),
    () =>
      Effect.callback<void>((resume) => {
        gate.openUnsafe()
        http.close(() => resume(Effect.void))
        http.closeAllConnections()
      })
  )
  const cut = Effect.sync(() => {
    for (const socket of sockets) socket.destroy()
  })
  const port = (http.address() as AddressInfo).port
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    requests,
    cut,
    restart: Effect.andThen(
      Effect.sync(() => transports.clear()),
      cut
    ),
    release: gate.open,
    begun: (count) =>
      Effect.gen(function* () {
        while (begun < count) {
          changed.closeUnsafe()
          yield* changed.await
        }
      }),
    refuse: (status, headers = {}) => {
      refusal = status === undefined ? undefined : { status, headers }
    },
    sessions: () => transports.size
  }
})

/** Event ids that name their stream, so that each is resumed alone. */
const eventStore = () => {
  const events: Array<{ readonly id: string; readonly stream: string; readonly message: JSONRPCMessage }> = []
  return {
    storeEvent: async (stream: string, message: JSONRPCMessage) => {
      const id = `${stream}/${events.length}`
      events.push({ id, stream, message })
      return id
    },
    replayEventsAfter: async (
      lastEventId: string,
      { send }: { readonly send: (eventId: string, message: JSONRPCMessage) => Promise<void> }
    ) => {
      const stream = lastEventId.slice(0, lastEventId.lastIndexOf("/"))
      const from = events.findIndex(({ id }) => id === lastEventId)
      for (const event of events.slice(from + 1)) if (event.stream === stream) await send(event.id, event.message)
      return stream
    }
  }
}
