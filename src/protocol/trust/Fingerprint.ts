/**
 * An Ed25519 key as people compare it: `4HX2-9TQM-0ZC7-…`, the first 160 bits of the key's SHA-256 in eight groups of
 * four characters.
 *
 * Base32 in Crockford's alphabet, because it is read aloud and typed: one case, no I, L, O or U to confuse. 160 bits,
 * because finding another key for a given fingerprint has to be out of reach, while two keys with a common one would
 * hurt only their own maker. Compared whole and never by its beginning, which anybody can imitate.
 */

/** The text form of a key, from the key's SHA-256 digest. */
export const format = (digest: Uint8Array): string => {
  let text = ""
  for (let index = 0; index < CHARACTERS; index++) {
    if (index > 0 && index % GROUP === 0) text += "-"
    text += ALPHABET[fiveBits(digest, index * 5)]!
  }
  return text
}

/**
 * The text form of what a person typed: case, spaces, hyphens and colons do not matter, and O, I, L are taken for the
 * digits they look like. `undefined` if it is no whole fingerprint.
 */
export const parse = (text: string): string | undefined => {
  const characters = text
    .toUpperCase()
    .replaceAll(/[\s:-]/g, "")
    .replaceAll("O", "0")
    .replaceAll(/[IL]/g, "1")
  return WHOLE.test(characters) ? characters.match(GROUPS)!.join("-") : undefined
}

/** Whether a person typed the fingerprint that `format` shows. */
export const matches = (typed: string, shown: string): boolean => parse(typed) === shown

const fiveBits = (bytes: Uint8Array, offset: number): number => {
  const first = offset >> 3
  const word = (bytes[first]! << 8) | (bytes[first + 1] ?? 0)
  return (word >> (11 - (offset & 7))) & 31
}

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
const CHARACTERS = 32
const GROUP = 4
const WHOLE = /^[0-9A-HJKMNP-TV-Z]{32}$/
const GROUPS = /.{4}/g
