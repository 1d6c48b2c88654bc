/** Messages that the bridge itself writes in the place of a client (mcp §1.1). Ids are raw JSON text. */
import * as Bytes from "../../core/data/Bytes.ts"

/** Tells the server that nobody waits for that request any more. */
export const cancelled = (id: string): Uint8Array =>
  Bytes.fromUtf8(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${id}}}`)

/** Why a request of a server reaches nobody. */
export const REASONS = {
  gone: "The client is gone.",
  modern: "Clients of this revision take no requests.",
  noStream: "The client has no stream open for requests."
} as const

/** Refuses a request of the server. */
export const noClient = (id: string, reason: keyof typeof REASONS): Uint8Array => failure(id, -32601, REASONS[reason])

/** The result of a tool that was not called, which a model reads and can react to (mcp §6.10). */
export const toolError = (id: string, text: string): Uint8Array =>
  Bytes.fromUtf8(
    `{"jsonrpc":"2.0","id":${id},"result":{"content":[{"type":"text","text":${JSON.stringify(text)}}],"isError":true}}`
  )

/** An error of JSON-RPC itself; those of the bridge are `BridgeError`. `data` is left out if there is none. */
export const failure = (id: string, code: number, message: string, data?: object): Uint8Array =>
  Bytes.fromUtf8(`{"jsonrpc":"2.0","id":${id},"error":${JSON.stringify({ code, message, data })}}`)
