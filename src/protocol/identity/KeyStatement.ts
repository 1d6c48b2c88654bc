/**
 * One signed statement about the keys of an identity (security rule 9): which key follows, which recovery key may decide,
 * what is taken back. An extension of ours; statements travel in lists (`KeyChain`) and are believed for their signatures
 * only, whoever carried them.
 *
 * ```
 * 0   kind: 1 enrol, 2 rotate, 3 cancel      1   signer: 0 the key itself, 1 the recovery key
 * 2   sequence (4): how many rotations lie before the key that results; of an enrolment and a cancellation, before `key`
 * 6   time (8), Unix seconds                 14  key (32)     46  next (32)     78  recovery (32), zero for none
 * 110 signature (64)                         174 consent (64)
 * ```
 *
 * | kind | `next` | `recovery` | `signature` by | `consent` by |
 * |---|---|---|---|---|
 * | enrol by the key | zero | the key that may decide | `key` | `recovery` |
 * | enrol by recovery | the recovery key before | the one from now on | `next` | `recovery` |
 * | rotate by the key | the new key | the one in force, or none | `key` | `next` |
 * | rotate by recovery | the new key | the one in force | `recovery` | `next` |
 * | cancel by the key | the key that shall not follow | as for rotate | `key` | nobody: zero |
 * | cancel by recovery | the same | the one in force | `recovery` | nobody: zero |
 *
 * The new key consents, so nobody's key can be drawn into a chain; it consents to the recovery key as well, so the peer
 * who begins with the new key needs no older statement.
 */
import { Result } from "effect"
import * as ByteReader from "../../core/data/ByteReader.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as DecodeError from "../wire/DecodeError.ts"

/** What a statement says. */
export type Kind = "enrol" | "rotate" | "cancel"

/** Whose signature carries it. */
export type Signer = "key" | "recovery"

/** What is signed. Keys have 32 bytes; `next` and `recovery` are empty where there is none. */
export interface Draft {
  readonly kind: Kind
  readonly signer: Signer
  readonly sequence: number
  readonly unixSeconds: number
  readonly key: Uint8Array
  readonly next: Uint8Array
  readonly recovery: Uint8Array
}

/** A statement with its signatures, 64 bytes each; `consent` is empty where nobody consents. */
export interface KeyStatement extends Draft {
  readonly signature: Uint8Array
  readonly consent: Uint8Array
}

/** Ed25519; false for a malformed key or signature. */
export type Verify = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean

/** Every statement has this many bytes. */
export const STATEMENT_BYTES = 238

/** The bytes that both signatures cover: what they are for, and everything before the signatures. */
export const signedBytes = (self: Draft): Uint8Array => Bytes.concat(PURPOSE, encodeDraft(self))

/** The statement as it travels. */
export const encode = (self: KeyStatement): Uint8Array =>
  Bytes.concat(encodeDraft(self), padded(self.signature, SIGNATURE_BYTES), padded(self.consent, SIGNATURE_BYTES))

/** The statement in exactly `STATEMENT_BYTES`; its form is checked, its signatures are not (`isGenuine`). */
export const decode = (bytes: Uint8Array): Result.Result<KeyStatement, DecodeError.DecodeError> => {
  if (bytes.length < STATEMENT_BYTES) return DecodeError.truncated(STATEMENT_BYTES, bytes.length)
  if (bytes.length > STATEMENT_BYTES) return DecodeError.limitExceeded(STATEMENT_BYTES, bytes.length)
  const reader = ByteReader.make(Bytes.copy(bytes))
  const kindByte = ByteReader.u8(reader)
  const kind = KINDS[kindByte - 1]
  const signer = SIGNERS[ByteReader.u8(reader)]
  const sequence = ByteReader.u32(reader)
  const unixSeconds = ByteReader.u64(reader)
  const [key, next, recovery] = [take(reader, KEY_BYTES), take(reader, KEY_BYTES), take(reader, KEY_BYTES)]
  const [signature, consent] = [take(reader, SIGNATURE_BYTES), take(reader, SIGNATURE_BYTES)]
  if (kind === undefined) return DecodeError.unknownType(kindByte)
  if (signer === undefined) return DecodeError.malformed("signer")
  if (unixSeconds === undefined || unixSeconds > SECONDS_MAX) return DecodeError.malformed("time")
  const self = { kind, signer, sequence, unixSeconds, key, next, recovery, signature, consent }
  return isWellFormed(self) ? Result.succeed(self) : DecodeError.malformed(kind)
}

/** Whether those have signed who must have; whether they may decide is for the reader's history (`KeyHistory`). */
export const isGenuine = (self: KeyStatement, verify: Verify): boolean => {
  const text = signedBytes(self)
  return (
    verify(signerKey(self), text, self.signature) &&
    (self.kind === "cancel" || verify(self.kind === "enrol" ? self.recovery : self.next, text, self.consent))
  )
}

/** The public key under which `signature` must hold. */
export const signerKey = (self: Draft): Uint8Array => {
  if (self.signer === "key") return self.key
  return self.kind === "enrol" ? self.next : self.recovery
}

/** What tells statements apart: the same draft signed twice is one statement. */
export const idOf = (self: Draft): string => Bytes.toHex(encodeDraft(self))

const encodeDraft = (self: Draft): Uint8Array => {
  const head = new Uint8Array(HEAD_BYTES)
  head[0] = KINDS.indexOf(self.kind) + 1
  head[1] = SIGNERS.indexOf(self.signer)
  Bytes.writeU32(head, 2, self.sequence)
  Bytes.writeU64(head, 6, self.unixSeconds)
  return Bytes.concat(head, self.key, padded(self.next, KEY_BYTES), padded(self.recovery, KEY_BYTES))
}

/** One form for one meaning: what a kind has no use for is zero, so two texts never say the same. */
const isWellFormed = (self: KeyStatement): boolean => {
  const isByRecovery = self.signer === "recovery"
  if (self.key.length === 0 || self.signature.length === 0) return false
  if ((self.consent.length === 0) !== (self.kind === "cancel")) return false
  if (self.kind === "enrol") {
    const isOther = !Bytes.equals(self.recovery, self.key) && !Bytes.equals(self.recovery, self.next)
    return self.recovery.length > 0 && self.next.length > 0 === isByRecovery && isOther
  }
  const isFollower = self.next.length > 0 && !Bytes.equals(self.next, self.key)
  const isApart = !Bytes.equals(self.recovery, self.key) && !Bytes.equals(self.recovery, self.next)
  return (
    isFollower &&
    isApart &&
    (self.recovery.length > 0 || !isByRecovery) &&
    (self.kind === "cancel" || self.sequence > 0)
  )
}

/** All zero is none. */
const take = (reader: ByteReader.ByteReader, sizeBytes: number): Uint8Array => {
  const bytes = ByteReader.take(reader, sizeBytes)
  return bytes.every((byte) => byte === 0) ? Bytes.empty : bytes
}

const padded = (bytes: Uint8Array, sizeBytes: number): Uint8Array =>
  bytes.length === 0 ? new Uint8Array(sizeBytes) : bytes

/** Numbered from 1. */
const KINDS: ReadonlyArray<Kind> = ["enrol", "rotate", "cancel"]
const SIGNERS: ReadonlyArray<Signer> = ["key", "recovery"]
const PURPOSE = Bytes.fromUtf8("effect-pilot key statement 1\n")
const HEAD_BYTES = 14
/** Ed25519 (RFC 8032 §5.1.5–5.1.6). */
const KEY_BYTES = 32
const SIGNATURE_BYTES = 64
/** Year 9999. */
const SECONDS_MAX = 253_402_300_799
