/** Plays messages through a translator, as text, and says what came of them. */
import { createHash } from "node:crypto"
import * as Bytes from "../../../../src/core/data/Bytes.ts"
import * as Json from "../../../../src/core/data/Json.ts"
import type { EraTranslator, Outputs } from "../../../../src/protocol/relay/era/EraTranslator.ts"
import type { Seal } from "../../../../src/protocol/relay/era/RequestState.ts"

/** `client` and `server` take a value or a text and give what is passed on, each with an arrow before it. */
export interface Transcript {
  nowMs: number
  readonly client: (message: unknown) => ReadonlyArray<string>
  readonly server: (message: unknown) => ReadonlyArray<string>
  readonly timeout: () => ReadonlyArray<string>
}

/** A transcript that begins at 0 ms. */
export const make = (translator: EraTranslator): Transcript => {
  const self: Transcript = {
    nowMs: 0,
    client: (message) => shown(translator.fromClient(bytesOf(message), self.nowMs)),
    server: (message) => shown(translator.fromServer(bytesOf(message), self.nowMs)),
    timeout: () => shown(translator.timeout(self.nowMs))
  }
  return self
}

/** `→` goes to the server, `←` to the client. */
export const shown = (outputs: Outputs): ReadonlyArray<string> =>
  outputs.map(({ _tag, bytes }) => `${_tag === "ToServer" ? "→" : "←"} ${Bytes.toUtf8(bytes)}`)

/** The message behind an arrow. */
export const messageOf = (line: string | undefined): Json.JsonObject => Json.parseObject((line ?? "").slice(2)) ?? {}

/** Counts instead of guessing. */
export const seal = (): Seal => {
  let count = 0
  const hex = (text: string) => createHash("sha256").update(text).digest("hex")
  return { random: () => `a${++count}`, sign: hex, hash: hex }
}

/** What a modern client adds to each request. */
export const meta = (capabilities: unknown = {}, more: object = {}) => ({
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientCapabilities": capabilities,
  "io.modelcontextprotocol/clientInfo": { name: "c", version: "1" },
  ...more
})

const bytesOf = (message: unknown): Uint8Array =>
  Bytes.fromUtf8(typeof message === "string" ? message : JSON.stringify(message))
