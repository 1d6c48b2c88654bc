/** Writes server-sent events (WHATWG HTML §9.2): one message, which has no line end in it, is one event. */
import * as Bytes from "../../core/data/Bytes.ts"

/** A message; the bytes stay as they are. */
export const message = (data: Uint8Array, id?: string): Uint8Array =>
  Bytes.concat(Bytes.fromUtf8(`event: message\n${id === undefined ? "" : `id: ${id}\n`}data: `), data, END)

/** The first event of an HTTP+SSE stream (2024-11-05): where messages are posted to. */
export const endpoint = (path: string): Uint8Array => Bytes.fromUtf8(`event: endpoint\ndata: ${path}\n\n`)

/** An event without a message: it gives the stream a place to resume from, and says how soon (mcp §2.3). */
export const priming = (id: string, retryMs: number): Uint8Array =>
  Bytes.fromUtf8(`id: ${id}\nretry: ${retryMs}\ndata: \n\n`)

/** Says nothing, and keeps the connection open. */
export const COMMENT: Uint8Array = Bytes.fromUtf8(": still here\n\n")

const END = Bytes.fromUtf8("\n\n")
