/** A transport for the official SDK clients whose messages are lines on a byte stream in this process. */
import { Effect, Result } from "effect"
import type { Duplex } from "../../../src/core/net/Duplex.ts"
import { LineSplitter } from "../../../src/protocol/relay/LineSplitter.ts"

/** What both SDK generations ask of a transport; `Message` is theirs. */
export class SdkTransport<Message, E> {
  onclose?: () => void
  onerror?: (error: Error) => void
  onmessage?: (message: Message) => void
  /** Everything received, as text. */
  readonly received: Array<string> = []
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
    const message = Result.try(() => this.#parse(line))
    if (Result.isSuccess(message)) this.onmessage?.(message.success)
    else this.onerror?.(new Error(line))
  }
}
