/**
 * The server that the conformance suite asks for 2025-11-25, on SDK 1. With `--http` it serves sessions with resumable
 * streams at `/mcp` and prints its URL; without, it is a stdio server.
 */
import { randomUUID } from "node:crypto"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { Server } from "@modelcontextprotocol/sdk/server/index.js"
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js"
import { type EventStore, StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js"
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js"
import {
  CallToolRequestSchema,
  CompleteRequestSchema,
  CreateMessageResultSchema,
  ElicitResultSchema,
  GetPromptRequestSchema,
  type JSONRPCMessage,
  ListPromptsRequestSchema,
  ListResourcesRequestSchema,
  ListResourceTemplatesRequestSchema,
  ListToolsRequestSchema,
  McpError,
  ReadResourceRequestSchema,
  SetLevelRequestSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema
} from "@modelcontextprotocol/sdk/types.js"
import * as Content from "./FixtureContent.ts"

const pause = () => new Promise<void>((resume) => setTimeout(resume, 50))
const text = (value: string) => ({ content: [{ type: "text" as const, text: value }] })

const make = (): Server => {
  const server = new Server(
    { name: "legacy-fixture", version: "1.0.0" },
    {
      capabilities: {
        tools: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
        prompts: { listChanged: true },
        logging: {},
        completions: {}
      }
    }
  )
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: [...Content.TOOLS, ...Content.LEGACY_TOOLS] }))
  server.setRequestHandler(CallToolRequestSchema, async ({ params: { name, arguments: args = {}, _meta } }, extra) => {
    if (Content.isFixed(name)) return { content: Content.CONTENTS[name] }
    const ask = async (message: string, requestedSchema: unknown) => {
      const request = { method: "elicitation/create", params: { message, requestedSchema } } as const
      // The enumerations of a later revision are not in the types of the request.
      return extra.sendRequest(request as Parameters<typeof extra.sendRequest>[0], ElicitResultSchema)
    }
    switch (name) {
      case "test_tool_with_progress":
        for (const progress of [0, 50, 100]) {
          if (_meta?.progressToken !== undefined)
            await extra.sendNotification({
              method: "notifications/progress",
              params: { progressToken: _meta.progressToken, progress, total: 100 }
            })
          await pause()
        }
        return text("Progress completed")
      case "test_tool_with_logging":
        for (const data of ["Tool execution started", "Tool processing data", "Tool execution completed"]) {
          await extra.sendNotification({ method: "notifications/message", params: { level: "info", data } })
          await pause()
        }
        return text("Logged")
      case "test_error_handling":
        return { ...text(Content.FAILURE), isError: true }
      case "test_sampling": {
        const { content } = await extra.sendRequest(
          {
            method: "sampling/createMessage",
            params: {
              messages: [{ role: "user", content: { type: "text", text: String(args["prompt"]) } }],
              maxTokens: 100
            }
          },
          CreateMessageResultSchema
        )
        return text(`LLM response: ${"text" in content ? content.text : ""}`)
      }
      case "test_elicitation": {
        const { action, content } = await ask(String(args["message"]), Content.FORMS.test_elicitation)
        return text(`User response: action=${action}, content=${JSON.stringify(content ?? {})}`)
      }
      case "test_elicitation_sep1034_defaults":
      case "test_elicitation_sep1330_enums": {
        const { action, content } = await ask("Please fill in", Content.FORMS[name])
        return text(`Elicitation completed: action=${action}, content=${JSON.stringify(content ?? {})}`)
      }
      case "test_reconnection":
        extra.closeSSEStream?.()
        await pause()
        return text("Reconnection test completed successfully.")
      default:
        throw new McpError(-32602, `Unknown tool: ${name}`)
    }
  })
  server.setRequestHandler(ListResourcesRequestSchema, () => ({ resources: Content.RESOURCES }))
  server.setRequestHandler(ListResourceTemplatesRequestSchema, () => ({ resourceTemplates: Content.TEMPLATES }))
  server.setRequestHandler(ReadResourceRequestSchema, ({ params: { uri } }) => {
    const found = Content.read(uri)
    if (found === undefined) throw new McpError(-32002, "Resource not found", { uri })
    return { contents: [found] }
  })
  server.setRequestHandler(SubscribeRequestSchema, () => ({}))
  server.setRequestHandler(UnsubscribeRequestSchema, () => ({}))
  server.setRequestHandler(ListPromptsRequestSchema, () => ({ prompts: Content.PROMPTS }))
  server.setRequestHandler(GetPromptRequestSchema, ({ params: { name, arguments: args = {} } }) => {
    const messages = Content.prompt(name, args)
    if (messages === undefined) throw new McpError(-32602, `Unknown prompt: ${name}`)
    return { messages }
  })
  server.setRequestHandler(CompleteRequestSchema, ({ params: { argument } }) => {
    const values = Content.completions(argument.value)
    return { completion: { values, total: values.length, hasMore: false } }
  })
  server.setRequestHandler(SetLevelRequestSchema, () => ({}))
  return server
}

/** Remembers every event, so that any stream can be resumed. */
class Events implements EventStore {
  readonly #events: Array<{ readonly id: string; readonly stream: string; readonly message: JSONRPCMessage }> = []

  async storeEvent(stream: string, message: JSONRPCMessage): Promise<string> {
    const id = `${stream}_${this.#events.length}`
    this.#events.push({ id, stream, message })
    return id
  }

  async replayEventsAfter(last: string, { send }: Parameters<EventStore["replayEventsAfter"]>[1]): Promise<string> {
    const index = this.#events.findIndex(({ id }) => id === last)
    const stream = this.#events[index]?.stream ?? ""
    for (const event of this.#events.slice(index + 1)) {
      // A priming event holds no message.
      if (event.stream === stream && Object.keys(event.message).length > 0) await send(event.id, event.message)
    }
    return stream
  }
}

/** The SDK's transports are not declared for exactOptionalPropertyTypes. */
const connect = (transport: unknown) => make().connect(transport as Transport)

const serveHttp = () => {
  const sessions = new Map<string, StreamableHTTPServerTransport>()
  const open = async (): Promise<StreamableHTTPServerTransport> => {
    const transport: StreamableHTTPServerTransport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      eventStore: new Events(),
      retryInterval: 200,
      onsessioninitialized: (id) => void sessions.set(id, transport),
      onsessionclosed: (id) => void sessions.delete(id),
      enableDnsRebindingProtection: true,
      allowedHosts: [`127.0.0.1:${port()}`, `localhost:${port()}`],
      allowedOrigins: [`http://127.0.0.1:${port()}`, `http://localhost:${port()}`]
    })
    await connect(transport)
    return transport
  }
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const id = request.headers["mcp-session-id"]
    const known = typeof id === "string" ? sessions.get(id) : undefined
    if (typeof id === "string" && known === undefined) response.writeHead(404).end()
    else await (known ?? (await open())).handleRequest(request, response)
  }
  const server = createServer((request, response) => void answer(request, response))
  const port = () => {
    const address = server.address()
    return typeof address === "object" && address !== null ? address.port : 0
  }
  server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${port()}/mcp`))
}

if (process.argv.includes("--http")) serveHttp()
else await connect(new StdioServerTransport())
