/**
 * The real cryptography with reproducible randomness: keys and nonces follow from a text, everything computed with them
 * is `NativeCrypto`'s. For simulations only: whoever knows the text knows the keys.
 */
import { Crypto } from "../core/crypto/Crypto.ts"
import * as NativeCrypto from "../core/crypto/NativeCrypto.ts"

/** A stream of randomness of its own for each text. */
export const make = (seedText: string): Crypto["Service"] => {
  const { crypto } = NativeCrypto
  const randomBytes = makeGenerator(crypto, seedText)
  return Crypto.of({
    ...crypto,
    randomBytes,
    agreementKey: (privateKey) => crypto.agreementKey(privateKey ?? randomBytes(KEY_BYTES)),
    signingKey: (seed) => crypto.signingKey(seed ?? randomBytes(KEY_BYTES))
  })
}

/** SHA-256 in counter mode. */
const makeGenerator = (crypto: Crypto["Service"], seedText: string) => {
  const key = crypto.sha256(new TextEncoder().encode(seedText))
  let counter = 0
  return (sizeBytes: number): Uint8Array => {
    const bytes = new Uint8Array(sizeBytes)
    for (let at = 0; at < sizeBytes; at += key.length) {
      const block = crypto.sha256(Uint8Array.of(...key, ...bigEndian(counter++)))
      bytes.set(block.subarray(0, sizeBytes - at), at)
    }
    return bytes
  }
}

const bigEndian = (value: number): ReadonlyArray<number> => [value >>> 24, value >>> 16, value >>> 8, value]

const KEY_BYTES = 32
