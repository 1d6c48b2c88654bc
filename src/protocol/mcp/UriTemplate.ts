/** Whether a URI may come from a template (RFC 6570), to find out whose resource it is. Reads nothing out of it. */

/** A template made ready; undefined for one that cannot be read or is too long. */
export interface UriTemplate {
  /** Literal texts around the expressions; between two of them anything may stand. */
  readonly literals: ReadonlyArray<string>
}

/** The template in a text. */
export const parse = (text: string): UriTemplate | undefined => {
  if (text.length > TEMPLATE_CHARACTERS_MAX) return undefined
  const literals = text.split(/\{[^{}]*\}/)
  return literals.some((literal) => /[{}]/.test(literal)) ? undefined : { literals }
}

/** True if the literals occur in order, the first at the beginning and the last at the end. Linear in the URI. */
export const matches = ({ literals }: UriTemplate, uri: string): boolean => {
  const first = literals[0] ?? ""
  const last = literals.at(-1) ?? ""
  if (literals.length === 1) return uri === first
  if (!uri.startsWith(first) || !uri.endsWith(last) || uri.length < first.length + last.length) return false
  let at = first.length
  const end = uri.length - last.length
  for (const literal of literals.slice(1, -1)) {
    const found = uri.indexOf(literal, at)
    if (found < 0 || found + literal.length > end) return false
    at = found + literal.length
  }
  return true
}

const TEMPLATE_CHARACTERS_MAX = 4096
