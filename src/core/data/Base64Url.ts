/** Base64 for URLs and command lines (RFC 4648 §5), without padding. */
import * as Bytes from "./Bytes.ts"

/** The text of the bytes: letters, digits, `-` and `_`. */
export const encode = (bytes: Uint8Array): string =>
  Bytes.toBase64(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")

/** The bytes of a text; `undefined` for any other spelling than `encode` makes. */
export const decode = (text: string): Uint8Array | undefined => {
  if (!/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) return undefined
  const standard = text.replaceAll("-", "+").replaceAll("_", "/")
  const bytes = Bytes.fromBase64(standard.padEnd(Math.ceil(standard.length / 4) * 4, "="))
  return bytes !== undefined && encode(bytes) === text ? bytes : undefined
}
