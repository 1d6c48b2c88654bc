/**
 * An MCP server with as many tools as asked, with definitions of ordinary size: JSON-RPC by hand over standard input and
 * output. Its tools answer with their own name. Arguments: a word for the names, and how many.
 */
import { fileURLToPath } from "node:url"

/** The program. */
export const PROGRAM = fileURLToPath(import.meta.url)

/** The names of the tools of a server with that word. */
export const names = (word: string, count: number): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, index) => `${VERBS[index % VERBS.length]}_${word}_${index}`)

const VERBS = ["read", "write", "find", "list", "move", "copy", "send", "draw", "plan", "count"]

const definition = (name: string) => ({
  name,
  title: name.replaceAll("_", " "),
  description: `Does what ${name.replaceAll("_", " ")} says to the thing at the path, and tells what came of it.`,
  inputSchema: {
    type: "object",
    properties: {
      path: { type: "string", description: "Where the thing is" },
      limit: { type: "integer", minimum: 1, description: "At most so many" }
    },
    required: ["path"]
  }
})

const serve = (word: string, count: number) => {
  const tools = names(word, count).map(definition)
  const result = (method: string, name: string | undefined): unknown => {
    if (method === "initialize") {
      return { protocolVersion: "2025-11-25", capabilities: { tools: {} }, serverInfo: { name: word, version: "1" } }
    }
    return method === "tools/list" ? { tools } : { content: [{ type: "text", text: name ?? "" }] }
  }
  let rest = ""
  process.stdin.setEncoding("utf8").on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n")
    rest = lines.pop() ?? ""
    for (const line of lines) {
      const { id, method, params } = JSON.parse(line)
      if (id === undefined) continue
      process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", id, result: result(method, params?.name) })}\n`)
    }
  })
}

if (process.argv[1] === PROGRAM) serve(process.argv[2] ?? "thing", Number(process.argv[3] ?? 20))
