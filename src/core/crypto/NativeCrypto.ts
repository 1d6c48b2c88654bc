/**
 * `Crypto` over `node:crypto`, the implementation on the packet path: synchronous, every key prepared as a `KeyObject`
 * (raw key bytes would cost 3.5 times as much per packet, and a raw public key 19 microseconds per use).
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  diffieHellman,
  generateKeyPairSync,
  hash,
  type KeyObject,
  randomBytes,
  scryptSync,
  sign,
  verify
} from "node:crypto"
import { Layer } from "effect"
import { type Aead, type AgreementKey, Crypto, type SigningKey } from "./Crypto.ts"

/** The native implementation as a value, for code that runs outside of Effect. */
export const crypto: Crypto["Service"] = {
  randomBytes: (sizeBytes) => (sizeBytes <= POOLED_BYTES_MAX ? pooled(sizeBytes) : randomBytes(sizeBytes)),
  sha256: (data) => plain(hash("sha256", data, "buffer")),
  hashing: () => {
    const running = createHash("sha256")
    return { update: (bytes) => void running.update(bytes), digest: () => plain(running.digest()) }
  },
  hmacSha256: (key, data) => plain(createHmac("sha256", key).update(data).digest()),
  scrypt: (passphrase, salt, { n, p, r }) =>
    plain(scryptSync(passphrase, salt, KEY_BYTES, { N: n, r, p, maxmem: 128 * r * (n + p + 2) + SCRYPT_MARGIN_BYTES })),
  aes256Gcm: (key) => makeAead(createSecretKey(ofLength(key, KEY_BYTES, "AES-256 key"))),
  agreementKey: (privateBytes) =>
    makeAgreementKey(
      privateBytes === undefined
        ? generateKeyPairSync("x25519").privateKey
        : privateKeyObject(PKCS8_X25519, privateBytes)
    ),
  signingKey: (seed) => makeSigningKey(seed ?? randomBytes(KEY_BYTES)),
  verify: (publicKey, message, signature) => {
    const key = verifyingKey(publicKey)
    return key !== undefined && signature.length === SIGNATURE_BYTES && verify(null, message, key, signature)
  }
}

/** Provides `Crypto` natively. */
export const layer: Layer.Layer<Crypto> = Layer.succeed(Crypto, crypto)

/** A few random bytes at a time cost a job of Node's each: they are drawn from many, and are nobody else's afterwards. */
const pooled = (sizeBytes: number): Uint8Array => {
  if (poolAt + sizeBytes > pool.length) {
    pool = randomBytes(POOL_BYTES)
    poolAt = 0
  }
  const drawn = Uint8Array.from(pool.subarray(poolAt, poolAt + sizeBytes))
  pool.fill(0, poolAt, poolAt + sizeBytes)
  poolAt += sizeBytes
  return drawn
}

const makeAead = (key: KeyObject): Aead => {
  const sealAfter: Aead["sealAfter"] = (header, nonce, plaintext, additionalData) => {
    const cipher = createCipheriv(AES_256_GCM, key, ofLength(nonce, NONCE_BYTES, "nonce"), OPTIONS)
    if (additionalData !== undefined) cipher.setAAD(additionalData)
    const ciphertext = cipher.update(plaintext)
    cipher.final()
    const frame = Buffer.allocUnsafe(header.length + ciphertext.length + TAG_BYTES)
    frame.set(header, 0)
    frame.set(ciphertext, header.length)
    frame.set(cipher.getAuthTag(), header.length + ciphertext.length)
    return frame
  }
  return {
    sealAfter,
    sealPieces: (header, nonce, plaintext, additionalData) => {
      const cipher = createCipheriv(AES_256_GCM, key, ofLength(nonce, NONCE_BYTES, "nonce"), OPTIONS)
      if (additionalData !== undefined) cipher.setAAD(additionalData)
      // The header is the caller's and changes with the next frame.
      const sealed: Array<Uint8Array> = [Buffer.from(header)]
      for (const piece of plaintext) sealed.push(cipher.update(piece))
      cipher.final()
      sealed.push(cipher.getAuthTag())
      return sealed
    },
    seal: (nonce, plaintext, additionalData) => sealAfter(NOTHING, nonce, plaintext, additionalData),
    open: (nonce, sealed, additionalData) => {
      if (sealed.length < TAG_BYTES || nonce.length !== NONCE_BYTES) return undefined
      const tagAt = sealed.length - TAG_BYTES
      const decipher = createDecipheriv(AES_256_GCM, key, nonce, OPTIONS)
      decipher.setAuthTag(sealed.subarray(tagAt))
      if (additionalData !== undefined) decipher.setAAD(additionalData)
      const plaintext = decipher.update(sealed.subarray(0, tagAt))
      try {
        decipher.final()
      } catch {
        // The only failure left is the tag: nothing is released before it has been verified.
        return undefined
      }
      return plaintext
    }
  }
}

