/** Byte strings: big-endian integers, hexadecimal and base64 text, UTF-8, comparison. */

/** No bytes. */
export const empty: Uint8Array = new Uint8Array(0)

/** Same length and content. Not for secrets: it stops at the first difference. */
export const equals = (a: Uint8Array, b: Uint8Array): boolean => {
  if (a.length !== b.length) return false
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false
  return true
}

/** Order of unsigned bytes, a prefix first: negative, zero or positive. */
export const compare = (a: Uint8Array, b: Uint8Array): number => {
  const common = Math.min(a.length, b.length)
  for (let index = 0; index < common; index++) {
    const difference = a[index]! - b[index]!
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

/** All parts in order, copied into one. */
export const concat = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const joined = new Uint8Array(parts.reduce((sizeBytes, part) => sizeBytes + part.length, 0))
  let offset = 0
  for (const part of parts) {
    joined.set(part, offset)
    offset += part.length
  }
  return joined
}

/** Bytes in one piece, or in several that follow each other: large ones are not worth joining before they leave. */
export type Pieces = Uint8Array | ReadonlyArray<Uint8Array>

/** Bytes of all pieces. */
export const lengthOf = (pieces: Pieces): number => {
  if (pieces instanceof Uint8Array) return pieces.length
  let sizeBytes = 0
  for (const piece of pieces) sizeBytes += piece.length
  return sizeBytes
}

/** One piece: itself, or a copy of all. */
export const join = (pieces: Pieces): Uint8Array => (pieces instanceof Uint8Array ? pieces : concat(...pieces))

/** A copy that no later write to the source can change. */
export const copy = (bytes: Uint8Array): Uint8Array => Uint8Array.prototype.slice.call(bytes)

/** Unsigned 16 bits at `offset`; the caller has checked the bounds. */
export const readU16 = (bytes: Uint8Array, offset: number): number => (bytes[offset]! << 8) | bytes[offset + 1]!

/** Unsigned 32 bits at `offset`; the caller has checked the bounds. */
export const readU32 = (bytes: Uint8Array, offset: number): number =>
  ((bytes[offset]! << 24) | (bytes[offset + 1]! << 16) | (bytes[offset + 2]! << 8) | bytes[offset + 3]!) >>> 0

/**
 * Unsigned 64 bits at `offset`; the caller has checked the bounds. `undefined` above 2^53 − 1, which a number cannot
 * tell from its neighbours and no honest counter or clock reaches.
 */
export const readU64 = (bytes: Uint8Array, offset: number): number | undefined => {
  const high = readU32(bytes, offset)
  return high > 0x1fffff ? undefined : high * 0x100000000 + readU32(bytes, offset + 4)
}

/** Two bytes. */
export const ofU16 = (value: number): Uint8Array => Uint8Array.of(value >>> 8, value)

/** Four bytes. */
export const ofU32 = (value: number): Uint8Array => Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value)

/** Writes the low 16 bits of `value`. */
export const writeU16 = (bytes: Uint8Array, offset: number, value: number): void => {
  bytes[offset] = value >>> 8
  bytes[offset + 1] = value
}

/** Writes the low 32 bits of `value`. */
export const writeU32 = (bytes: Uint8Array, offset: number, value: number): void => {
  bytes[offset] = value >>> 24
  bytes[offset + 1] = value >>> 16
  bytes[offset + 2] = value >>> 8
  bytes[offset + 3] = value
}

/** Writes a whole number from 0 to 2^53 − 1 as 64 bits. */
export const writeU64 = (bytes: Uint8Array, offset: number, value: number): void => {
  writeU32(bytes, offset, Math.floor(value / 0x100000000))
  writeU32(bytes, offset + 4, value % 0x100000000)
}

/** Lower-case hexadecimal. */
export const toHex = (bytes: Uint8Array): string => {
  let text = ""
  for (const byte of bytes) text += HEX[byte]!
  return text
}

/** Reads hexadecimal of either case; `undefined` for an odd length or any other character. */
export const fromHex = (text: string): Uint8Array | undefined => {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) return undefined
  const bytes = new Uint8Array(text.length / 2)
  for (let index = 0; index < bytes.length; index++)
    bytes[index] = Number.parseInt(text.slice(2 * index, 2 * index + 2), 16)
  return bytes
}

