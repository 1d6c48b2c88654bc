/**
 * An MCP server over standard input and output with one tool, `wait`: it adds a line to the file `called-ID` in a directory when
 * it is called with that id, and answers when the file `open-ID` is there.
 *
 * `node GateServer.mjs DIRECTORY`
 */
import { appendFileSync, existsSync, watch } from "node:fs"
import { createInterface } from "node:readline"

const [directory] = process.argv.slice(2)
const say = (message) => console.log(JSON.stringify({ jsonrpc: "2.0", ...message }))
const text = (words) => ({ content: [{ type: "text", text: words }] })

const wait = (id, gate) => {
  appendFileSync(`${directory}/called-${gate}`, "once\n")
  const watcher = watch(directory)
  const look = () => {
    if (!existsSync(`${directory}/open-${gate}`)) return
    watcher.close()
    say({ id, result: text(`through ${gate}`) })
  }
  watcher.on("change", look)
  // Now that nothing is missed any more: the gate may have been opened before.
  look()
}

const inputSchema = { type: "object", properties: { gate: { type: "string" } }, required: ["gate"] }
const ANSWERS = {
  initialize: ({ protocolVersion }) => ({
    protocolVersion,
    capabilities: { tools: {} },
    serverInfo: { name: "gate", version: "1" }
  }),
  ping: () => ({}),
  "tools/list": () => ({ tools: [{ name: "wait", inputSchema }] })
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line)
  if (id === undefined) continue
  if (method === "tools/call") wait(id, params.arguments.gate)
  else if (ANSWERS[method] === undefined) say({ id, error: { code: -32601, message: "unknown" } })
  else say({ id, result: ANSWERS[method](params) })
}
