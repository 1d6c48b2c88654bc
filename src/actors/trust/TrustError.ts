/** The failure of every operation about trust. */
import { Schema } from "effect"

/** Why a trust operation failed. */
export class TrustError extends Schema.TaggedError<TrustError>()("TrustError", {
  reason: Schema.Literals([
    "NotTrusted",
    "RelayFailed",
    "KeyChanged",
    "UnknownPeer",
    "FingerprintMismatch",
    "NotStored",
    "NotValid",
    "LimitReached"
  ]),
  node: Schema.Finite,
  detail: Schema.String
}) {
  override get message(): string {
    return this.detail === "" ? `${this.reason}: node ${this.node}` : this.detail
  }
}
