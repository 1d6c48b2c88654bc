/**
 * Names under which one front serves the tools of many services (mcp §6.11): `alias__tool`, only `[A-Za-z0-9_-]`, at most
 * `NAME_CHARACTERS_MAX`. An alias holds no `__` and ends with no `_`, so that the first `__` of a name ends its alias and two
 * services never share a name. What had to be changed or cut carries six digits of the hash of what it was.
 */

/** Hosts put a prefix of their own before it, and model APIs take 64 (mcp §6.11). */
export const NAME_CHARACTERS_MAX = 64

/** The longest alias, so that room is left for the tool. */
export const ALIAS_CHARACTERS_MAX = 30

/** Between alias and tool. */
export const SEPARATOR = "__"

/** The lower-case hexadecimal digits of a hash of the text; six are used. */
export type Hash = (text: string) => string

/** The alias of a service that no configuration names: `peer_service`. It never comes from what a server says of itself. */
export const alias = (peer: string, service: string, hash: Hash): string => {
  const origin = `${peer}/${service}`
  const wanted = `${peer}_${service}`
  const safe = simplified(wanted)
  return safe === wanted && !peer.includes("_") && safe.length <= ALIAS_CHARACTERS_MAX
    ? safe
    : marked(safe, origin, hash)
}

/** Whether a person may choose that alias. */
export const isAlias = (text: string): boolean =>
  text !== "" && text.length <= ALIAS_CHARACTERS_MAX && simplified(text) === text

/** The alias with a mark of `origin`, for when another service has it already. */
export const distinct = (taken: string, origin: string, hash: Hash): string => marked(taken, origin, hash)

/** The name of a tool, or of a prompt that has to be told from another's. */
export const name = (aliasOfService: string, inner: string, hash: Hash): string => {
  const safe = inner.replace(/[^A-Za-z0-9_-]/gu, "_")
  const whole = `${aliasOfService}${SEPARATOR}${safe}`
  return safe === inner && inner !== "" && whole.length <= NAME_CHARACTERS_MAX
    ? whole
    : hashed(whole, inner, NAME_CHARACTERS_MAX, hash)
}

/** The alias in a name; undefined for a text that is none. */
export const aliasIn = (text: string): string | undefined => {
  const at = text.indexOf(SEPARATOR)
  return at > 0 ? text.slice(0, at) : undefined
}

/**
 * The id of a task, whole however long it is: it leads to its service by itself, in another session and after a restart too,
 * and two services never share one.
 */
export const task = (aliasOfService: string, inner: string): string => `${aliasOfService}${SEPARATOR}${inner}`

/** The service of a task and the id that it has there; undefined for any other text. */
export const taskIn = (text: string): { readonly alias: string; readonly inner: string } | undefined => {
  const found = aliasIn(text)
  return found === undefined ? undefined : { alias: found, inner: text.slice(found.length + SEPARATOR.length) }
}

/**
 * A URI, or a template of URIs, that two services have, told apart; `unwrapUri` gives it back, also when a template has been
 * filled in meanwhile.
 */
export const wrapUri = (aliasOfService: string, uri: string): string => `${SCHEME}${aliasOfService}/${uri}`

/** The alias and the URI in a wrapped one; undefined for any other URI. */
export const unwrapUri = (text: string): { readonly alias: string; readonly uri: string } | undefined => {
  const slash = text.startsWith(SCHEME) ? text.indexOf("/", SCHEME.length) : -1
  return slash < 0 ? undefined : { alias: text.slice(SCHEME.length, slash), uri: text.slice(slash + 1) }
}

const simplified = (text: string): string =>
  text
    .replace(/[^A-Za-z0-9_-]/gu, "_")
    .replace(/_{2,}/g, "_")
    .replace(/^_+|_+$/g, "")

/** Cut so that no `_` comes before the one of the mark. */
const marked = (text: string, origin: string, hash: Hash): string =>
  hashed(text.slice(0, ALIAS_CHARACTERS_MAX - HASH_DIGITS - 1).replace(/_+$/, ""), origin, ALIAS_CHARACTERS_MAX, hash)

const hashed = (text: string, of: string, charactersMax: number, hash: Hash): string =>
  `${text.slice(0, charactersMax - HASH_DIGITS - 1)}_${hash(of).slice(0, HASH_DIGITS)}`

const HASH_DIGITS = 6
const SCHEME = "pilot-mcp://"
