/**
 * The server that the conformance suite asks for 2026-07-28, on SDK 2. With `--http` it serves `/mcp` and prints its URL;
 * without, it is a stdio server. Each era it serves from the same tools; `--modern-only` refuses the handshake.
 */
import { createServer, type IncomingMessage } from "node:http"
import { Readable } from "node:stream"
import {
  CLIENT_CAPABILITIES_META_KEY,
  createMcpHandler,
  createRequestStateCodec,
  inputRequired,
  type McpRequestContext,
  MissingRequiredClientCapabilityError,
  ProtocolError,
  Server,
  type ServerContext
} from "@modelcontextprotocol/server"
import { serveStdio } from "@modelcontextprotocol/server/stdio"
import * as Content from "./FixtureContent.ts"

const state = createRequestStateCodec<{ readonly round: number }>({ key: new Uint8Array(32).fill(7), ttlSeconds: 600 })
const pause = () => new Promise<void>((resume) => setTimeout(resume, 50))
const text = (value: string) => ({ content: [{ type: "text" as const, text: value }] })
const form = (message: string, field: string, type?: string) =>
  inputRequired.elicit({ message, requestedSchema: Content.formOf(field, type) as never })
const sample = (prompt: string, maxTokens: number) =>
  inputRequired.createMessage({ messages: [{ role: "user", content: { type: "text", text: prompt } }], maxTokens })

/** What kind of change somebody asked for; the entry point hears of it. */
type Change = "tools" | "prompts"

const make = (_context: McpRequestContext, changed: (change: Change) => void): Server => {
  const server = new Server(
    { name: "modern-fixture", version: "1.0.0" },
    {
      capabilities: {
        tools: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
        prompts: { listChanged: true },
        logging: {},
        completions: {}
      },
      requestState: { verify: state.verify }
    }
  )
  server.setRequestHandler("tools/list", () => ({ tools: [...Content.TOOLS, ...Content.MODERN_TOOLS] }))
  server.setRequestHandler("tools/call", async ({ params: { name, _meta } }, context) => {
    if (Content.isFixed(name)) return { content: Content.CONTENTS[name] }
    const asked = asking[name]
    if (asked !== undefined) return asked(context)
    switch (name) {
      case "test_tool_with_progress":
        for (const progress of [0, 50, 100]) {
          if (_meta?.progressToken !== undefined)
            await context.mcpReq.notify({
              method: "notifications/progress",
              params: { progressToken: _meta.progressToken, progress, total: 100 }
            })
          await pause()
        }
        return text("Progress completed")
      case "test_error_handling":
        return { ...text(Content.FAILURE), isError: true }
      case "test_logging_tool":
        await context.mcpReq.log("info", "Tool executed")
        return text("Logged")
      case "test_trigger_tool_change":
        changed("tools")
        return text("Changed")
      case "test_trigger_prompt_change":
        changed("prompts")
        return text("Changed")
      default:
        throw new ProtocolError(-32602, `Unknown tool: ${name}`)
    }
  })
  server.setRequestHandler("resources/list", () => ({ resources: Content.RESOURCES }))
  server.setRequestHandler("resources/templates/list", () => ({ resourceTemplates: Content.TEMPLATES }))
  server.setRequestHandler("resources/read", ({ params: { uri } }) => {
    const found = Content.read(uri)
    if (found === undefined) throw new ProtocolError(-32602, "Resource not found", { uri })
    return { contents: [found] }
  })
  server.setRequestHandler("prompts/list", () => ({ prompts: [...Content.PROMPTS, ...Content.MODERN_PROMPTS] }))
  server.setRequestHandler("prompts/get", ({ params: { name, arguments: args = {} } }, context) => {
    if (name === "test_input_required_result_prompt") {
      const answer = fieldOf(context, "user_context", "context")
      if (answer === undefined)
        return inputRequired({
          inputRequests: { user_context: form("What context should the prompt use?", "context") }
        })
      return { messages: [{ role: "user" as const, content: { type: "text" as const, text: `Use ${answer}` } }] }
    }
    const messages = Content.prompt(name, args)
    if (messages === undefined) throw new ProtocolError(-32602, `Unknown prompt: ${name}`)
    return { messages }
  })
  server.setRequestHandler("completion/complete", ({ params: { argument } }) => {
    const values = Content.completions(argument.value)
    return { completion: { values, total: values.length, hasMore: false } }
  })
  return server
}

/** The text of a field that the client's user filled in; nothing if the answer is of another shape. */
const fieldOf = (context: ServerContext, key: string, field: string): string | undefined => {
  const answer = context.mcpReq.inputResponses?.[key]
  if (typeof answer !== "object" || answer === null || !("content" in answer)) return undefined
  const { content } = answer
  if (typeof content !== "object" || content === null || !(field in content)) return undefined
  const value: unknown = Reflect.get(content, field)
  return value === undefined ? undefined : String(value)
}

const responseOf = (context: ServerContext, key: string): unknown => context.mcpReq.inputResponses?.[key]
const roundOf = (context: ServerContext): number =>
  context.mcpReq.requestState<{ readonly round: number }>()?.round ?? 0

