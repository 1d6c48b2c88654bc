/** Servers of the transport of 2024-11-05 for the bridge to use: the official SDK 1's, as its own example serves it. */
import * as Http from "node:http"
import type { AddressInfo, Socket } from "node:net"
import { Server } from "@modelcontextprotocol/sdk/server/index.js"
import { SSEServerTransport } from "@modelcontextprotocol/sdk/server/sse.js"
import { CallToolRequestSchema, ElicitResultSchema, ListToolsRequestSchema } from "@modelcontextprotocol/sdk/types.js"
import { Effect, type Scope } from "effect"

/** One server. */
export interface SseUpstream {
  /** Of its event stream. */
  readonly url: string
  readonly requests: ReadonlyArray<Http.IncomingMessage>
  readonly sessions: () => number
  /** Ends every connection, without a word; the sessions are gone with them. */
  readonly cut: Effect.Effect<void>
  /** Says this in place of its own path, as the place to post to. */
  readonly pretend: (endpoint: string) => void
}

/** Tools: `echo`, `remember` and `recall` a word of the session, `ask` the person, with a step of progress before, `hang`. */
export const make: Effect.Effect<SseUpstream, never, Scope.Scope> = Effect.gen(function* () {
  const requests: Array<Http.IncomingMessage> = []
  const sockets = new Set<Socket>()
  const transports = new Map<string, SSEServerTransport>()
  let endpoint: string | undefined

  const open = async (response: Http.ServerResponse) => {
    const transport = new SSEServerTransport("/messages", response)
    if (endpoint !== undefined) {
      response.writeHead(200, { "content-type": "text/event-stream" })
      return void response.write(`event: endpoint\ndata: ${endpoint}\n\n`)
    }
    transports.set(transport.sessionId, transport)
    response.on("close", () => transports.delete(transport.sessionId))
    await serverOf().connect(transport)
  }
  const http = Http.createServer((request, response) => {
    requests.push(request)
    const { pathname, searchParams } = new URL(request.url ?? "", "http://localhost")
    if (pathname === "/sse" && request.method === "GET") return void open(response)
    const transport = transports.get(searchParams.get("sessionId") ?? "")
    if (pathname !== "/messages" || request.method !== "POST" || transport === undefined) {
      // As Express answers what it has no route for.
      return void response.writeHead(404, { "content-type": "text/html" }).end(`<pre>Cannot ${request.method}</pre>`)
    }
    void transport.handlePostMessage(request, response)
  })
  http.on("connection", (socket) => {
    sockets.add(socket)
    socket.on("close", () => sockets.delete(socket))
  })
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => void http.listen(0, "127.0.0.1", () => resume(Effect.void))),
    () =>
      Effect.callback<void>((resume) => {
        http.close(() => resume(Effect.void))
        for (const socket of sockets) socket.destroy()
      })
  )
  const { port } = http.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/sse`,
    requests,
    sessions: () => transports.size,
    cut: Effect.sync(() => {
      for (const socket of sockets) socket.destroy()
    }),
    pretend: (place) => {
      endpoint = place
    }
  }
})

const TOOLS = ["echo", "remember", "recall", "ask", "hang"]

const serverOf = (): Server => {
  let word = ""
  const server = new Server({ name: "upstream", version: "1" }, { capabilities: { tools: {} } })
  server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: TOOLS.map((name) => ({ name, inputSchema: { type: "object" as const } }))
  }))
  server.setRequestHandler(CallToolRequestSchema, async ({ params }, extra) => {
    const value = String(params.arguments?.["value"] ?? "")
    const progressToken = extra._meta?.progressToken
    if (params.name === "remember") word = value
    if (params.name === "hang") await new Promise(() => undefined)
    if (params.name === "ask") {
      // The client answers after it has seen the step: official clients drop one that comes with the result (mcp §3.2).
      if (progressToken !== undefined) {
        await extra.sendNotification({ method: "notifications/progress", params: { progressToken, progress: 1 } })
      }
      const asked = { message: value, requestedSchema: { type: "object" as const, properties: {} } }
      const { action } = await extra.sendRequest({ method: "elicitation/create", params: asked }, ElicitResultSchema)
      return { content: [{ type: "text" as const, text: action }] }
    }
    return { content: [{ type: "text" as const, text: params.name === "recall" ? word : value }] }
  })
  return server
}
