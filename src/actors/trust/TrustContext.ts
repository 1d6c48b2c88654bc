/** What the parts of the trust service share. Built once by `TrustActor`. */
import type { Crypto, SigningKey } from "../../core/crypto/Crypto.ts"
import type { ProtocolEvent } from "../../protocol/ProtocolEvent.ts"
import type { HandshakeStamps } from "../../protocol/trust/HandshakeStamps.ts"
import type { Node } from "../node/Node.ts"
import type { RegistryClient } from "../registry/RegistryClient.ts"
import type { PeerKeys } from "./PeerKeys.ts"
import type { OpenServices } from "./ServiceOpener.ts"

/** Shared by reference. */
export interface TrustContext {
  /** Signs what this node says; the same key that opens its tunnels. */
  readonly identity: SigningKey
  readonly crypto: Crypto["Service"]
  readonly node: Node["Service"]
  readonly registry: RegistryClient["Service"]
  readonly keys: PeerKeys["Service"]
  readonly stamps: HandshakeStamps
  /** Must not wait. */
  readonly report: (event: ProtocolEvent) => void
  /** What an invitation promised; without it promises stay due. */
  readonly openServices: OpenServices | undefined
}
