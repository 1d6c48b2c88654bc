/** JSON-RPC messages of the bridge's own, from raw pieces: ids, parameters and results stay the text they came as (mcp §2.1). */
import * as Bytes from "../../../core/data/Bytes.ts"
import type { JsonObject } from "../../../core/data/Json.ts"

/** A request; `id` and `params` are JSON text. */
export const request = (id: string, method: string, params: string): Uint8Array =>
  Bytes.fromUtf8(`{"jsonrpc":"2.0","id":${id},"method":${JSON.stringify(method)},"params":${params}}`)

/** A notification; `params` is JSON text. */
export const notification = (method: string, params: string): Uint8Array =>
  Bytes.fromUtf8(`{"jsonrpc":"2.0","method":${JSON.stringify(method)},"params":${params}}`)

/** An answer; `id` and `value` are JSON text. */
export const result = (id: string, value: string): Uint8Array =>
  Bytes.fromUtf8(`{"jsonrpc":"2.0","id":${id},"result":${value}}`)

/** A refusal; `id` is JSON text. */
export const failure = (id: string, code: number, message: string, data?: JsonObject): Uint8Array =>
  rawFailure(id, JSON.stringify(data === undefined ? { code, message } : { code, message, data }))

/** A refusal whose error is JSON text. */
export const rawFailure = (id: string, error: string): Uint8Array =>
  Bytes.fromUtf8(`{"jsonrpc":"2.0","id":${id},"error":${error}}`)

/** Says that nobody waits for a request any more. Without a reason, whoever parks calls may let it go on (mcp §6.7). */
export const cancelled = (id: string, reason?: string): Uint8Array =>
  notification(
    "notifications/cancelled",
    reason === undefined ? `{"requestId":${id}}` : `{"requestId":${id},"reason":${JSON.stringify(reason)}}`
  )

/**
 * What an id is found by: texts by their value, numbers as doubles, because servers print what they parsed; so 0 and "0"
 * are two ids (mcp §2.1).
 */
export const idKey = (raw: string): string => {
  if (!raw.startsWith('"')) return `n${Number(raw)}`
  // Found by the scanner, so it is a JSON text.
  const value: unknown = JSON.parse(raw)
  return `s${String(value)}`
}