const makeAgreementKey = (privateKey: KeyObject): AgreementKey => ({
  publicKey: rawPublicKey(privateKey),
  agree: (peerPublicKey) => {
    if (peerPublicKey.length !== KEY_BYTES) return undefined
    try {
      return plain(diffieHellman({ privateKey, publicKey: publicKeyObject(SPKI_X25519, peerPublicKey) }))
    } catch {
      // OpenSSL refuses the all-zero secret of a low-order point (RFC 7748 §6.1).
      return undefined
    }
  }
})

const makeSigningKey = (seed: Uint8Array): SigningKey => {
  const privateKey = privateKeyObject(PKCS8_ED25519, seed)
  return {
    publicKey: rawPublicKey(privateKey),
    seed: Uint8Array.from(seed),
    sign: (message) => plain(sign(null, message, privateKey))
  }
}

/** The prepared key of a peer. The few thousand used last stay prepared, because preparing costs as much as signing. */
const verifyingKey = (publicKey: Uint8Array): KeyObject | undefined => {
  if (publicKey.length !== KEY_BYTES || isSmallOrder(publicKey)) return undefined
  const name = Buffer.from(publicKey.buffer, publicKey.byteOffset, KEY_BYTES).toString("latin1")
  const prepared = verifyingKeys.get(name) ?? publicKeyObject(SPKI_ED25519, publicKey)
  verifyingKeys.delete(name)
  verifyingKeys.set(name, prepared)
  const [oldest] = verifyingKeys.keys()
  if (verifyingKeys.size > VERIFYING_KEYS_MAX && oldest !== undefined) verifyingKeys.delete(oldest)
  return prepared
}

/** True for an encoding of a point of small order: OpenSSL 3.0 (Node 22) accepts a forged signature under it. */
const isSmallOrder = (publicKey: Uint8Array): boolean =>
  SMALL_ORDER.some((encoding) =>
    encoding.every((byte, index) => byte === (index === KEY_BYTES - 1 ? publicKey[index]! & 0x7f : publicKey[index]))
  )

const privateKeyObject = (prefix: Uint8Array, bytes: Uint8Array): KeyObject =>
  createPrivateKey({
    key: Buffer.concat([prefix, ofLength(bytes, KEY_BYTES, "private key")]),
    format: "der",
    type: "pkcs8"
  })

const publicKeyObject = (prefix: Uint8Array, bytes: Uint8Array): KeyObject =>
  createPublicKey({ key: Buffer.concat([prefix, bytes]), format: "der", type: "spki" })

const rawPublicKey = (privateKey: KeyObject): Uint8Array =>
  plain(createPublicKey(privateKey).export({ format: "der", type: "spki" }).subarray(-KEY_BYTES))

/** A copy without the pooled memory and the differing methods of a `Buffer`: for small values that are kept. */
const plain = (bytes: Buffer): Uint8Array => new Uint8Array(bytes)

const ofLength = (bytes: Uint8Array, sizeBytes: number, what: string): Uint8Array => {
  if (bytes.length !== sizeBytes) throw new RangeError(`${what} of ${bytes.length} bytes instead of ${sizeBytes}`)
  return bytes
}

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "hex"))

const AES_256_GCM = "aes-256-gcm"
const TAG_BYTES = 16
const NONCE_BYTES = 12
/** Above what the algorithm itself holds. */
const SCRYPT_MARGIN_BYTES = 1 << 20
const KEY_BYTES = 32
const SIGNATURE_BYTES = 64
const OPTIONS = { authTagLength: TAG_BYTES } as const
const NOTHING = new Uint8Array(0)
/** Numbers and nonces; keys are drawn by themselves. */
const POOLED_BYTES_MAX = 16
const POOL_BYTES = 4096
let pool = new Uint8Array(0)
let poolAt = 0

/** ASN.1 around 32 raw bytes (RFC 8410 §4, §7). */
const PKCS8_X25519 = hex("302e020100300506032b656e04220420")
const PKCS8_ED25519 = hex("302e020100300506032b657004220420")
const SPKI_X25519 = hex("302a300506032b656e032100")
const SPKI_ED25519 = hex("302a300506032b6570032100")

/** The y coordinates of the points of small order, with the non-canonical ones (p and p + 1); the sign bit is ignored. */
const SMALL_ORDER: ReadonlyArray<Uint8Array> = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
].map(hex)

const VERIFYING_KEYS_MAX = 4096
/** Prepared Ed25519 public keys, least recently used first. */
const verifyingKeys = new Map<string, KeyObject>()
