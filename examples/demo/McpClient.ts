/** The official MCP client (SDK), as an effect: nothing in it knows of Pilot. */
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js"
import { CallToolResultSchema, ProgressNotificationSchema } from "@modelcontextprotocol/sdk/types.js"
import { Effect, Schema, type Scope } from "effect"

/** The client gave up, or the server said no. */
export class McpFailed extends Schema.TaggedError<McpFailed>()("McpFailed", { detail: Schema.String }) {}

/** Called for every step that the server reports, in order. */
export type OnProgress = (progress: number, total: number | undefined) => void

/** An open session. */
export interface Session {
  readonly tools: Effect.Effect<ReadonlyArray<string>, McpFailed>
  /** The text of the answer. */
  readonly call: (
    name: string,
    args: Record<string, unknown>,
    onProgress?: OnProgress
  ) => Effect.Effect<string, McpFailed>
}

/** Starts the command as a stdio server and opens a session with it. */
export const connect = (server: {
  readonly command: string
  readonly args: Array<string>
  readonly env: Record<string, string>
}): Effect.Effect<Session, McpFailed, Scope.Scope> =>
  Effect.acquireRelease(
    attempt(async () => {
      const client = new Client({ name: "demo", version: "1.0.0" })
      await client.connect(new StdioClientTransport({ ...server, stderr: "inherit" }))
      return client
    }),
    (client) => Effect.promise(() => client.close())
  ).pipe(Effect.map(session))

const session = (client: Client): Session => {
  const reports = new Map<string | number, OnProgress>()
  // Not `onprogress`: the SDK forgets it when the result is in, and so loses the last step when both arrive together.
  client.setNotificationHandler(ProgressNotificationSchema, ({ params: { progress, progressToken, total } }) =>
    reports.get(progressToken)?.(progress, total)
  )
  return {
    tools: attempt(async () => (await client.listTools()).tools.map((tool) => tool.name)),
    call: (name, args, onProgress) =>
      attempt(async () => {
        const progressToken = reports.size
        reports.set(progressToken, onProgress ?? (() => {}))
        const result = await client.callTool({ name, arguments: args, _meta: { progressToken } })
        return CallToolResultSchema.parse(result)
          .content.map((part) => (part.type === "text" ? part.text : part.type))
          .join(" ")
      })
  }
}

const attempt = <A>(run: () => Promise<A>): Effect.Effect<A, McpFailed> =>
  Effect.tryPromise({ try: run, catch: (cause) => new McpFailed({ detail: String(cause) }) })
