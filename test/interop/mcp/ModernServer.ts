/**
 * A server of the official SDK that speaks the modern revision and refuses every other: tools that ask for a form, a page,
 * a sample and roots in several rounds, or without end; progress, cancellation, changes, prompts and resources.
 */
import { inputRequired, Server, type ServerContext } from "@modelcontextprotocol/server"
import { serveStdio } from "@modelcontextprotocol/server/stdio"

const FORM = {
  type: "object" as const,
  properties: { name: { type: "string" as const } },
  required: ["name"]
}
const text = (content: unknown) => ({
  content: [{ type: "text" as const, text: typeof content === "string" ? content : JSON.stringify(content) }]
})

let extra = false
let cancelled = 0

const tools = () =>
  [
    "echo",
    "ask",
    "page",
    "sample",
    "roots",
    "both",
    "forever",
    "paced",
    "slow",
    "hang",
    "cancelled",
    "grow",
    "touch",
    "log",
    "list"
  ]
    .concat(extra ? ["extra"] : [])
    .map((name) => ({
      name,
      inputSchema: { type: "object" as const },
      // A schema that no legacy client can read.
      ...(name === "list" ? { outputSchema: { type: "array", items: { type: "number" } } } : {})
    }))

const answers = (context: ServerContext): Record<string, unknown> => context.mcpReq.inputResponses ?? {}

const elicit = () => inputRequired.elicit({ message: "Name?", requestedSchema: FORM })

const call = async (server: Server, name: string, args: Record<string, unknown>, context: ServerContext) => {
  const given = answers(context)
  const state = context.mcpReq.requestState()
  switch (name) {
    case "ask":
      return given["name"] === undefined
        ? inputRequired({ inputRequests: { name: elicit() }, requestState: "state-1" })
        : text({ given: given["name"], state })
    case "page":
      return given["page"] === undefined
        ? inputRequired({
            inputRequests: { page: inputRequired.elicitUrl({ message: "Log in", url: "https://example.org/" }) }
          })
        : text(given["page"])
    case "sample": {
      const messages = [{ role: "user" as const, content: { type: "text" as const, text: "hello" } }]
      const request = inputRequired.createMessage({ messages, maxTokens: 5 })
      return given["sample"] === undefined
        ? inputRequired({ inputRequests: { sample: request } })
        : text(given["sample"])
    }
    case "roots":
      return given["roots"] === undefined
        ? inputRequired({ inputRequests: { roots: inputRequired.listRoots() } })
        : text(given["roots"])
    case "both":
      return given["a"] === undefined || given["b"] === undefined
        ? inputRequired({ inputRequests: { a: elicit(), b: elicit() } })
        : text(given)
    case "forever":
      return inputRequired({ inputRequests: { again: elicit() }, requestState: String(Number(state ?? 0) + 1) })
    case "paced":
      return state === "3" ? text("paced") : inputRequired({ requestState: String(Number(state ?? 0) + 1) })
    case "slow":
      for (const progress of [1, 2, 3]) {
        const token = context.mcpReq._meta?.progressToken
        if (token === undefined) break
        await context.mcpReq.notify({
          method: "notifications/progress",
          params: { progressToken: token, progress, total: 3 }
        })
      }
      return text("slow")
    case "hang":
      await new Promise<void>((resolve) => context.mcpReq.signal.addEventListener("abort", () => resolve()))
      cancelled++
      return text("aborted")
    case "cancelled":
      return text(String(cancelled))
    case "grow":
      extra = true
      await server.sendToolListChanged()
      return text("grown")
    case "touch":
      await server.sendResourceUpdated({ uri: "test://watched" })
      return text("touched")
    case "log":
      await server.sendLoggingMessage({ level: "warning", data: "logged" })
      return text("logged")
    case "list":
      return { ...text("[1,2]"), structuredContent: [1, 2] }
    default:
      return text(args)
  }
}

serveStdio(
  () => {
    const capabilities = {
      tools: { listChanged: true },
      prompts: {},
      resources: { subscribe: true, listChanged: true },
      logging: {}
    }
    const server = new Server({ name: "modern-only", version: "2.1" }, { capabilities, instructions: "Be modern." })
    server.setRequestHandler("tools/list", async () => ({ tools: tools() }))
    server.setRequestHandler("tools/call", async ({ params }, context) =>
      call(server, params.name, params.arguments ?? {}, context)
    )
    server.setRequestHandler("prompts/list", async () => ({ prompts: [{ name: "greet" }] }))
    server.setRequestHandler("prompts/get", async (_request, context) =>
      answers(context)["name"] === undefined
        ? inputRequired({ inputRequests: { name: elicit() } })
        : { messages: [{ role: "user", content: { type: "text", text: JSON.stringify(answers(context)["name"]) } }] }
    )
    server.setRequestHandler("resources/list", async () => ({
      resources: [{ uri: "test://watched", name: "watched" }]
    }))
    server.setRequestHandler("resources/read", async ({ params }) => {
      if (params.uri !== "test://watched") throw Object.assign(new Error("no such resource"), { code: -32602 })
      return { contents: [{ uri: params.uri, text: "content" }] }
    })
    return server
  },
  { legacy: "reject" }
)
