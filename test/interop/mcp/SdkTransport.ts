/** A transport for the official SDK clients whose messages are lines on a byte stream in this process. */
import type { JsonRpcResponse } from "@modelcontextprotocol/ext-tasks/client"
import { Effect, Result } from "effect"
import * as Json from "../../../src/core/data/Json.ts"
import type { Duplex } from "../../../src/core/net/Duplex.ts"
import { LineSplitter } from "../../../src/protocol/relay/LineSplitter.ts"

/** What both SDK generations ask of a transport; `Message` is theirs. */
export class SdkTransport<Message, E> {
  onclose?: () => void
  onerror?: (error: Error) => void
  onmessage?: (message: Message) => void
  /** Everything received, as text. */
  readonly received: Array<string> = []
  /** Those who wait for an answer beside the SDK, by id. */
  readonly #waiting = new Map<string, (answer: JsonRpcResponse) => void>()
  readonly #duplex: Duplex<E>
  readonly #parse: (line: string) => Message

  constructor(duplex: Duplex<E>, parse: (line: string) => Message) {
    this.#duplex = duplex
    this.#parse = parse
  }

  async start(): Promise<void> {
    void Effect.runPromise(Effect.ignore(this.#readAll())).then(() => this.onclose?.())
  }

  async send(message: Message): Promise<void> {
    await Effect.runPromise(this.#duplex.write(new TextEncoder().encode(`${JSON.stringify(message)}\n`)))
  }

  /** A request that the SDK does not know, and its answer. */
  async dispatch(request: object): Promise<JsonRpcResponse> {
    const id = `beside-${this.#waiting.size + this.received.length}`
    const answer = new Promise<JsonRpcResponse>((resolve) => this.#waiting.set(id, resolve))
    const line = JSON.stringify({ jsonrpc: "2.0", id, ...request })
    await Effect.runPromise(this.#duplex.write(new TextEncoder().encode(`${line}\n`)))
    return answer
  }

  async close(): Promise<void> {
    await Effect.runPromise(this.#duplex.end)
    this.onclose?.()
  }

  #readAll() {
    const lines = new LineSplitter(64 * 1_048_576)
    return Effect.forever(
      Effect.map(this.#duplex.read, (chunk) => {
        for (const line of lines.push(chunk)) {
          if (line._tag === "Whole") this.#receive(new TextDecoder().decode(line.bytes))
        }
      })
    )
  }

  #receive(line: string): void {
    this.received.push(line)
    const id = Json.string(Json.parseObject(line) ?? {}, "id")
    const waiting = this.#waiting.get(id)
    if (waiting !== undefined) {
      this.#waiting.delete(id)
      const { error, result } = JSON.parse(line)
      return waiting(error === undefined ? { kind: "result", result } : { kind: "error", error })
    }
    const message = Result.try(() => this.#parse(line))
    if (Result.isSuccess(message)) this.onmessage?.(message.success)
    else this.onerror?.(new Error(line))
  }
}
