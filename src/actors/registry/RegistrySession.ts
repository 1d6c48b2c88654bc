/**
 * One client's connection to the registry: which frames wait, which replies wait, and since when the client makes us
 * wait. Requests are answered strictly in order; a client that does not read its replies is not read either.
 */
import type { ServedConnection } from "../../core/net/TlsSniffServer.ts"
import type * as LengthPrefix from "../../protocol/wire/LengthPrefix.ts"
import * as RegistryMessage from "../../protocol/wire/RegistryMessage.ts"

/** Mutable; owned by the server actor. */
export interface RegistrySession {
  readonly connection: ServedConnection
  readonly splitter: LengthPrefix.Splitter
  /** Bodies not yet handled, oldest first; at most those of one chunk, because no more is read meanwhile. */
  readonly waiting: Array<Uint8Array>
  /** Reply frames of this turn. */
  readonly outbox: Array<Uint8Array>
  /** A reply in `outbox` acknowledges a change: none may leave before the commit. */
  holdsChange: boolean
  /** The stream cannot be read on after `waiting`; close when its replies are sent. */
  isEnding: boolean
  /** When the wait for the next whole frame began. */
  idleSinceMs: number
  /** Since when replies are not taken; `undefined` while they are. */
  blockedSinceMs: number | undefined
}

/** How long a connection may keep us waiting. */
export interface SessionLimits {
  /** To send a whole next frame (rendezvous §2.1). */
  readonly idleMs: number
  /** To take replies. */
  readonly blockedMs: number
  /** To take the last replies before its connection is closed. */
  readonly endingMs: number
  /** Reply bytes in flight above which no more requests are handled. */
  readonly bufferedBytesMax: number
}

/** A connection that was just accepted. */
export const make = (connection: ServedConnection, nowMs: number): RegistrySession => ({
  connection,
  splitter: RegistryMessage.makeSplitter(),
  waiting: [],
  outbox: [],
  holdsChange: false,
  isEnding: false,
  idleSinceMs: nowMs,
  blockedSinceMs: undefined
})

/** Takes received bytes and stops reading until their requests are answered. False when the stream has just become unreadable. */
export const received = (self: RegistrySession, bytes: Uint8Array, nowMs: number): boolean => {
  if (self.isEnding) return true
  const { frames, exceeded } = self.splitter.push(bytes)
  for (const frame of frames) self.waiting.push(frame)
  if (frames.length > 0) self.idleSinceMs = nowMs
  if (exceeded !== undefined) self.isEnding = true
  self.connection.pause()
  return exceeded === undefined
}

/** Sends what the turn produced, and reads on, or closes, when nothing waits any more. */
export const flush = (self: RegistrySession, nowMs: number): void => {
  if (self.outbox.length > 0) {
    self.connection.send(self.outbox.length === 1 ? self.outbox[0]! : join(self.outbox))
    self.outbox.length = 0
    self.idleSinceMs = nowMs
  }
  self.holdsChange = false
  if (self.waiting.length > 0) return
  if (self.isEnding) self.connection.end()
  else self.connection.resume()
}

/** True while so many reply bytes are in flight that no more requests are handled. Notes since when. */
export const isBlocked = (self: RegistrySession, limits: SessionLimits, nowMs: number): boolean => {
  if (self.connection.bufferedBytes() <= limits.bufferedBytesMax) {
    self.blockedSinceMs = undefined
    return false
  }
  self.blockedSinceMs ??= nowMs
  return true
}

/** True when the client has used up the time it had. */
export const isExpired = (self: RegistrySession, limits: SessionLimits, nowMs: number): boolean => {
  if (isBlocked(self, limits, nowMs)) return nowMs - (self.blockedSinceMs ?? nowMs) > limits.blockedMs
  return self.waiting.length === 0 && nowMs - self.idleSinceMs > (self.isEnding ? limits.endingMs : limits.idleMs)
}

const join = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const joined = new Uint8Array(parts.reduce((sizeBytes, part) => sizeBytes + part.length, 0))
  let offset = 0
  for (const part of parts) {
    joined.set(part, offset)
    offset += part.length
  }
  return joined
}
