/**
 * The smallest MCP server that a bridge can carry: JSON-RPC by hand over standard input and output, so that a measurement
 * is of what lies between it and the client. All answers to one chunk leave in one write. Tools: `echo` gives its
 * argument back, `big` as many bytes as asked.
 */
import { fileURLToPath } from "node:url"

/** The program. */
export const PROGRAM = fileURLToPath(import.meta.url)

const initialized = {
  protocolVersion: "2025-11-25",
  capabilities: { tools: {} },
  serverInfo: { name: "echo", version: "1" }
}
const tools = ["echo", "big"].map((name) => ({
  name,
  description: `The tool ${name}`,
  inputSchema: { type: "object" }
}))
let big = ""

const result = (method: string, params: { name?: string; arguments?: { value?: string } } | undefined): unknown => {
  if (method === "initialize") return initialized
  if (method === "tools/list") return { tools }
  const value = params?.arguments?.value ?? ""
  if (params?.name !== "big") return { content: [{ type: "text", text: value }] }
  if (big.length !== Number(value)) big = "x".repeat(Number(value))
  return { content: [{ type: "text", text: big }] }
}

const serve = () => {
  let rest = ""
  process.stdin.setEncoding("utf8").on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n")
    rest = lines.pop() ?? ""
    let answers = ""
    for (const line of lines) {
      const { id, method, params } = JSON.parse(line)
      if (id !== undefined) answers += `${JSON.stringify({ jsonrpc: "2.0", id, result: result(method, params) })}\n`
    }
    if (answers !== "") process.stdout.write(answers)
  })
}

if (process.argv[1] === PROGRAM) serve()