/** Standard base64 with padding (RFC 4648 §4). */
export const toBase64 = (bytes: Uint8Array): string => {
  let text = ""
  for (let index = 0; index < bytes.length; index += 3) {
    const group = (bytes[index]! << 16) | ((bytes[index + 1] ?? 0) << 8) | (bytes[index + 2] ?? 0)
    text += BASE64[group >>> 18]! + BASE64[(group >>> 12) & 63]!
    text += index + 1 < bytes.length ? BASE64[(group >>> 6) & 63]! : "="
    text += index + 2 < bytes.length ? BASE64[group & 63]! : "="
  }
  return text
}

/**
 * Reads standard base64 in its one canonical spelling (RFC 4648 §3.5): padded, no white space, spare bits zero.
 * Anything else is `undefined`, so that a text and its bytes name each other.
 */
export const fromBase64 = (text: string): Uint8Array | undefined => {
  const bytes = decodeBase64(text)
  return bytes !== undefined && toBase64(bytes) === text ? bytes : undefined
}

/** As `fromBase64`, but skips CR and LF and ignores spare bits, as the reference's readers do (rendezvous §2.2). */
export const fromBase64Lenient = (text: string): Uint8Array | undefined => decodeBase64(text.replace(/[\r\n]/g, ""))

/** UTF-8 of a text; unpaired surrogates become U+FFFD. */
export const fromUtf8 = (text: string): Uint8Array => ENCODER.encode(text)

/** Strict UTF-8: `undefined` when any byte is out of place. A byte order mark is kept as a character. */
export const toUtf8 = (bytes: Uint8Array): string | undefined => {
  try {
    return STRICT_DECODER.decode(bytes)
  } catch {
    return undefined
  }
}

/** UTF-8 where each byte that is out of place becomes one U+FFFD, as in the reference's JSON (node, conventions). */
export const toUtf8Lossy = (bytes: Uint8Array): string => {
  const whole = toUtf8(bytes)
  if (whole !== undefined) return whole
  const mended = new Uint8Array(REPLACEMENT.length * bytes.length)
  let length = 0
  for (let offset = 0; offset < bytes.length; ) {
    const sizeBytes = characterBytes(bytes, offset)
    mended.set(sizeBytes === 0 ? REPLACEMENT : bytes.subarray(offset, offset + sizeBytes), length)
    length += sizeBytes || REPLACEMENT.length
    offset += sizeBytes || 1
  }
  return STRICT_DECODER.decode(mended.subarray(0, length))
}

/** Bytes of the well-formed character at `offset` (Unicode 15, table 3-7); 0 when there is none. */
const characterBytes = (bytes: Uint8Array, offset: number): number => {
  const first = bytes[offset]!
  if (first < 0x80) return 1
  const sizeBytes = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0
  // Two first bytes would allow a longer spelling, one a surrogate, one a number above U+10FFFF.
  const secondMin = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80
  const secondMax = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf
  for (let index = 1; index < sizeBytes; index++) {
    const byte = bytes[offset + index] ?? 0
    if (byte < (index === 1 ? secondMin : 0x80) || byte > (index === 1 ? secondMax : 0xbf)) return 0
  }
  return sizeBytes
}

const decodeBase64 = (text: string): Uint8Array | undefined => {
  if (text.length % 4 !== 0) return undefined
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0
  const digits = text.length - padding
  const bytes = new Uint8Array((digits * 3) >>> 2)
  let bits = 0
  let length = 0
  for (let index = 0; index < digits; index++) {
    const digit = BASE64_DIGIT.get(text.charAt(index))
    if (digit === undefined) return undefined
    bits = ((bits << 6) | digit) & 0xffffff
    if (index % 4 !== 0) bytes[length++] = bits >>> (6 - 2 * (index % 4))
  }
  return bytes
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"))
const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
const BASE64_DIGIT = new Map(Array.from(BASE64, (character, digit) => [character, digit]))
const ENCODER = new TextEncoder()
const REPLACEMENT = Uint8Array.of(0xef, 0xbf, 0xbd)
const STRICT_DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
