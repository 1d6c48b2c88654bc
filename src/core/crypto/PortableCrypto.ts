/**
 * `Crypto` over `@noble`, for runtimes without `node:crypto`, and the oracle that the native implementation is tested
 * against. 4 to 30 times slower per operation.
 */
import { gcm } from "@noble/ciphers/aes.js"
import { ed25519, x25519 } from "@noble/curves/ed25519.js"
import { hmac } from "@noble/hashes/hmac.js"
import { scrypt } from "@noble/hashes/scrypt.js"
import { sha256 } from "@noble/hashes/sha2.js"
import { randomBytes } from "@noble/hashes/utils.js"
import { Layer } from "effect"
import * as Bytes from "../data/Bytes.ts"
import { type Aead, type AgreementKey, Crypto, type SigningKey } from "./Crypto.ts"

/** The portable implementation as a value, for code that runs outside of Effect. */
export const crypto: Crypto["Service"] = {
  randomBytes: (sizeBytes) => randomBytes(sizeBytes),
  sha256: (data) => sha256(data),
  hashing: () => {
    const running = sha256.create()
    return { update: (bytes) => void running.update(bytes), digest: () => running.digest() }
  },
  hmacSha256: (key, data) => hmac(sha256, key, data),
  scrypt: (passphrase, salt, { n, p, r }) => scrypt(passphrase, salt, { N: n, r, p, dkLen: KEY_BYTES }),
  aes256Gcm: (key) => makeAead(Uint8Array.from(ofLength(key, KEY_BYTES, "AES-256 key"))),
  agreementKey: (privateKey) => makeAgreementKey(privateKey ?? randomBytes(KEY_BYTES)),
  signingKey: (seed) => makeSigningKey(seed ?? randomBytes(KEY_BYTES)),
  verify: (publicKey, message, signature) => {
    if (publicKey.length !== KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false
    try {
      // The stricter of the two definitions: canonical encodings only, no keys of small order.
      return ed25519.verify(signature, message, publicKey, { zip215: false })
    } catch {
      return false
    }
  }
}

/** Provides `Crypto` portably. */
export const layer: Layer.Layer<Crypto> = Layer.succeed(Crypto, crypto)

const makeAead = (key: Uint8Array): Aead => {
  const seal: Aead["seal"] = (nonce, plaintext, additionalData) =>
    gcm(key, ofLength(nonce, NONCE_BYTES, "nonce"), additionalData).encrypt(plaintext)
  return {
    seal,
    sealAfter: (header, nonce, plaintext, additionalData) => {
      const sealed = seal(nonce, plaintext, additionalData)
      const frame = new Uint8Array(header.length + sealed.length)
      frame.set(header, 0)
      frame.set(sealed, header.length)
      return frame
    },
    sealPieces: (header, nonce, plaintext, additionalData) => [
      header.slice(),
      seal(nonce, Bytes.join(plaintext), additionalData)
    ],
    open: (nonce, sealed, additionalData) => {
      if (sealed.length < TAG_BYTES || nonce.length !== NONCE_BYTES) return undefined
      try {
        return gcm(key, nonce, additionalData).decrypt(sealed)
      } catch {
        // The only failure left is the tag.
        return undefined
      }
    }
  }
}

const makeAgreementKey = (privateBytes: Uint8Array): AgreementKey => {
  const privateKey = Uint8Array.from(ofLength(privateBytes, KEY_BYTES, "private key"))
  return {
    publicKey: x25519.getPublicKey(privateKey),
    agree: (peerPublicKey) => {
      if (peerPublicKey.length !== KEY_BYTES) return undefined
      try {
        return x25519.getSharedSecret(privateKey, peerPublicKey)
      } catch {
        // The all-zero secret of a low-order point (RFC 7748 §6.1).
        return undefined
      }
    }
  }
}

const makeSigningKey = (seedBytes: Uint8Array): SigningKey => {
  const seed = Uint8Array.from(ofLength(seedBytes, KEY_BYTES, "private key"))
  return {
    publicKey: ed25519.getPublicKey(seed),
    seed,
    sign: (message) => ed25519.sign(message, seed)
  }
}

const ofLength = (bytes: Uint8Array, sizeBytes: number, what: string): Uint8Array => {
  if (bytes.length !== sizeBytes) throw new RangeError(`${what} of ${bytes.length} bytes instead of ${sizeBytes}`)
  return bytes
}

const TAG_BYTES = 16
const NONCE_BYTES = 12
const KEY_BYTES = 32
const SIGNATURE_BYTES = 64
