/**
 * Tunnel frames (wire §4): what one UDP datagram carries between two nodes, or inside a relay message.
 *
 * ```
 * Plain        "PILT"  packet
 * Sealed       "PILS"  sender node id (4)  nonce (12)  ciphertext and tag (16 + n)
 * KeyRequest   "PILK"  sender node id (4)  X25519 public key (32)
 * KeyExchange  "PILA"  sender node id (4)  X25519 public key (32)  Ed25519 public key (32)  signature (64)
 * Punch        "PILP"
 * ```
 */
import { Result } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Address from "./Address.ts"
import * as DecodeError from "./DecodeError.ts"

/** A packet in clear. */
export interface Plain {
  readonly _tag: "Plain"
  readonly packet: Uint8Array
}

/** A packet under the tunnel's key; `sealed` is the ciphertext and its 16-byte tag. */
export interface Sealed {
  readonly _tag: "Sealed"
  readonly sender: Address.NodeId
  readonly nonce: Uint8Array
  readonly sealed: Uint8Array
}

/** Asks for the receiver's key exchange (wire §6.2). */
export interface KeyRequest {
  readonly _tag: "KeyRequest"
  readonly sender: Address.NodeId
  readonly agreementKey: Uint8Array
}

/** The sender's X25519 key, signed by its identity over `signedText`. */
export interface KeyExchange {
  readonly _tag: "KeyExchange"
  readonly sender: Address.NodeId
  readonly agreementKey: Uint8Array
  readonly identityKey: Uint8Array
  readonly signature: Uint8Array
}

/** Opens a NAT and says nothing. */
export interface Punch {
  readonly _tag: "Punch"
}

/** One frame. Every byte field is a view into the datagram: copy what outlives it. */
export type TunnelFrame = Plain | Sealed | KeyRequest | KeyExchange | Punch

/** Whom a datagram is for, by its first byte (wire §4); `Unknown` is dropped silently. */
export type DatagramKind = "Beacon" | "Tunnel" | "Unknown"

/** Beacon types lie below 10 (hexadecimal), frames begin with `P`. */
export const classify = (datagram: Uint8Array): DatagramKind => {
  const first = datagram[0]
  if (first === undefined) return "Unknown"
  return first < 0x10 ? "Beacon" : first === 0x50 ? "Tunnel" : "Unknown"
}

/** Bytes before the ciphertext of a sealed frame. */
export const SEALED_HEADER_BYTES = 20
/** Bytes a sealed frame adds to its packet. */
export const SEALED_OVERHEAD_BYTES = 36
/** Bytes of a nonce: prefix (4), counter (8). */
export const NONCE_BYTES = 12

/** Reads one frame; bytes after the fixed layout of key frames and punches are ignored (wire §4). */
export const decode = (bytes: Uint8Array): Result.Result<TunnelFrame, DecodeError.DecodeError> => {
  if (bytes.length < MAGIC_BYTES) return DecodeError.truncated(MAGIC_BYTES, bytes.length)
  switch (Bytes.readU32(bytes, 0)) {
    case Magic.Sealed:
      return decodeSealed(bytes)
    case Magic.Plain:
      return bytes.length < PLAIN_BYTES_MIN
        ? DecodeError.truncated(PLAIN_BYTES_MIN, bytes.length)
        : Result.succeed({ _tag: "Plain", packet: bytes.subarray(MAGIC_BYTES) })
    case Magic.KeyExchange:
      return decodeKeyExchange(bytes)
    case Magic.KeyRequest:
      return bytes.length < KEY_REQUEST_BYTES
        ? DecodeError.truncated(KEY_REQUEST_BYTES, bytes.length)
        : Result.succeed({ _tag: "KeyRequest", sender: senderOf(bytes), agreementKey: bytes.subarray(8, 40) })
    case Magic.Punch:
      return PUNCH
    default:
      return DecodeError.badMagic
  }
}

/** The frame as bytes of its own. */
export const encode = (self: TunnelFrame): Uint8Array => {
  switch (self._tag) {
    case "Plain":
      return Bytes.concat(magic(Magic.Plain), self.packet)
    case "Sealed":
      return encodeSealed(self.sender, self.nonce, self.sealed)
    case "KeyRequest":
      return encodeKeyRequest(self)
    case "KeyExchange":
      return encodeKeyExchange(self)
    case "Punch":
      return magic(Magic.Punch)
  }
}

