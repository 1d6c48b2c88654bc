/** One X25519 key of this node with the key exchange that offers it (wire §6.2), which is signed once. */
import type { AgreementKey, SigningKey } from "../../core/crypto/Crypto.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import * as TunnelFrame from "../../protocol/wire/TunnelFrame.ts"

/** Given to one tunnel, with which the private half ends. */
export class OwnKey implements AgreementKey {
  readonly publicKey: Uint8Array
  readonly agree: AgreementKey["agree"]
  readonly #identity: SigningKey
  #signed: { readonly node: NodeId; readonly identity: Uint8Array; readonly exchange: Uint8Array } | undefined

  constructor(key: AgreementKey, identity: SigningKey) {
    this.publicKey = key.publicKey
    this.agree = key.agree
    this.#identity = identity
  }

  /** The PILA of a node of that name with this key; signed when it is first asked for. */
  exchange(node: NodeId): Uint8Array {
    const { publicKey: identity } = this.#identity
    // The identity of a node may be replaced while it runs.
    if (this.#signed?.node !== node || this.#signed.identity !== identity)
      this.#signed = { node, identity, exchange: this.#sign(node) }
    return this.#signed.exchange
  }

  #sign(node: NodeId): Uint8Array {
    return TunnelFrame.encode({
      _tag: "KeyExchange",
      sender: node,
      agreementKey: this.publicKey,
      identityKey: this.#identity.publicKey,
      signature: this.#identity.sign(TunnelFrame.signedText(node, this.publicKey))
    })
  }
}
