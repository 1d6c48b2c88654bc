/** The official MCP clients, of both SDK generations, with `pilotctl mcp connect` as their stdio server. */
import { Client as Client2, StreamableHTTPClientTransport as Http2 } from "@modelcontextprotocol/client"
import { StdioClientTransport as Stdio2 } from "@modelcontextprotocol/client/stdio"
import { Client as Client1 } from "@modelcontextprotocol/sdk/client/index.js"
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js"
import { StdioClientTransport as Stdio1 } from "@modelcontextprotocol/sdk/client/stdio.js"
import { StreamableHTTPClientTransport as Http1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js"
import { McpError } from "@modelcontextprotocol/sdk/types.js"
import { Effect, Schema, type Scope } from "effect"
import * as Pilotctl from "../../examples/demo/Pilotctl.ts"

/** What a client of either generation can do here. */
export interface McpClient {
  readonly tools: Effect.Effect<ReadonlyArray<string>, CallFailed>
  /** The text of the answer. `onProgress` is told each step the SDK delivers. Interruption is the SDK's cancellation. */
  readonly call: (
    name: string,
    args: Record<string, unknown>,
    onProgress?: (step: number) => void
  ) => Effect.Effect<string, CallFailed>
}

/** A JSON-RPC error as the client saw it; code 0 for anything else. */
export class CallFailed extends Schema.TaggedError<CallFailed>()("CallFailed", {
  code: Schema.Number,
  message: Schema.String,
  data: Schema.Unknown
}) {}

/** A client of `@modelcontextprotocol/sdk`; `flags` are those of its mount. */
export const sdk1 = (
  home: string,
  target: string,
  flags: ReadonlyArray<string> = []
): Effect.Effect<McpClient, CallFailed, Scope.Scope> =>
  Effect.suspend(() => connected1(new Stdio1(server(home, target, flags))))

const connected1 = (transport: Parameters<Client1["connect"]>[0]): Effect.Effect<McpClient, CallFailed, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      attempt(async () => {
        const client = new Client1({ name: "test", version: "1" }, { capabilities: {} })
        await client.connect(transport)
        return client
      }),
      (client) => Effect.promise(() => client.close())
    ),
    (client) => ({
      tools: attempt(async () => (await client.listTools()).tools.map(({ name }) => name)),
      call: (name, args, onProgress) =>
        attempt(async (signal) => {
          const onprogress = ({ progress }: { readonly progress: number }) => onProgress?.(progress)
          return textOf(await client.callTool({ name, arguments: args }, undefined, { onprogress, signal }))
        })
    })
  )

/** The same over HTTP, at an endpoint that wants the token. */
export const sdk1Http = (url: string, token: string): Effect.Effect<McpClient, CallFailed, Scope.Scope> =>
  connected1(
    new Http1(new URL(url), {
      requestInit: { headers: { authorization: `Bearer ${token}` } },
      // On a busy machine an endpoint that is started again takes longer than the SDK's two attempts.
      reconnectionOptions: {
        ...{ initialReconnectionDelay: 1000, reconnectionDelayGrowFactor: 1, maxReconnectionDelay: 1000 },
        maxRetries: 30
      }
    }) as Parameters<Client1["connect"]>[0]
  )

/** The same by the transport of 2024-11-05. */
export const sdk1Sse = (url: string, token: string): Effect.Effect<McpClient, CallFailed, Scope.Scope> =>
  connected1(
    new SSEClientTransport(new URL(url), {
      requestInit: { headers: { authorization: `Bearer ${token}` } }
    }) as Parameters<Client1["connect"]>[0]
  )

/**
 * A client of `@modelcontextprotocol/client`, which probes for the modern protocol first; `isModernOnly`: it speaks nothing
 * else, and its mount knows that.
 */
export const sdk2 = (
  home: string,
  target: string,
  isModernOnly = false
): Effect.Effect<McpClient, CallFailed, Scope.Scope> =>
  Effect.suspend(() =>
    connected2(new Stdio2(server(home, target, isModernOnly ? ["--modern-client"] : [])), isModernOnly)
  )

/** The same over HTTP, at an endpoint that wants the token. */
export const sdk2Http = (url: string, token: string): Effect.Effect<McpClient, CallFailed, Scope.Scope> =>
  Effect.suspend(() =>
    connected2(new Http2(new URL(url), { requestInit: { headers: { authorization: `Bearer ${token}` } } }), false)
  )

const connected2 = (
  transport: Parameters<Client2["connect"]>[0],
  isModernOnly: boolean
): Effect.Effect<McpClient, CallFailed, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      attempt(async () => {
        const mode = isModernOnly ? ({ pin: "2026-07-28" } as const) : ("auto" as const)
        const client = new Client2({ name: "test", version: "1" }, { capabilities: {}, versionNegotiation: { mode } })
        await client.connect(transport)
        return client
      }),
      (client) => Effect.promise(() => client.close())
    ),
    (client) => ({
      tools: attempt(async () => (await client.listTools()).tools.map(({ name }) => name)),
      call: (name, args, onProgress) =>
        attempt(async (signal) => {
          const onprogress = ({ progress }: { readonly progress: number }) => onProgress?.(progress)
          return textOf(await client.callTool({ name, arguments: args }, { onprogress, signal }))
        })
    })
  )

const server = (home: string, target: string, flags: ReadonlyArray<string> = []) => ({
  command: process.execPath,
  args: [Pilotctl.PROGRAM, "mcp", "connect", target, ...flags],
  env: Pilotctl.environment(home),
  stderr: "ignore" as const
})

const attempt = <A>(run: (signal: AbortSignal) => Promise<A>): Effect.Effect<A, CallFailed> =>
  Effect.tryPromise({
    try: run,
    catch: (error) =>
      error instanceof McpError
        ? new CallFailed({ code: error.code, message: error.message, data: error.data })
        : new CallFailed({ code: 0, message: String(error), data: undefined })
  })

const textOf = (result: unknown): string =>
  Schema.decodeUnknownSync(Result)(result)
    .content.map(({ text }) => text ?? "")
    .join(" ")

const Result = Schema.Struct({
  content: Schema.Array(Schema.Struct({ text: Schema.optionalKey(Schema.String) }))
})
