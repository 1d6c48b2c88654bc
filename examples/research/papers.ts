/** An MCP server of this host, for any client: asks a SQLite database of papers. `node papers.ts PATH` */
import { DatabaseSync } from "node:sqlite"
import { NodeRuntime, NodeStdio } from "@effect/platform-node"
import { Effect, Layer, Schema } from "effect"
import { McpProtocol, McpServer, Tool, Toolkit } from "effect/ai"

const Query = Tool.make("query", {
  description: "Asks the database of papers: table papers (title, topic, year)",
  parameters: Schema.Struct({ sql: Schema.String, params: Schema.Array(Schema.String) }),
  success: Schema.Struct({ rows: Schema.Array(Schema.Record(Schema.String, Schema.Json)) }),
  failure: Schema.Struct({ reason: Schema.String })
})
const Kit = Toolkit.make(Query)

const Handlers = Kit.toLayer(
  Effect.sync(() => {
    const database = new DatabaseSync(process.argv[2] ?? ":memory:", { readOnly: process.argv[2] !== undefined })
    return {
      query: ({ params, sql }) =>
        Effect.try({
          // Rows have no prototype, and are no JSON objects for all libraries.
          try: () => ({
            rows: database
              .prepare(sql)
              .all(...params)
              .map((row) => ({ ...row }) as Record<string, Schema.Json>)
          }),
          catch: (cause) => ({ reason: String(cause) })
        })
    }
  })
)

McpServer.layerStdio({
  name: "papers",
  version: "1.0.0",
  protocols: [McpProtocol.v2026_07_28, McpProtocol.v2025_11_25],
  registrations: McpServer.toolkit(Kit).pipe(Layer.provide(Handlers))
}).pipe(Layer.provide(NodeStdio.layer), Layer.launch, NodeRuntime.runMain)
