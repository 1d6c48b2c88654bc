/**
 * An MCP client of raw lines: what it measures is what it started, not an SDK. Each answer is parsed and must belong to a
 * call of its own.
 */
import { type ChildProcess, spawn } from "node:child_process"

/** What is started: a server, or a bridge to one. */
export interface Command {
  readonly command: string
  readonly args: ReadonlyArray<string>
  readonly env: Readonly<Record<string, string>>
}

/** An open session. Mutable; one measurement at a time. */
export class LineClient {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, (line: Buffer) => void>()
  #parts: Array<Buffer> = []
  #lastId = 0
  #failure: Error | undefined

  constructor({ args, command, env }: Command) {
    this.#child = spawn(command, args, { env, stdio: ["pipe", "pipe", "inherit"] })
    this.#child.stdout?.on("data", (chunk: Buffer) => this.#receive(chunk))
    this.#child.once("error", (error) => this.#fail(error))
    this.#child.once("exit", (code) => this.#fail(new Error(`${command} ${args.join(" ")} ended: ${code}`)))
  }

  /** The process that was started. */
  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** The opening handshake, then the list of tools: what a client does before its first call. */
  async open(): Promise<void> {
    await this.request("initialize", OPENING)
    this.#write(`${JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" })}\n`)
    await this.request("tools/list", {})
  }

  /** One request; gives the bytes of its answer, or fails if that is an error. */
  request(method: string, params: unknown): Promise<number> {
    return this.#ask(method, params, (line) => line.length)
  }

  /** One request; gives the result in its answer. */
  result(method: string, params: unknown): Promise<Readonly<Record<string, unknown>>> {
    return this.#ask(method, params, (line) => JSON.parse(line.toString()).result)
  }

  #ask<A>(method: string, params: unknown, read: (line: Buffer) => A): Promise<A> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure)
      const id = ++this.#lastId
      this.#waiting.set(id, (line) => (isResult(line) ? resolve(read(line)) : reject(new Error(line.toString()))))
      this.#write(`${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`)
    })
  }

  /** Calls one after the other; their times in milliseconds. */
  async latencies(count: number): Promise<ReadonlyArray<number>> {
    const timesMs: Array<number> = []
    for (let call = 0; call < count; call++) {
      const startMs = performance.now()
      await this.request("tools/call", ECHO)
      timesMs.push(performance.now() - startMs)
    }
    return timesMs
  }

  /** Answers per second with that many calls under way, each answer followed by the next call. */
  async rate(inFlight: number, forMs: number): Promise<number> {
    const startMs = performance.now()
    let answers = 0
    const worker = async () => {
      while (performance.now() - startMs < forMs) {
        await this.request("tools/call", ECHO)
        answers++
      }
    }
    await Promise.all(Array.from({ length: inFlight }, worker))
    return (answers * 1000) / (performance.now() - startMs)
  }

  /** Bytes per second of results of that size, one after the other. */
  async throughput(sizeBytes: number, count: number): Promise<number> {
    const startMs = performance.now()
    let bytes = 0
    for (let call = 0; call < count; call++) {
      bytes += await this.request("tools/call", { name: "big", arguments: { value: String(sizeBytes) } })
    }
    return (bytes * 1000) / (performance.now() - startMs)
  }

  /** Closes the client's output and waits for the end of what was started. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) return resolve()
      const kill = setTimeout(() => this.#child.kill("SIGKILL"), PATIENCE_MS)
      this.#child.once("exit", () => {
        clearTimeout(kill)
        resolve()
      })
      this.#child.stdin?.end()
    })
  }

  /** What one turn writes leaves together. */
  #write(line: string): void {
    const { stdin } = this.#child
    if (stdin === null) return
    if (stdin.writableCorked === 0) {
      stdin.cork()
      queueMicrotask(() => process.nextTick(() => stdin.uncork()))
    }
    stdin.write(line)
  }

  #receive(chunk: Buffer): void {
    let at = 0
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, at)) {
      this.#parts.push(chunk.subarray(at, end))
      at = end + 1
      this.#settle(this.#parts.length === 1 ? (this.#parts[0] ?? chunk) : Buffer.concat(this.#parts))
      this.#parts = []
    }
    if (at < chunk.length) this.#parts.push(chunk.subarray(at))
  }

  #settle(line: Buffer): void {
    const id = idOf(line)
    const settle = this.#waiting.get(id)
    // A notification is not counted; an answer that nobody asked for ends the measurement.
    if (settle === undefined) {
      if (line.includes('"id"')) this.#fail(new Error(`an answer to nothing: ${line.subarray(0, 200)}`))
      return
    }
    this.#waiting.delete(id)
    settle(line)
  }

  #fail(error: Error): void {
    this.#failure ??= error
    const line = Buffer.from(error.message)
    for (const settle of this.#waiting.values()) settle(line)
    this.#waiting.clear()
  }
}

/** The id is read from the start or the end of long answers, because parsing five megabytes is not what is measured. */
const idOf = (line: Buffer): number => {
  if (line.length <= PARSED_BYTES_MAX) return JSON.parse(line.toString()).id
  const ends = `${line.subarray(0, 64)} ${line.subarray(-64)}`
  return Number(/"id":(\d+)/.exec(ends)?.[1])
}

const isResult = (line: Buffer): boolean => line.length > PARSED_BYTES_MAX || line.includes('"result":')

const OPENING = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "bench", version: "1" } }
const ECHO = { name: "echo", arguments: { value: "benchmark" } }
const PARSED_BYTES_MAX = 65_536
const PATIENCE_MS = 5_000
const NEWLINE = 0x0a
