/** The free text of a trust request: a stranger's words on a person's terminal, so it is cleaned before it is kept. */
import * as Bytes from "../../core/data/Bytes.ts"

/**
 * Without control, format, private and unassigned characters and line separators (which could rewrite the terminal or
 * reverse the line), cut to `JUSTIFICATION_BYTES_MAX` bytes of UTF-8 at a character (node §2.3).
 */
export const clean = (text: string): string => cut(text.replace(NON_PRINTABLE, ""), JUSTIFICATION_BYTES_MAX)

/** The longest prefix of whole characters within `sizeBytes` of UTF-8. */
export const cut = (text: string, sizeBytes: number): string => {
  // No character takes more UTF-16 units than bytes, so this bounds the work for a text of any length.
  const head = text.slice(0, sizeBytes)
  let used = 0
  let end = 0
  for (const character of head) {
    used += Bytes.fromUtf8(character).length
    if (used > sizeBytes) break
    end += character.length
  }
  // A surrogate pair that the slice has halved would be kept as half a character.
  return head.slice(0, end).replace(/[\ud800-\udbff]$/, "")
}

/** node §2.3. */
export const JUSTIFICATION_BYTES_MAX = 1024

const NON_PRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu
