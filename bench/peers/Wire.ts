/** What every transport measured here offers: named servers, and byte streams to them. */
import type { Duplex } from "node:stream"

/** One open byte stream. */
export interface Wire {
  /** Resolves when the transport wants more; rejects when the stream is broken, or whoever writes on would never stop. */
  readonly write: (bytes: Uint8Array) => Promise<void>
  /** The next bytes; `undefined` at the end. Of a broken stream it rejects, or ends. */
  readonly read: () => Promise<Uint8Array | undefined>
  readonly close: () => Promise<void>
}

/** One protocol. The contact is what a client has to know of a server: a name, a key, a port. */
export interface Transport {
  readonly serve: (serve: (wire: Wire) => void) => Promise<string>
  /** Resolves when writing may begin. */
  readonly dial: (contact: string) => Promise<Wire>
  /** Milliseconds to the other end and back, apart from all streams; absent where there is no such thing. */
  readonly ping?: (contact: string) => Promise<number>
  /** A client that has not met the server yet; dials through it need no state of earlier ones. */
  readonly close: () => Promise<void>
}

/** A stream of Node, or one with the same face. */
export const fromStream = (stream: Pick<Duplex, "on" | "write" | "pause" | "resume" | "destroy">): Wire => {
  const chunks: Array<Uint8Array> = []
  let isEnded = false
  let readable = () => {}
  let writable = () => {}
  stream.on("data", (chunk: Uint8Array) => {
    chunks.push(chunk)
    if (chunks.length >= CHUNKS_MAX) stream.pause()
    readable()
  })
  stream.on("drain", () => writable())
  for (const event of ["end", "close", "error"]) {
    stream.on(event, () => {
      isEnded = true
      readable()
      writable()
    })
  }
  return {
    read: async () => {
      while (chunks.length === 0 && !isEnded) await new Promise<void>((resolve) => (readable = resolve))
      const chunk = chunks.shift()
      if (chunks.length === 0) stream.resume()
      return chunk
    },
    write: async (bytes) => {
      if (isEnded) throw new Error("the stream has ended")
      if (!stream.write(bytes)) await new Promise<void>((resolve) => (writable = resolve))
    },
    close: async () => void stream.destroy()
  }
}

const CHUNKS_MAX = 64
