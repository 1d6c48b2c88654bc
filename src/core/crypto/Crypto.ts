/**
 * Cryptography as one synchronous service, because it sits on the packet path (architecture, decision 2).
 * `NativeCrypto` (`node:crypto`) serves in production, `PortableCrypto` (`@noble/*`) elsewhere and as its oracle.
 */
import { Context } from "effect"

/**
 * AES-256-GCM under one prepared key: 12-byte nonces, 16-byte tag. A nonce must never be used twice. Results may be
 * views of a larger buffer: take parts with `subarray`, never with `slice`.
 */
export interface Aead {
  /** Ciphertext followed by the tag. */
  readonly seal: (nonce: Uint8Array, plaintext: Uint8Array, additionalData?: Uint8Array) => Uint8Array
  /** The same behind a copy of `header`: a whole frame with one copy less, a third of the cost at 60 KB. */
  readonly sealAfter: (
    header: Uint8Array,
    nonce: Uint8Array,
    plaintext: Uint8Array,
    additionalData?: Uint8Array
  ) => Uint8Array
  /** The same for a plaintext in pieces, into pieces: without any copy, which at 60 KB costs more than the cipher. */
  readonly sealPieces: (
    header: Uint8Array,
    nonce: Uint8Array,
    plaintext: ReadonlyArray<Uint8Array>,
    additionalData?: Uint8Array
  ) => ReadonlyArray<Uint8Array>
  /** The plaintext, or `undefined` when the tag does not match or the input is shorter than a tag. Never throws. */
  readonly open: (nonce: Uint8Array, sealed: Uint8Array, additionalData?: Uint8Array) => Uint8Array | undefined
}

/** One X25519 key pair (RFC 7748); the private half never leaves it. */
export interface AgreementKey {
  readonly publicKey: Uint8Array
  /** The 32-byte shared secret, or `undefined` for a malformed or low-order peer key (all-zero result). */
  readonly agree: (peerPublicKey: Uint8Array) => Uint8Array | undefined
}

/** One Ed25519 key pair (RFC 8032, pure). */
export interface SigningKey {
  readonly publicKey: Uint8Array
  readonly seed: Uint8Array
  readonly sign: (message: Uint8Array) => Uint8Array
}

/** A SHA-256 that is given its message in pieces. `digest` is called once, last. */
export interface Hashing {
  readonly update: (bytes: Uint8Array) => void
  readonly digest: () => Uint8Array
}

/** What a guess at a passphrase costs (RFC 7914): `128 × n × r` bytes of memory, and time in proportion to `n × r × p`. */
export interface ScryptCost {
  /** A power of two. */
  readonly n: number
  readonly r: number
  readonly p: number
}

/**
 * Everything the protocol asks of cryptography. Total for whatever comes from outside: bad input is a value, never a
 * throw. Only a key or nonce of our own that has the wrong length is a defect.
 */
export class Crypto extends Context.Service<
  Crypto,
  {
    readonly randomBytes: (sizeBytes: number) => Uint8Array
    readonly sha256: (data: Uint8Array) => Uint8Array
    /** Begins a SHA-256 over what is too large to be there at once. */
    readonly hashing: () => Hashing
    readonly hmacSha256: (key: Uint8Array, data: Uint8Array) => Uint8Array
    /** 32 bytes from a passphrase, slowly and on purpose: for files, never on the packet path. The caller bounds the cost. */
    readonly scrypt: (passphrase: Uint8Array, salt: Uint8Array, cost: ScryptCost) => Uint8Array
    readonly aes256Gcm: (key: Uint8Array) => Aead
    /** A fresh key pair, or the one of the given 32-byte private key. */
    readonly agreementKey: (privateKey?: Uint8Array) => AgreementKey
    /** A fresh key pair, or the one of the given 32-byte seed. */
    readonly signingKey: (seed?: Uint8Array) => SigningKey
    /** False for a malformed key or signature as well, and for the keys of small order, under which anybody can sign. */
    readonly verify: (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean
  }
>()("effect-pilot/core/crypto/Crypto") {}
