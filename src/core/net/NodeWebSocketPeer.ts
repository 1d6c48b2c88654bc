/** `WebSocketPeer` over the package `ws`. */
import { setImmediate } from "node:timers"
import type { RawData, WebSocket } from "ws"
import type { WebSocketMessage, WebSocketPeer } from "./WebSocketPeer.ts"

/** An open WebSocket of `ws`. */
export const make = (socket: WebSocket): WebSocketPeer => {
  let receive: ((batch: ReadonlyArray<WebSocketMessage>) => void) | undefined
  let batch: Array<WebSocketMessage> = []
  let told: ((detail: string) => void) | undefined
  let closed: string | undefined
  const flush = (): void => {
    if (receive === undefined || batch.length === 0) return
    const messages = batch
    batch = []
    receive(messages)
  }
  const end = (detail: string): void => {
    if (closed !== undefined) return
    closed = detail
    flush()
    told?.(detail)
  }
  socket.on("message", (data: RawData, isBinary: boolean) => {
    if (batch.push(isBinary ? bytesOf(data) : textOf(data)) === 1) setImmediate(flush)
  })
  // What is wrong with it is followed by its end.
  let problem = ""
  socket.on("error", (error) => {
    problem = error.message
  })
  socket.on("close", (code, reason) => end(problem || reason.toString() || `closed with code ${code}`))
  return {
    bufferedBytes: () => socket.bufferedAmount,
    send: (message, sent) => {
      if (socket.readyState !== socket.OPEN) return sent?.()
      socket.send(message, () => sent?.())
    },
    onBatch: (receiver) => {
      receive = receiver
      flush()
    },
    onClosed: (listener) => {
      told = listener
      if (closed !== undefined) listener(closed)
    },
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    close: () => socket.close(NORMAL),
    destroy: () => socket.terminate()
  }
}

const bytesOf = (data: RawData): Uint8Array =>
  Array.isArray(data) ? Buffer.concat(data) : data instanceof ArrayBuffer ? new Uint8Array(data) : data

const textOf = (data: RawData): string => Buffer.from(bytesOf(data)).toString("utf8")

/** RFC 6455 §7.4.1. */
const NORMAL = 1000
