/** Why a node did not start, in terms its operator can act on. */
import { Schema } from "effect"

/** The umbrella of everything between a configuration and a running node. */
export class NodeError extends Schema.TaggedError<NodeError>()("NodeError", {
  reason: Schema.Literals([
    /** Another process uses the state directory; it is unharmed. */
    "AlreadyRunning",
    /** The state directory cannot be made, read or written. */
    "StateUnusable",
    /** The identity file cannot be used. */
    "IdentityUnusable",
    /** The identity is encrypted, and the passphrase is missing or wrong. */
    "IdentityLocked",
    /** Pins or trust cannot be read; they are not overwritten. */
    "TrustUnusable",
    /** `policy.jsonc` is wrong; a node without its rules would allow too much. */
    "PolicyUnusable",
    /** The UDP address cannot be bound. */
    "PortInUse",
    "ListenFailed",
    /** The beacon's or registry's host name has no address. */
    "HostUnknown",
    "RegistryUnavailable",
    "RegistryRefused",
    /** The registry shows another certificate than the pinned one. */
    "RegistryPinMismatch",
    /** The registry speaks no TLS. */
    "RegistryNoTls",
    /** The local socket cannot be offered. */
    "SocketUnusable"
  ]),
  detail: Schema.String,
  hint: Schema.String
}) {
  override get message(): string {
    return `${this.detail}${this.hint === "" ? "" : ` (${this.hint})`}`
  }
}
