/**
 * The JSON bodies of the relay's control frames (mcp §6.2). Unknown members are ignored, so either end may be newer.
 */
import { Schema } from "effect"
import { Port } from "../wire/Address.ts"

/** The version of the relay session that this code speaks. */
export const VERSION = 1

/** The virtual port that all services of a node share (mcp §6.2). */
export const MCP_PORT = Port(6270)

/** The largest payload of one DATA frame, and the chunk size of longer messages (mcp §6.2). */
export const CHUNK_BYTES_MAX = 65_536

/** The largest message that the relay carries (mcp §6.8). */
export const MESSAGE_BYTES_MAX = 16_777_216

/** What each side grants unless it says otherwise (mcp §6.8). */
export const WINDOW_BYTES_DEFAULT = 4_194_304

/**
 * The largest line that stdio clients and servers of the official SDKs survive is 10 MiB; the rest is room for what they
 * count besides the message (mcp §2.1, §6.8).
 */
export const STDIO_MESSAGE_BYTES_MAX = 10 * 1_048_576 - 65_536

/** What the sender of a HELLO or WELCOME accepts: payload bytes per DATA frame, per message, and its first credit. */
export interface Limits {
  readonly frame: number
  readonly message: number
  readonly window: number
}

/** What holds for a peer that announces nothing. */
export const LIMITS_DEFAULT: Limits = {
  frame: CHUNK_BYTES_MAX,
  message: MESSAGE_BYTES_MAX,
  window: WINDOW_BYTES_DEFAULT
}

const Limits = Schema.Struct({
  frame: Schema.Int.check(Schema.isBetween({ minimum: 1024, maximum: CHUNK_BYTES_MAX })),
  message: Schema.Int.check(Schema.isBetween({ minimum: CHUNK_BYTES_MAX, maximum: MESSAGE_BYTES_MAX })),
  // A window below one chunk could never be used, and ACK carries 32 bits.
  window: Schema.Int.check(Schema.isBetween({ minimum: CHUNK_BYTES_MAX, maximum: 0xffff_ffff }))
})

const Count = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }))

/** After how long an owner may have calls detached (mcp §6.7): shorter would detach all of them, longer none. */
export const DetachAfterMs = Schema.Int.check(Schema.isBetween({ minimum: 1000, maximum: 86_400_000 }))

/** A session id: 128 random bits in hexadecimal. */
export const SessionId = Schema.String.check(Schema.isPattern(/^[0-9a-f]{32}$/))

/** A service name: what `expose` accepts and `PEER/NAME` can spell. */
export const ServiceName = Schema.String.check(Schema.isPattern(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/))

/**
 * HELLO: the shim opens or resumes a session. `resumeKey` is 256 random bits in base64url; `rx` the last sequence number
 * handed over; `epoch` (ours, optional) the last epoch seen, so that a keeper without memory of it chooses a newer one.
 */
export const Hello = Schema.Struct({
  v: Schema.Int,
  session: SessionId,
  resumeKey: Schema.String.check(Schema.isPattern(/^[A-Za-z0-9_-]{43}$/)),
  rx: Count,
  service: ServiceName,
  epoch: Schema.optionalKey(Count),
  limits: Schema.optionalKey(Limits)
})
/** A decoded HELLO. */
export type Hello = typeof Hello.Type

/**
 * WELCOME: the keeper's answer. Not `resumed` means that both sides start at sequence number 1. `safe` and `trustHints`
 * (ours, optional) are what the service's owner declares harmless to run twice (`SafeCalls`); `detachAfterMs` (ours,
 * optional) is when the owner wants a call answered with a handle, if the mount does not say.
 */
export const Welcome = Schema.Struct({
  v: Schema.Int,
  resumed: Schema.Boolean,
  rx: Count,
  epoch: Count,
  lingerMs: Schema.optionalKey(Count),
  safe: Schema.optionalKey(Schema.Array(Schema.String.check(Schema.isMaxLength(512))).check(Schema.isMaxLength(256))),
  trustHints: Schema.optionalKey(Schema.Boolean),
  detachAfterMs: Schema.optionalKey(DetachAfterMs),
  limits: Schema.optionalKey(Limits)
})
/** A decoded WELCOME. */
export type Welcome = typeof Welcome.Type

/**
 * BYE: the session is over. Reasons of ours: `closed` (the client left), `denied` (no such service for this peer,
 * whether it exists or not), `overloaded` (a limit of sessions or children), `busy` (the child cannot start),
 * `ended` (the service stopped), `displaced` (a newer stream took the session), `protocol`, `version`.
 */
export const Bye = Schema.Struct({
  reason: Schema.String.check(Schema.isMaxLength(64)),
  detail: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(1024)))
})
/** A decoded BYE. */
export type Bye = typeof Bye.Type

/** STATUS: diagnostics outside the sequence, about whatever `ref` names. */
export const Status = Schema.Struct({
  ref: Schema.optionalKey(Schema.Unknown),
  state: Schema.String.check(Schema.isMaxLength(256))
})
/** A decoded STATUS. */
export type Status = typeof Status.Type
