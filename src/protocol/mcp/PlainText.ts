/**
 * Text of others made safe to show or to serve again (mcp §8, rule 7): characters that a person cannot see but a model or
 * a terminal obeys are taken out, and counted, because their presence alone is suspicious.
 */

/** The text without them, and how many there were. Line ends and tabs stay. */
export const clean = (text: string): { readonly text: string; readonly hidden: number } => {
  let hidden = 0
  const drop = () => {
    hidden++
    return ""
  }
  // What is between selectors goes first, so that it cannot hide that they follow each other.
  const cleaned = text.replace(INVISIBLE, drop).replace(SELECTOR_AFTER_SELECTOR, drop)
  return { text: cleaned, hidden }
}

/**
 * The whole text for one line of a terminal, with whatever `clean` would take out, line ends, tabs and selectors by their
 * numbers: for what a person decides about, where nothing may be left out.
 */
export const escaped = (text: string): string =>
  [...text]
    .map((character) =>
      clean(character).hidden > 0 || /[\t\n\r\p{VS}]/u.test(character)
        ? `<U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}>`
        : character
    )
    .join("")

/** For one line of a terminal: cleaned, line ends and tabs as spaces, cut to `widthMax` characters. */
export const line = (text: string, widthMax = Number.POSITIVE_INFINITY): string => {
  const flat = clean(text).text.replace(/\s+/gu, " ").trim()
  return [...flat].length > widthMax ? `${[...flat].slice(0, widthMax - 1).join("")}…` : flat
}

/**
 * Control characters but tab and line ends (escape sequences begin there); format characters (soft hyphen, zero-width and
 * bidirectional ones, byte order mark, tags) but the visible Arabic signs among them; line and paragraph separators.
 */
const INVISIBLE =
  /(?![\t\n\r])\p{Cc}|(?![\u0600-\u0605\u06dd\u0890\u0891\u08e2])\p{Cf}|[\p{Zl}\p{Zp}\u{e0000}-\u{e007f}]/gu
/** A first one chooses how a character looks; more can carry any text. */
const SELECTOR_AFTER_SELECTOR = /(?<=\p{VS})\p{VS}/gu
