/**
 * Values of the headers that repeat parts of a modern request (mcp §2.4): visible ASCII as it is, anything else as
 * `=?base64?…?=` around the padded Base64 of its UTF-8.
 */
import * as Bytes from "../../core/data/Bytes.ts"

/** The header for a value. */
export const encode = (value: string): string =>
  isPlain(value) && !MARKED.test(value) ? value : `=?base64?${Bytes.toBase64(Bytes.fromUtf8(value))}?=`

/** The value of a header; undefined for one that no client may send. */
export const decode = (header: string): string | undefined => {
  const [, base64] = MARKED.exec(header) ?? []
  if (base64 === undefined) return isPlain(header) ? header : undefined
  const bytes = Bytes.fromBase64(base64)
  return bytes === undefined ? undefined : Bytes.toUtf8(bytes)
}

/** Printable ASCII without a space at either end; the empty text counts. */
const isPlain = (text: string): boolean => /^(?:[!-~](?:[ -~]*[!-~])?)?$/.test(text)

const MARKED = /^=\?base64\?(.*)\?=$/s
