/**
 * A small legacy MCP server over stdio with the habits that a bridge must survive. It answers by hand, so that every byte
 * is known. Tools: `hang` never answers, `crash` ends the process, `big` answers with as many bytes as asked, `noise`
 * writes lines that are no messages, `remember` and `recall` keep a word per process, `pid` tells the process, `meta` the
 * `_meta` of its call, `cancelled` how many calls that hung were given up. `hold` shows one step of progress and answers at the
 * next `release`, after another step. `slow` answers once the file of that path exists, with how many calls of it began.
 */
import { existsSync } from "node:fs"
import { createInterface } from "node:readline"

let word = ""
let cancelled = 0
let slow = 0
const hanging = new Set<unknown>()
let held: (() => void) | undefined

const write = (message: unknown): void => void process.stdout.write(`${JSON.stringify(message)}\n`)
const text = (id: unknown, content: string): void =>
  write({ result: { content: [{ type: "text", text: content }] }, jsonrpc: "2.0", id })

const tools: Readonly<Record<string, (id: unknown, argument: string, meta: unknown) => void>> = {
  hang: (id) => void hanging.add(id),
  cancelled: (id) => text(id, String(cancelled)),
  crash: () => {
    process.stderr.write("secret path /home/somebody\n")
    process.exit(3)
  },
  big: (id, argument) => text(id, "x".repeat(Number(argument))),
  noise: (id) => {
    process.stdout.write('not json\n\n\r\n{"broken": \n')
    process.stdout.write(Uint8Array.of(0x7b, 0xff, 0x7d, 0x0a))
    text(id, "after the noise")
  },
  remember: (id, argument) => {
    word = argument
    text(id, "remembered")
  },
  recall: (id) => text(id, word),
  hold: (id, argument, meta) => {
    const progressToken = (meta as { progressToken?: unknown } | undefined)?.progressToken
    const step = (progress: number) =>
      progressToken === undefined
        ? undefined
        : write({ jsonrpc: "2.0", method: "notifications/progress", params: { progressToken, progress } })
    step(1)
    held = () => {
      step(2)
      text(id, argument)
    }
  },
  release: (id) => {
    held?.()
    text(id, "released")
  },
  slow: (id, path) => {
    const ordinal = ++slow
    const poll = setInterval(() => {
      if (!existsSync(path)) return
      clearInterval(poll)
      text(id, `slow ${ordinal}`)
    }, 20)
  },
  pid: (id) => text(id, String(process.pid)),
  meta: (id, _, meta) => text(id, JSON.stringify(meta ?? {}))
}

createInterface({ input: process.stdin }).on("line", (line) => {
  const { id, method, params } = JSON.parse(line)
  if (method === "initialize") {
    write({
      result: {
        protocolVersion: "2025-11-25",
        capabilities: { tools: {} },
        serverInfo: { name: "fixture", version: "1" }
      },
      jsonrpc: "2.0",
      id
    })
  } else if (method === "tools/list") {
    write({
      result: { tools: Object.keys(tools).map((name) => ({ name, inputSchema: { type: "object" } })) },
      jsonrpc: "2.0",
      id
    })
  } else if (method === "notifications/cancelled") {
    if (hanging.delete(params.requestId)) cancelled++
  } else if (method === "tools/call") {
    tools[params.name]?.(id, params.arguments?.value ?? "", params._meta)
  } else if (method !== undefined && id !== undefined) {
    write({ error: { code: -32601, message: "Method not found" }, jsonrpc: "2.0", id })
  }
})
