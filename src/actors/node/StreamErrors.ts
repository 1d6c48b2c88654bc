/**
 * Why streams end and dials fail, as users see it: typed, with a sentence for people. Whoever handles them matches on
 * `reason`.
 */
import { Schema } from "effect"
import type { ConnectionFailure } from "../../protocol/stream/ConnectionState.ts"
import type { ResetReason } from "../../protocol/wire/ResetReason.ts"

const RESETS = {
  Closed: "the stream takes no more data: it was ended or closed",
  PeerReset: "the peer reset the stream and gave no reason",
  PeerAborted: "the peer's application aborted the stream",
  PeerClosed: "the peer does not read this stream any more",
  PeerRefused: "the peer's listener refused the stream",
  PeerGaveUp: "the peer gave the stream up because nothing reached it",
  PeerOverloaded: "the peer has reached a limit and takes no more streams",
  PeerRestarted: "the peer does not know the stream any more: it has restarted",
  PeerStopped: "the peer's node is stopping",
  ProtocolViolated: "the stream broke the protocol",
  Truncated: "the peer's data ended before all of it had arrived",
  LocalAbort: "the stream was aborted here",
  Unreachable: "the peer has been silent for too long",
  NodeStopped: "this node is stopping",
  TrustRevoked: "the peers do not trust each other any more"
} as const

/** Every reason of a `ConnectionReset`. */
export type ResetCause = keyof typeof RESETS

/** Every reason of a `ConnectionReset`, for decoding. */
export const resetCauses = Object.keys(RESETS) as ReadonlyArray<ResetCause>

/** Why a stream ended before its end, or takes no more: `Closed` is a write after either side's FIN. */
export class ConnectionReset extends Schema.TaggedError<ConnectionReset>()("ConnectionReset", {
  reason: Schema.Literals(resetCauses)
}) {
  override get message(): string {
    return RESETS[this.reason]
  }
}

const DIALS = {
  NotFound: "nobody has this address",
  Untrusted: "the peer does not trust this node",
  Refused: "the peer refused the connection",
  Timeout: "no answer in time",
  NoPath: "no way to the peer is known",
  KeyChanged: "another key stands behind the address than before",
  NameMoved: "another key stands behind the name than before",
  PortsExhausted: "this node has no free port left",
  RegistryUnavailable: "the registry cannot be asked",
  NodeStopped: "a node is stopping",
  TooManyConnections: "a limit on connections is reached"
} as const

/** Every reason of a `DialError`. */
export type DialReason = keyof typeof DIALS

/** Why a dial failed. */
export class DialError extends Schema.TaggedError<DialError>()("DialError", {
  reason: Schema.Literals(Object.keys(DIALS) as ReadonlyArray<DialReason>),
  /** What the user dialled. */
  target: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `cannot connect to ${this.target}: ${this.detail === "" ? DIALS[this.reason] : this.detail}`
  }
}

/** The port has its one listener already. */
export class PortInUse extends Schema.TaggedError<PortInUse>()("PortInUse", { port: Schema.Finite }) {
  override get message(): string {
    return `port ${this.port} has a listener already`
  }
}

/** No answer to a ping in time. */
export class PingTimeout extends Schema.TaggedError<PingTimeout>()("PingTimeout", { target: Schema.String }) {
  override get message(): string {
    return `${this.target} did not answer in time`
  }
}

/** What a failed stream's user is told; a stream that did not fail takes no more data. */
export const resetCause = (failure: ConnectionFailure | undefined, told: ResetReason | undefined): ResetCause => {
  switch (failure) {
    case undefined:
      return "Closed"
    case "Timeout":
      return "Unreachable"
    case "Aborted":
      return "LocalAbort"
    case "Truncated":
      return "Truncated"
    case "Restarted":
      return "PeerRestarted"
    case "Violated":
      return "ProtocolViolated"
    case "Refused":
    case "Reset":
      return told === undefined ? "PeerReset" : TOLD[told]
  }
}

/** What the peer is told of a reset that this node decided on. */
export const resetReason = (cause: ResetCause): ResetReason => {
  switch (cause) {
    case "TrustRevoked":
      return "NotTrusted"
    case "NodeStopped":
      return "Shutdown"
    case "PeerOverloaded":
      return "ResourceLimit"
    default:
      return "Aborted"
  }
}

const TOLD: Readonly<Record<ResetReason, ResetCause>> = {
  NoListener: "PeerRefused",
  Refused: "PeerRefused",
  NotTrusted: "TrustRevoked",
  Aborted: "PeerAborted",
  Closed: "PeerClosed",
  Timeout: "PeerGaveUp",
  NoConnection: "PeerRestarted",
  ResourceLimit: "PeerOverloaded",
  ProtocolError: "ProtocolViolated",
  Shutdown: "PeerStopped"
}
