/**
 * One WebSocket (RFC 6455), whichever side opened it: whole messages both ways, sending that never waits, and what is
 * needed to hold the other side back.
 */

/** Binary or text. */
export type WebSocketMessage = Uint8Array | string

/** An open WebSocket. */
export interface WebSocketPeer {
  /** Bytes that were sent and that the network has not taken yet. */
  readonly bufferedBytes: () => number
  /** Queues one message, ignored once it is closed; `sent` hears when the network has taken it, or never will. */
  readonly send: (message: WebSocketMessage, sent?: () => void) => void
  /** Installs the only receiver; at most one batch per event-loop turn, in order of arrival. */
  readonly onBatch: (receive: (batch: ReadonlyArray<WebSocketMessage>) => void) => void
  /** Installs who is told once that it is closed, and why; at once if it is. */
  readonly onClosed: (closed: (detail: string) => void) => void
  /** Stops reading, so that the other side is held back by TCP. */
  readonly pause: () => void
  readonly resume: () => void
  /** Sends what is queued, then closes. Idempotent. */
  readonly close: () => void
  /** Closes now; what is queued is lost. */
  readonly destroy: () => void
}
