/** An MCP server of this host, with the official SDK, for any client: asks a SQLite database of papers. `node papers.ts PATH` */
import { DatabaseSync } from "node:sqlite"
import { McpServer } from "@modelcontextprotocol/server"
import { serveStdio } from "@modelcontextprotocol/server/stdio"
import { Schema } from "effect"

const Question = Schema.Struct({ sql: Schema.String, params: Schema.Array(Schema.String) })

// Read only: whoever asks may write SQL, and change nothing by it.
const database = new DatabaseSync(process.argv[2] ?? ":memory:", { readOnly: process.argv[2] !== undefined })

serveStdio(() => {
  const server = new McpServer({ name: "papers", version: "1.0.0" }, { capabilities: { tools: {} } })
  server.registerTool(
    "query",
    {
      description: "Asks the database of papers: table papers (title, topic, year, url)",
      inputSchema: Schema.toStandardSchemaV1(Schema.toStandardJSONSchemaV1(Question)),
      annotations: { readOnlyHint: true }
    },
    ({ params, sql }) => {
      // What SQLite says of a wrong statement becomes the tool's error, in its words.
      const rows = database.prepare(sql).all(...params)
      return { content: [{ type: "text", text: JSON.stringify(rows) }], structuredContent: { rows } }
    }
  )
  return server
})
