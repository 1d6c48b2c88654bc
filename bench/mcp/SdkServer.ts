/** The same tools as `EchoServer.ts`, by the official SDK: what most servers are made of. */
import { fileURLToPath } from "node:url"
import { Server } from "@modelcontextprotocol/sdk/server/index.js"
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js"
import { CallToolRequestSchema, ListToolsRequestSchema } from "@modelcontextprotocol/sdk/types.js"

/** The program. */
export const PROGRAM = fileURLToPath(import.meta.url)

const serve = async () => {
  const server = new Server({ name: "echo", version: "1" }, { capabilities: { tools: {} } })
  server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: [{ name: "echo", description: "The tool echo", inputSchema: { type: "object" } }]
  }))
  server.setRequestHandler(CallToolRequestSchema, ({ params }) => ({
    content: [{ type: "text", text: String(params.arguments?.["value"] ?? "") }]
  }))
  await server.connect(new StdioServerTransport())
}

if (process.argv[1] === PROGRAM) await serve()
