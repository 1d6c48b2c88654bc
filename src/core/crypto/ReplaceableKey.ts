/** A signing key that may be replaced while others hold it: whoever signs next signs with the new one. */
import type { SigningKey } from "./Crypto.ts"

/** Everybody's view of the present key; whoever may replace it has `replace`. */
export class ReplaceableKey implements SigningKey {
  #key: SigningKey

  constructor(key: SigningKey) {
    this.#key = key
  }

  get publicKey(): Uint8Array {
    return this.#key.publicKey
  }

  get seed(): Uint8Array {
    return this.#key.seed
  }

  sign(message: Uint8Array): Uint8Array {
    return this.#key.sign(message)
  }

  /** From now on. */
  replace(key: SigningKey): void {
    this.#key = key
  }
}
