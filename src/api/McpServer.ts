/** An MCP server as agent authors use it: its tools as typed effects, whatever carries the messages. */
import { Effect, Queue, Schema, Stream } from "effect"
import { listing, type McpClient, type McpError, type Progress } from "../actors/mcp/client/McpClient.ts"
import * as Json from "../core/data/Json.ts"
import * as McpCalls from "./McpCalls.ts"
import * as McpChanges from "./McpChanges.ts"
import * as McpOffers from "./McpOffers.ts"

/** The tool was run and says that it failed; `message` is what it told the model. */
export class ToolFailed extends Schema.TaggedError<ToolFailed>()("ToolFailed", {
  tool: Schema.String,
  message: Schema.String
}) {}

/** A tool as its server describes it. Everything in it is the server's claim, and none of it checked. */
export interface Tool {
  readonly name: string
  readonly title: string
  readonly description: string
  /** JSON Schema of the arguments. */
  readonly inputSchema: Json.JsonObject
  /** The whole definition. */
  readonly definition: Json.JsonObject
}

/** What a tool gave. */
export interface ToolResult {
  /** Its text parts, one per line. */
  readonly text: string
  /** `structuredContent`; undefined when there is none. */
  readonly structured: Json.Json | undefined
  /** All parts, as the server sent them. */
  readonly content: ReadonlyArray<Json.JsonObject>
}

/** Steps of a running tool, then its result. */
export type Update =
  | { readonly _tag: "Progress"; readonly progress: Progress }
  | { readonly _tag: "Done"; readonly result: ToolResult }

/** An open server. It ends with the scope it was opened in. */
export interface McpServer extends McpOffers.Offers, McpChanges.Changes {
  /** The revision spoken, as `2025-11-25`. */
  readonly revision: string
  /** What the server says it is, and how it wants to be used. */
  readonly info: { readonly name: string; readonly version: string; readonly instructions: string }
  /** All tools, asked for now. */
  readonly tools: Effect.Effect<ReadonlyArray<Tool>, McpError>
  /** Runs a tool; interruption cancels it there. */
  readonly call: {
    (name: string, args?: Json.JsonObject): Effect.Effect<ToolResult, McpError | ToolFailed>
    /** The structured result, or else the text as JSON, as `success` says. */
    <A, I, R>(
      name: string,
      args: Json.JsonObject,
      success: Schema.Codec<A, I, R>
    ): Effect.Effect<A, McpError | ToolFailed | Schema.SchemaError, R>
  }
  /** Runs a tool and tells its steps. */
  readonly watch: (name: string, args?: Json.JsonObject) => Stream.Stream<Update, McpError | ToolFailed>
  /** What the server says it can do. */
  readonly capabilities: Json.JsonObject
  /** Any other request of the protocol. */
  readonly request: McpClient["request"]
}

/** The server behind an open client; its requests are made as the options say. */
export const fromClient = (opened: McpClient, options: McpCalls.CallOptions = {}): McpServer => {
  const request = McpCalls.guarded(opened, options)
  const client = { ...opened, request, list: listing(request) }
  const run = (name: string, args: Json.JsonObject, onProgress?: (progress: Progress) => void) =>
    Effect.flatMap(client.request("tools/call", { name, arguments: args }, onProgress), (result) =>
      toResult(name, result)
    )

  function call(name: string, args?: Json.JsonObject): Effect.Effect<ToolResult, McpError | ToolFailed>
  function call<A, I, R>(
    name: string,
    args: Json.JsonObject,
    success: Schema.Codec<A, I, R>
  ): Effect.Effect<A, McpError | ToolFailed | Schema.SchemaError, R>
  function call<A, I, R>(name: string, args: Json.JsonObject = {}, success?: Schema.Codec<A, I, R>) {
    const ran = run(name, args)
    return success === undefined
      ? ran
      : Effect.flatMap(ran, (result) =>
          Schema.decodeUnknownEffect(success)(result.structured ?? Json.parse(result.text))
        )
  }

  const { era } = client
  return {
    revision: era.revision,
    info: {
      name: Json.string(era.serverInfo, "name"),
      version: Json.string(era.serverInfo, "version"),
      instructions: era.instructions
    },
    tools: Effect.map(client.list("tools/list", "tools"), (tools) => tools.map(toTool)),
    call,
    watch: (name, args = {}) =>
      Stream.callback<Update, McpError | ToolFailed>((queue) => {
        const told = (progress: Progress) => void Queue.offerUnsafe(queue, { _tag: "Progress", progress })
        return run(name, args, told).pipe(
          Effect.flatMap((result) => Queue.offer(queue, { _tag: "Done", result })),
          Effect.matchCauseEffect({
            onFailure: (cause) => Queue.failCause(queue, cause),
            onSuccess: () => Queue.end(queue)
          })
        )
      }),
    capabilities: era.capabilities,
    request,
    ...McpOffers.make(client),
    // A subscription lasts as long as its stream, whatever the limit of a request.
    ...McpChanges.make(opened)
  }
}

const toTool = (definition: Json.JsonObject): Tool => {
  const schema = Json.member(definition, "inputSchema")
  return {
    name: Json.string(definition, "name"),
    title: Json.string(definition, "title"),
    description: Json.string(definition, "description"),
    inputSchema: Json.isObject(schema) ? schema : {},
    definition
  }
}

const toResult = (tool: string, result: Json.JsonObject): Effect.Effect<ToolResult, ToolFailed> => {
  const content = Json.objects(result, "content")
  const text = content
    .filter((part) => Json.string(part, "type") === "text")
    .map((part) => Json.string(part, "text"))
    .join("\n")
  return Json.boolean(result, "isError")
    ? Effect.fail(new ToolFailed({ tool, message: text }))
    : Effect.succeed({ text, structured: Json.member(result, "structuredContent"), content })
}