/** A key request. */
export const encodeKeyRequest = (self: Omit<KeyRequest, "_tag">): Uint8Array =>
  Bytes.concat(header(Magic.KeyRequest, self.sender), self.agreementKey)

/** A key exchange. */
export const encodeKeyExchange = (self: Omit<KeyExchange, "_tag">): Uint8Array =>
  Bytes.concat(header(Magic.KeyExchange, self.sender), self.agreementKey, self.identityKey, self.signature)

/** A sealed frame; on the packet path in place of `encode`. */
export const encodeSealed = (sender: Address.NodeId, nonce: Uint8Array, sealed: Uint8Array): Uint8Array => {
  const frame = new Uint8Array(SEALED_HEADER_BYTES + sealed.length)
  encodeSealedHeader(sender, nonce, frame, 0)
  frame.set(sealed, SEALED_HEADER_BYTES)
  return frame
}

/** Writes the `SEALED_HEADER_BYTES` that precede the ciphertext, for a ciphertext written in place or scattered. */
export const encodeSealedHeader = (
  sender: Address.NodeId,
  nonce: Uint8Array,
  target: Uint8Array,
  offset: number
): void => {
  Bytes.writeU32(target, offset, Magic.Sealed)
  Bytes.writeU32(target, offset + 4, sender)
  target.set(nonce, offset + 8)
}

/** What a key exchange signs: `auth`, node id (4), X25519 public key (32) (wire §6.2). */
export const signedText = (sender: Address.NodeId, agreementKey: Uint8Array): Uint8Array => {
  const text = new Uint8Array(8 + agreementKey.length)
  text.set(AUTH, 0)
  Bytes.writeU32(text, 4, sender)
  text.set(agreementKey, 8)
  return text
}

const decodeSealed = (bytes: Uint8Array): Result.Result<TunnelFrame, DecodeError.DecodeError> => {
  if (bytes.length < SEALED_OVERHEAD_BYTES) return DecodeError.truncated(SEALED_OVERHEAD_BYTES, bytes.length)
  return Result.succeed({
    _tag: "Sealed",
    sender: senderOf(bytes),
    nonce: bytes.subarray(8, SEALED_HEADER_BYTES),
    sealed: bytes.subarray(SEALED_HEADER_BYTES)
  })
}

const decodeKeyExchange = (bytes: Uint8Array): Result.Result<TunnelFrame, DecodeError.DecodeError> => {
  if (bytes.length < KEY_EXCHANGE_BYTES) return DecodeError.truncated(KEY_EXCHANGE_BYTES, bytes.length)
  return Result.succeed({
    _tag: "KeyExchange",
    sender: senderOf(bytes),
    agreementKey: bytes.subarray(8, 40),
    identityKey: bytes.subarray(40, 72),
    signature: bytes.subarray(72, KEY_EXCHANGE_BYTES)
  })
}

const senderOf = (bytes: Uint8Array): Address.NodeId => Address.NodeId(Bytes.readU32(bytes, MAGIC_BYTES))

const magic = (value: number): Uint8Array => {
  const bytes = new Uint8Array(MAGIC_BYTES)
  Bytes.writeU32(bytes, 0, value)
  return bytes
}

const header = (value: number, sender: Address.NodeId): Uint8Array => {
  const bytes = new Uint8Array(MAGIC_BYTES + 4)
  Bytes.writeU32(bytes, 0, value)
  Bytes.writeU32(bytes, MAGIC_BYTES, sender)
  return bytes
}

const MAGIC_BYTES = 4
const Magic = {
  Plain: 0x50494c54,
  Sealed: 0x50494c53,
  KeyRequest: 0x50494c4b,
  KeyExchange: 0x50494c41,
  Punch: 0x50494c50
} as const
const PLAIN_BYTES_MIN = 38
const KEY_REQUEST_BYTES = 40
const KEY_EXCHANGE_BYTES = 136
const AUTH = Bytes.fromUtf8("auth")
const PUNCH: Result.Result<TunnelFrame> = Result.succeed({ _tag: "Punch" })
