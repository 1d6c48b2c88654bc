/** The binary messages of a WebSocket as one stream of bytes of Node's, for TLS inside of it. */
import { Duplex } from "node:stream"
import type { WebSocketPeer } from "./WebSocketPeer.ts"

/** Where message boundaries do not matter. A text message ends it. */
export class WebSocketDuplex extends Duplex {
  readonly #peer: WebSocketPeer

  constructor(peer: WebSocketPeer) {
    super({ allowHalfOpen: false })
    this.#peer = peer
    peer.onBatch((batch) => {
      for (const message of batch) {
        if (typeof message === "string") return void this.destroy(new Error("a text message in a stream of bytes"))
        if (message.length > 0 && !this.push(message)) peer.pause()
      }
    })
    peer.onClosed(() => {
      if (!this.readableEnded) this.push(null)
      this.destroy()
    })
  }

  override _read(): void {
    this.#peer.resume()
  }

  override _write(chunk: Uint8Array, _encoding: string, done: () => void): void {
    let left = Math.max(1, Math.ceil(chunk.length / MESSAGE_BYTES_MAX))
    const sent = () => {
      if (--left === 0) done()
    }
    for (let at = 0, count = left; count > 0; count--, at += MESSAGE_BYTES_MAX)
      this.#peer.send(chunk.subarray(at, at + MESSAGE_BYTES_MAX), sent)
  }

  override _final(done: () => void): void {
    this.#peer.close()
    done()
  }

  /** As of a socket: what was written leaves first. */
  destroySoon(): void {
    this.end(() => this.destroy())
  }

  override _destroy(_error: Error | null, done: (error?: Error | null) => void): void {
    this.#peer.destroy()
    // Whoever reads TLS from it learns of the end by the end.
    done(null)
  }
}

/** What goes into one message: half of what the server takes. */
const MESSAGE_BYTES_MAX = 32_768
