/**
 * A server's tools as typed effects: a `Toolkit` that this program knows (`typed`), or whatever the server lists, for a
 * `LanguageModel` (`forModel`).
 */
import { Effect, Schema } from "effect"
import { Tool, Toolkit } from "effect/ai"
import type { McpError } from "../actors/mcp/client/McpClient.ts"
import * as Json from "../core/data/Json.ts"
import * as PlainText from "../protocol/mcp/PlainText.ts"
import * as SchemaMatch from "../protocol/mcp/SchemaMatch.ts"
import type { McpServer, ToolFailed, ToolResult } from "./McpServer.ts"

/** The server does not have the tool, or lists it with parameters that this program's calls do not fit. */
export class ToolMismatch extends Schema.TaggedError<ToolMismatch>()("ToolMismatch", {
  tool: Schema.String,
  disagreements: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `${this.tool}: ${this.disagreements.join("; ")}`
  }
}

/** One call of a tool: its parameters in, its success or declared failure out. */
export type Call<T extends Tool.Any> = (
  ...args: {} extends Tool.Parameters<T> ? [params?: Tool.Parameters<T>] : [params: Tool.Parameters<T>]
) => Effect.Effect<
  Tool.Success<T>,
  McpError | ToolFailed | Schema.SchemaError | Tool.Failure<T>,
  Tool.SchemaServices<T>
>

/** The tools of a kit by name. */
export type Calls<Tools extends Record<string, Tool.Any>> = { readonly [Name in keyof Tools]: Call<Tools[Name]> }

/**
 * The tools of the kit at that server, after a look at what it lists: a tool that is missing, or whose parameters certainly
 * do not fit, fails with `ToolMismatch` now and not in the middle of the work.
 */
export const typed = Effect.fn("Mcp.typed")(function* <Tools extends Record<string, Tool.Any>>(
  server: Pick<McpServer, "call" | "tools">,
  kit: Toolkit.Toolkit<Tools>
): Effect.fn.Return<Calls<Tools>, McpError | ToolMismatch> {
  const listed = new Map((yield* server.tools).map((tool) => [tool.name, tool]))
  for (const tool of Object.values(kit.tools)) {
    const found = listed.get(tool.name)
    const ours = Json.parseObject(JSON.stringify(Tool.getJsonSchema(tool))) ?? {}
    const disagreements =
      found === undefined ? ["the server has no such tool"] : SchemaMatch.disagreements(ours, found.inputSchema)
    if (disagreements.length > 0) return yield* new ToolMismatch({ tool: tool.name, disagreements })
  }
  const calls = Object.values(kit.tools).map((tool) => [tool.name, callOf(server, tool)])
  return Object.fromEntries(calls)
})

const callOf = (server: Pick<McpServer, "call">, tool: Tool.Any) => {
  const encode = Schema.encodeUnknownEffect(tool.parametersSchema)
  return Effect.fn(`Mcp.typed.${tool.name}`)(function* (params: unknown = {}) {
    const encoded: unknown = yield* encode(params)
    const args = Json.parseObject(JSON.stringify(encoded)) ?? {}
    const result = yield* Effect.catchTag(server.call(tool.name, args), "ToolFailed", (failed) =>
      declared(tool, failed)
    )
    return yield* success(tool, result)
  })
}

/** What the tool gave: its structured result, or its text as JSON, or as the text it is. */
const success = (tool: Tool.Any, { structured, text }: ToolResult) => {
  const decode = Schema.decodeUnknownEffect(tool.successSchema)
  if (structured !== undefined) return decode(structured)
  const value = Json.parse(text)
  return value === undefined ? decode(text) : Effect.catch(decode(value), () => decode(text))
}

/** A failure that the tool declares comes as text; one that it does not declare stays `ToolFailed`. */
const declared = (tool: Tool.Any, failed: ToolFailed) =>
  Schema.decodeUnknownEffect(tool.failureSchema)(Json.parse(failed.message) ?? failed.message).pipe(
    Effect.matchEffect({ onFailure: () => Effect.fail(failed), onSuccess: (failure) => Effect.fail(failure) })
  )

/** What a model may call; every result is text, a failure as well, so that the model can react to it. */
export type ModelToolkit = Toolkit.WithHandler<Record<string, ModelTool>>

type ModelTool = Tool.Tool<
  string,
  {
    readonly parameters: typeof Schema.Unknown
    readonly success: typeof Schema.String
    readonly failure: typeof Schema.String
    readonly failureMode: "return"
  }
>

/**
 * The server's tools as they are listed now, for `LanguageModel.generateText({ toolkit })`. Names are kept to what models
 * take; descriptions are the server's words, cut and without characters that nobody sees, and still not to be trusted.
 */
export const forModel = Effect.fn("Mcp.forModel")(function* (
  server: Pick<McpServer, "call" | "tools">,
  options: { readonly prefix?: string; readonly only?: (name: string) => boolean } = {}
): Effect.fn.Return<ModelToolkit, McpError> {
  const { only = () => true, prefix = "" } = options
  const listed = (yield* server.tools).filter(({ name }) => only(name)).slice(0, TOOLS_MAX)
  const handlers: Record<string, (params: unknown) => Effect.Effect<string, string>> = {}
  const tools = listed.map(({ description, inputSchema, name: original }) => {
    const name = uniqueName(`${prefix}${original}`, handlers)
    handlers[name] = (params) =>
      Effect.matchEffect(server.call(original, Json.parseObject(JSON.stringify(params ?? {})) ?? {}), {
        onFailure: ({ message }) => Effect.fail(message),
        onSuccess: (result) => Effect.succeed(textOf(result))
      })
    return Tool.dynamic(name, {
      description: PlainText.clean(description).text.slice(0, DESCRIPTION_MAX),
      parameters: { type: "object", ...inputSchema },
      success: Schema.String,
      failure: Schema.String,
      failureMode: "return"
    }).annotate(Tool.Strict, false)
  })
  const kit = Toolkit.make(...tools)
  return yield* Effect.provideContext(kit, yield* kit.toHandlers(handlers))
})

/** Text as it is; anything else as the JSON it came as. */
const textOf = ({ content, structured, text }: ToolResult): string => {
  if (text !== "") return text
  return structured === undefined ? JSON.stringify(content) : JSON.stringify(structured)
}

/** Models take 64 letters, digits, `_` and `-`; what becomes the same gets a number. */
const uniqueName = (wanted: string, taken: Readonly<Record<string, unknown>>): string => {
  const name = wanted.replace(/[^A-Za-z0-9_-]/g, "_").slice(0, NAME_MAX) || "tool"
  if (!Object.hasOwn(taken, name)) return name
  for (let index = 2; ; index++) {
    const numbered = `${name.slice(0, NAME_MAX - 5)}_${index}`
    if (!Object.hasOwn(taken, numbered)) return numbered
  }
}

/** Tools of a server that a model is told of, and characters of a description (mcp §8, rule 6). */
const TOOLS_MAX = 1000
const DESCRIPTION_MAX = 4096
const NAME_MAX = 64
