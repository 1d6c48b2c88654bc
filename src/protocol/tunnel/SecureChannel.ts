/**
 * One end of a secure channel after its keys are agreed (wire §14, §15.1): plaintexts become frames, and chunks of the
 * stream become plaintexts.
 *
 * The two generations differ in keys and additional data, and no frame says which it is. A reader tries both on the first
 * frame and stays with the one that opened; a writer follows what it has read, and before that uses `preferred`. Unlike the
 * reference's, this reader takes only the other role's frames, in their order and without a gap, so that nothing is
 * repeated, reordered or sent back to it; every version sends them so.
 */
import { Result } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as LengthPrefix from "../wire/LengthPrefix.ts"
import * as SecureFrame from "../wire/SecureFrame.ts"
import type { Scheme } from "./KeyDerivation.ts"

/** What is needed of AES-256-GCM; the `Aead` of `core/crypto` is one. */
export interface Aead {
  /** `header`, ciphertext, tag. */
  readonly sealAfter: (
    header: Uint8Array,
    nonce: Uint8Array,
    plaintext: Uint8Array,
    additionalData?: Uint8Array
  ) => Uint8Array
  readonly open: (nonce: Uint8Array, sealed: Uint8Array, additionalData?: Uint8Array) => Uint8Array | undefined
}

/** Why the channel cannot be read on. */
export type Failure =
  /** A length above `SecureFrame.BODY_BYTES_MAX`. */
  | "TooLong"
  /** Shorter than a nonce. */
  | "TooShort"
  /** Not the other role's next frame: repeated, left out, or our own. */
  | "OutOfOrder"
  /** The tag does not hold, under any key. */
  | "Tag"

/** What a chunk completed. */
export interface Opened {
  /** In order; an empty frame has an empty one. */
  readonly plaintexts: ReadonlyArray<Uint8Array>
  /** Met after `plaintexts`; nothing more comes. */
  readonly failure: Failure | undefined
}

/** Mutable, with one owner. */
export class SecureChannel {
  readonly #role: SecureFrame.Role
  readonly #peer: SecureFrame.Role
  readonly #keys: Readonly<Record<Scheme, Aead>>
  readonly #preferred: Scheme
  readonly #splitter = new LengthPrefix.Splitter(SecureFrame.BODY_BYTES_MAX)
  #heard: Scheme | undefined
  #said: Scheme | undefined
  #sealedFrames = 0
  #openedFrames = 0
  #failure: Failure | undefined

  constructor(options: {
    readonly role: SecureFrame.Role
    /** Of `KeyDerivation.secureChannelKeys`. */
    readonly keys: Readonly<Record<Scheme, Aead>>
    /** The generation in which the tunnel to the peer runs. */
    readonly preferred: Scheme
  }) {
    this.#role = options.role
    this.#peer = options.role === "client" ? "server" : "client"
    this.#keys = options.keys
    this.#preferred = options.preferred
  }

  /** A frame has begun and not ended. */
  get isInside(): boolean {
    return this.#splitter.heldBytes > 0
  }

  /** The generation that the peer's frames are of, once one has opened. */
  get heard(): Scheme | undefined {
    return this.#heard
  }

  /** One frame, whole. The plaintext may be empty, and leaves room for the rest of a frame within `BODY_BYTES_MAX`. */
  seal(plaintext: Uint8Array): Uint8Array {
    this.#said ??= this.#heard ?? this.#preferred
    const nonce = SecureFrame.nonceOf(this.#role, ++this.#sealedFrames)
    const header = SecureFrame.header(nonce, plaintext.length)
    return this.#keys[this.#said].sealAfter(header, nonce, plaintext, additionalData(this.#said, this.#role))
  }

  /** Takes the next chunk of the stream, which must not be written to afterwards. */
  push(chunk: Uint8Array): Opened {
    if (this.#failure !== undefined) return { plaintexts: [], failure: this.#failure }
    const { exceeded, frames } = this.#splitter.push(chunk)
    const plaintexts: Array<Uint8Array> = []
    for (const body of frames) {
      const opened = this.#open(body)
      if (typeof opened === "string") {
        this.#failure = opened
        return { plaintexts, failure: opened }
      }
      plaintexts.push(opened)
    }
    if (exceeded !== undefined) this.#failure = "TooLong"
    return { plaintexts, failure: this.#failure }
  }

  #open(body: Uint8Array): Uint8Array | Failure {
    const decoded = SecureFrame.decode(body)
    if (Result.isFailure(decoded)) return "TooShort"
    const { counter, nonce, prefix, sealed } = decoded.success
    if (prefix !== SecureFrame.PREFIXES[this.#peer] || counter !== this.#openedFrames + 1) return "OutOfOrder"
    for (const scheme of this.#heard === undefined ? LIKELY_FIRST[this.#preferred] : [this.#heard]) {
      const plaintext = this.#keys[scheme].open(nonce, sealed, additionalData(scheme, this.#peer))
      if (plaintext === undefined) continue
      this.#heard = scheme
      this.#openedFrames = counter
      return plaintext
    }
    return "Tag"
  }
}

/** The later generation authenticates the sender's role with each frame. */
const additionalData = (scheme: Scheme, role: SecureFrame.Role): Uint8Array | undefined =>
  scheme === "legacy" ? undefined : Bytes.ofU32(SecureFrame.PREFIXES[role])

const LIKELY_FIRST: Readonly<Record<Scheme, ReadonlyArray<Scheme>>> = {
  legacy: ["legacy", "later"],
  later: ["later", "legacy"]
}