type Asking = (context: ServerContext) => unknown
/** The tools that ask for input. */
const asking: Readonly<Record<string, (context: ServerContext) => Promise<ReturnType<typeof text>>>> =
  Object.fromEntries(
    Object.entries<Asking>({
      test_input_required_result_elicitation: (context) => {
        const name = fieldOf(context, "user_name", "name")
        return name === undefined
          ? inputRequired({ inputRequests: { user_name: form("What is your name?", "name") } })
          : text(`Hello, ${name}!`)
      },
      test_streaming_elicitation: async (context) => {
        const progressToken = context.mcpReq._meta?.progressToken
        if (progressToken !== undefined)
          await context.mcpReq.notify({
            method: "notifications/progress",
            params: { progressToken, progress: 1, total: 2 }
          })
        return context.mcpReq.inputResponses === undefined
          ? inputRequired({ inputRequests: { user_name: form("What is your name?", "name") } })
          : text("Answered")
      },
      test_input_required_result_sampling: (context) => {
        const answer = responseOf(context, "capital_question")
        return answer === undefined
          ? inputRequired({ inputRequests: { capital_question: sample("What is the capital of France?", 100) } })
          : text(`The model says: ${JSON.stringify(answer)}`)
      },
      test_input_required_result_list_roots: (context) => {
        const answer = responseOf(context, "client_roots")
        return answer === undefined
          ? inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } })
          : text(`Roots: ${JSON.stringify(answer)}`)
      },
      test_input_required_result_request_state: async (context) =>
        roundOf(context) === 1 && responseOf(context, "confirm") !== undefined
          ? text("state-ok")
          : inputRequired({
              inputRequests: { confirm: form("Please confirm", "ok", "boolean") },
              requestState: await state.mint({ round: 1 }, context)
            }),
      test_input_required_result_multiple_inputs: async (context) =>
        roundOf(context) === 1 &&
        ["user_name", "greeting", "client_roots"].every((key) => responseOf(context, key) !== undefined)
          ? text("All inputs received")
          : inputRequired({
              inputRequests: {
                user_name: form("What is your name?", "name"),
                greeting: sample("Generate a greeting", 50),
                client_roots: inputRequired.listRoots()
              },
              requestState: await state.mint({ round: 1 }, context)
            }),
      test_input_required_result_multi_round: async (context) => {
        const round = roundOf(context)
        if (round === 2 && responseOf(context, "step2") !== undefined) return text("Both steps answered")
        const next = round === 1 && responseOf(context, "step1") !== undefined ? 2 : 1
        return inputRequired({
          inputRequests:
            next === 2
              ? { step2: form("Step 2: What is your favorite color?", "color") }
              : { step1: form("Step 1: What is your name?", "name") },
          requestState: await state.mint({ round: next }, context)
        })
      },
      test_input_required_result_tampered_state: async (context) =>
        roundOf(context) === 1
          ? text("The state is whole")
          : inputRequired({
              inputRequests: { confirm: form("Please confirm", "ok", "boolean") },
              requestState: await state.mint({ round: 1 }, context)
            }),
      test_input_required_result_capabilities: (context) => {
        if (context.mcpReq.inputResponses !== undefined) return text("Answered")
        const capabilities = capabilitiesOf(context)
        return inputRequired({
          inputRequests: {
            ...("sampling" in capabilities ? { sampled: sample("Say something", 20) } : {}),
            ...("elicitation" in capabilities ? { asked: form("What is your name?", "name") } : {})
          }
        })
      },
      test_missing_capability: (context) => {
        if (!("sampling" in capabilitiesOf(context)))
          throw new MissingRequiredClientCapabilityError({ requiredCapabilities: { sampling: {} } })
        return text("The client can sample")
      }
    })
  ) as never

const capabilitiesOf = (context: ServerContext): object => {
  const declared: unknown = Reflect.get(context.mcpReq.envelope ?? {}, CLIENT_CAPABILITIES_META_KEY)
  return typeof declared === "object" && declared !== null ? declared : {}
}

const legacy = process.argv.includes("--modern-only") ? "reject" : undefined

const serveHttp = () => {
  const handler = createMcpHandler(
    (context) =>
      make(context, (change) => (change === "tools" ? handler.notify.toolsChanged() : handler.notify.promptsChanged())),
    legacy === undefined ? {} : { legacy }
  )
  const server = createServer(async (request, response) => {
    const gone = new AbortController()
    response.on("close", () => gone.abort())
    if (!/^(127\.0\.0\.1|localhost):/.test(request.headers.host ?? "") || isForeign(request.headers.origin))
      return void response.writeHead(403).end()
    const answer = await handler.fetch(toWeb(request, gone.signal))
    response.writeHead(answer.status, Object.fromEntries(answer.headers))
    if (answer.body === null) return void response.end()
    Readable.fromWeb(answer.body as never)
      .on("error", () => response.destroy())
      .pipe(response)
  })
  server.listen(0, "127.0.0.1", () => {
    const address = server.address()
    if (typeof address === "object" && address !== null) console.log(`http://127.0.0.1:${address.port}/mcp`)
  })
}

/** The bare handler checks neither Host nor Origin. */
const isForeign = (origin: string | undefined): boolean =>
  origin !== undefined && !/^http:\/\/(127\.0\.0\.1|localhost)(:|$)/.test(origin)

const toWeb = (request: IncomingMessage, signal: AbortSignal): Request => {
  const hasBody = request.method === "POST"
  return new Request(`http://${request.headers.host}${request.url}`, {
    method: request.method ?? "GET",
    headers: Object.entries(request.headers).flatMap(
      ([name, value]): Array<[string, string]> => (value === undefined ? [] : [[name, String(value)]])
    ),
    signal,
    ...(hasBody ? { body: Readable.toWeb(request) as never, duplex: "half" } : {})
  } as RequestInit)
}

if (process.argv.includes("--http")) serveHttp()
else
  serveStdio(
    (context) => {
      const server = make(context, (change) =>
        change === "tools" ? void server.sendToolListChanged() : void server.sendPromptListChanged()
      )
      return server
    },
    legacy === undefined ? {} : { legacy }
  )
