/**
 * How a member of a network shows its token to another: the justification of its request for trust, and the reason of its
 * accept, begin with one or more of
 *
 * ```
 * pilot-member:1:<fingerprint of the network's key>:<issued>:<expires>:<signature of the token>
 * ```
 *
 * What the other knows already is left out: the network's key, number and name from its own token, the member's key from the
 * tunnel. So a claim says nothing to whoever is not in the network, and fits a message with a person's words behind it.
 */
import * as Base64Url from "../../core/data/Base64Url.ts"
import * as Fingerprint from "./Fingerprint.ts"
import * as NetworkToken from "./NetworkToken.ts"

/** One claim. */
export interface Claim {
  /** Fingerprint of the network's key. */
  readonly network: string
  readonly issuedAtSeconds: number
  readonly expiresAtSeconds: number
  readonly signature: Uint8Array
}

/** The claim of a member for its network. */
export const format = (network: string, token: NetworkToken.Token): string =>
  `${PREFIX}${NetworkToken.bare(network)}:${token.issuedAtSeconds}:${token.expiresAtSeconds}:${Base64Url.encode(token.signature)}`

/** The claims that a text begins with, and the rest of it. */
export const parse = (text: string): { readonly claims: ReadonlyArray<Claim>; readonly text: string } => {
  const claims: Array<Claim> = []
  let rest = text
  for (let match = CLAIM.exec(rest); match !== null && claims.length < CLAIMS_MAX; match = CLAIM.exec(rest)) {
    const [all, network = "", issued, expires, signature = ""] = match
    const [fingerprint, signed] = [Fingerprint.parse(network), Base64Url.decode(signature)]
    if (fingerprint === undefined || signed === undefined) break
    const times = { issuedAtSeconds: Number(issued), expiresAtSeconds: Number(expires) }
    claims.push({ network: fingerprint, ...times, signature: signed })
    rest = rest.slice(all.length).trimStart()
  }
  return { claims, text: rest }
}

/** Networks of one node: so many claims leave room for words in the one segment of a request. */
export const CLAIMS_MAX = 3

const PREFIX = "pilot-member:1:"
const CLAIM = /^pilot-member:1:([0-9A-HJKMNP-TV-Z]{32}):([1-9][0-9]{0,9}):([1-9][0-9]{0,9}):([A-Za-z0-9_-]{86})(?= |$)/
