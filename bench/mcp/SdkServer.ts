/**
 * The same tools as `EchoServer.ts`, by the official SDK: what most servers are made of. Over standard input and output, or
 * with `http` as the argument over streamable HTTP, whose address it tells on its channel.
 */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { fileURLToPath } from "node:url"
import { Server } from "@modelcontextprotocol/sdk/server/index.js"
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js"
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js"
import { CallToolRequestSchema, ListToolsRequestSchema } from "@modelcontextprotocol/sdk/types.js"

/** The program. */
export const PROGRAM = fileURLToPath(import.meta.url)

const make = (): Server => {
  const server = new Server({ name: "echo", version: "1" }, { capabilities: { tools: {} } })
  server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: [{ name: "echo", description: "The tool echo", inputSchema: { type: "object" } }]
  }))
  server.setRequestHandler(CallToolRequestSchema, ({ params }) => ({
    content: [{ type: "text", text: String(params.arguments?.["value"] ?? "") }]
  }))
  return server
}

const serveHttp = async () => {
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: () => "bench" })
  await make().connect(transport)
  const http = createServer((request, response) => void transport.handleRequest(request, response))
  http.listen(0, "127.0.0.1", () => process.send?.((http.address() as AddressInfo).port))
  process.on("disconnect", () => process.exit())
}

if (process.argv[1] === PROGRAM) {
  await (process.argv[2] === "http" ? serveHttp() : make().connect(new StdioServerTransport()))
}
