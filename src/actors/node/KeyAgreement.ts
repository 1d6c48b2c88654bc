/**
 * This node's half of the key exchange with one peer (wire §6.2): an X25519 key of its own per peer and life, signed by
 * the node's identity, and the check of what the peer sends.
 */
import * as Bytes from "../../core/data/Bytes.ts"
import type { KeyRefusal } from "../../protocol/ProtocolEvent.ts"
import * as KeyDerivation from "../../protocol/tunnel/KeyDerivation.ts"
import type { VerifiedExchange } from "../../protocol/tunnel/TunnelKeys.ts"
import * as TunnelFrame from "../../protocol/wire/TunnelFrame.ts"
import type { NodeContext } from "./NodeContext.ts"
import type { OwnKey } from "./OwnKey.ts"

/** Owned by a peer's actor; the private key dies with it. */
export class KeyAgreement {
  readonly #context: NodeContext
  #key: OwnKey

  constructor(context: NodeContext) {
    this.#context = context
    this.#key = context.agreementKey()
  }

  /** Our PILA. */
  get exchange(): Uint8Array {
    return this.#key.exchange(this.#context.address.node)
  }

  /** Our PILK: asks for the peer's PILA. */
  get request(): Uint8Array {
    const { address } = this.#context
    return TunnelFrame.encode({ _tag: "KeyRequest", sender: address.node, agreementKey: this.#key.publicKey })
  }

  /** A new key from now on. */
  renew(): void {
    this.#key = this.#context.agreementKey()
  }

  /** The keys agreed with the peer, if it showed the identity it must show and signed with it. */
  verify(frame: TunnelFrame.KeyExchange, expectedKey: Uint8Array): VerifiedExchange | KeyRefusal {
    const { crypto } = this.#context
    if (!Bytes.equals(frame.identityKey, expectedKey)) return "KeyChanged"
    const text = TunnelFrame.signedText(frame.sender, frame.agreementKey)
    if (!crypto.verify(expectedKey, text, frame.signature)) return "BadSignature"
    const shared = this.#key.agree(frame.agreementKey)
    if (shared === undefined) return "LowOrderKey"
    const keys = KeyDerivation.tunnelKeys(shared, crypto)
    return {
      agreementKey: frame.agreementKey.slice(),
      legacy: crypto.aes256Gcm(keys.legacy),
      later: crypto.aes256Gcm(keys.later),
      randomPrefixes: crypto.randomBytes(8),
      laterOnly: this.#context.isLaterOnly(expectedKey)
    }
  }
}
