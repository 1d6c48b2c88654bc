/** The official SDK's client, measured as `LineClient` is. */
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js"
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js"
import type { Command } from "./LineClient.ts"

/** An open session. */
export class SdkClient {
  readonly #client = new Client({ name: "bench", version: "1" })

  /** Opens a session with a command, which is started, or with a URL. */
  async open(place: Command | string): Promise<void> {
    if (typeof place === "string") return await this.#client.connect(new StreamableHTTPClientTransport(new URL(place)))
    const { args, command, env } = place
    await this.#client.connect(
      new StdioClientTransport({ command, args: [...args], env: { ...env }, stderr: "ignore" })
    )
  }

  /** Calls one after the other; their times in milliseconds. */
  async latencies(count: number): Promise<ReadonlyArray<number>> {
    const timesMs: Array<number> = []
    for (let call = 0; call < count; call++) {
      const startMs = performance.now()
      await this.#call()
      timesMs.push(performance.now() - startMs)
    }
    return timesMs
  }

  /** Answers per second with that many calls under way. */
  async rate(inFlight: number, forMs: number): Promise<number> {
    const startMs = performance.now()
    let answers = 0
    const worker = async () => {
      while (performance.now() - startMs < forMs) {
        await this.#call()
        answers++
      }
    }
    await Promise.all(Array.from({ length: inFlight }, worker))
    return (answers * 1000) / (performance.now() - startMs)
  }

  /** Ends the session and what was started. */
  close(): Promise<void> {
    return this.#client.close()
  }

  async #call(): Promise<void> {
    await this.#client.callTool({ name: "echo", arguments: { value: "benchmark" } })
  }
}
