/**
 * How commands ask a running mount how it does: one JSON line each way on a socket that only the owner can open, beside those
 * of the other mounts of a state directory. It changes nothing, but for a question of its own to servers that are open.
 */
import { Schema } from "effect"
import * as KeeperControl from "./KeeperControl.ts"

/** With `probe`, the server of each open session is asked for its tools first. */
export const Request = Schema.Struct({ op: Schema.Literal("status"), probe: Schema.Boolean })
/** What a mount is asked. */
export type Request = typeof Request.Type

/** What a server answered over the session of a client; one without tools is never healthy. Times in milliseconds. */
export const Sign = Schema.Struct({
  verdict: Schema.Literals(["healthy", "no-tools", "failing"]),
  /** On the first page of its list, if there are more. */
  tools: Schema.Int,
  reason: Schema.String,
  tookMs: Schema.Number,
  atMs: Schema.Number
})
/** What a server answered. */
export type Sign = typeof Sign.Type

/** The relay session of one client, with the breaker of its calls. Times in milliseconds since 1970. */
export const Session = Schema.Struct({
  /** `PEER/SERVICE`, of several instances the one in use. */
  target: Schema.String,
  isConnected: Schema.Boolean,
  inFlight: Schema.Int,
  ...KeeperControl.Breaker.fields,
  /** The last that was asked for; absent while none was. */
  sign: Schema.optionalKey(Sign)
})
/** The relay session of one client. */
export type Session = typeof Session.Type

/** One of the peers that have the service. */
export const Instance = Schema.Struct({
  target: Schema.String,
  /** Smoothed; absent while it was never measured. */
  rttMs: Schema.optionalKey(Schema.Number),
  isAway: Schema.Boolean,
  isDistrusted: Schema.Boolean
})
/** One of the peers that have the service. */
export type Instance = typeof Instance.Type

/** What a mount does now. */
export const State = Schema.Struct({
  pid: Schema.Int,
  /** `stdio`, or the URL of its endpoint. */
  serves: Schema.String,
  startedAtMs: Schema.Number,
  instances: Schema.Array(Instance),
  sessions: Schema.Array(Session)
})
/** What a mount does now. */
export type State = typeof State.Type

/** The directory of the sockets in the state directory; each is named after its process. */
export const DIRECTORY = "mounts"
