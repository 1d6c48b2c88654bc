/**
 * A network's token (security rule 2, decision 77): the operator of a network says, with the network's own Ed25519 key, that the
 * node with one key is a member until some day. And what takes it back: a list of members, newer by its serial.
 *
 * ```
 * pilot-network:1:<key of the network>:<number>:<name>:<member's fingerprint>:<issued>:<expires>:<signature>
 * pilot-network-revoked:1:<key of the network>:<number>:<name>:<serial>:<fingerprint>@<when>,…:<signature>
 * ```
 *
 * Keys and signatures are base64url, fingerprints 32 characters without hyphens, times Unix seconds. The signature is over
 * everything before its colon. Neither is a secret: a token is worth nothing without the private key of its member.
 */
import * as Base64Url from "../../core/data/Base64Url.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Fingerprint from "./Fingerprint.ts"

/** Which network: its key; number and name are what its operator calls it. */
export interface Network {
  readonly publicKey: Uint8Array
  /** As policies name it (`network:7`). */
  readonly number: number
  readonly name: string
}

/** One member, by the fingerprint of its key. */
export interface Token extends Network {
  readonly member: string
  readonly issuedAtSeconds: number
  readonly expiresAtSeconds: number
  readonly signature: Uint8Array
}

/** A member that is none any more: tokens issued until then are void. */
export interface Revoked {
  readonly member: string
  readonly atSeconds: number
}

/** The whole list; of two the one with the higher serial counts. */
export interface Revocations extends Network {
  readonly serial: number
  readonly revoked: ReadonlyArray<Revoked>
  readonly signature: Uint8Array
}

/** Ed25519. */
export type Verify = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean

/** The token as people hand it over. */
export const encode = (self: Token): string => `${head(self)}:${Base64Url.encode(self.signature)}`

/** Reads one; white space in it does not matter. `undefined` when it is none. Its signature is not checked. */
export const decode = (text: string): Token | undefined => {
  const match = text.length > TEXT_CHARACTERS_MAX ? null : TOKEN.exec(text.replaceAll(/\s/g, ""))
  const network = networkOf(match?.groups)
  const { expires = "", issued = "", member = "", signature = "" } = match?.groups ?? {}
  const [fingerprint, signed] = [Fingerprint.parse(member), Base64Url.decode(signature)]
  if (network === undefined || fingerprint === undefined || signed === undefined) return undefined
  const token = { member: fingerprint, issuedAtSeconds: Number(issued), expiresAtSeconds: Number(expires) }
  return { ...network, ...token, signature: signed }
}

/** A token signed by who has the network's private key. */
export const issue = (draft: Omit<Token, "signature">, sign: (message: Uint8Array) => Uint8Array): Token => ({
  ...draft,
  signature: sign(Bytes.fromUtf8(head(draft)))
})

/** Whether the network's key has signed it. */
export const isGenuine = (self: Token, verify: Verify): boolean =>
  verify(self.publicKey, Bytes.fromUtf8(head(self)), self.signature)

/** The list as people and nodes hand it on. */
export const encodeRevocations = (self: Revocations): string => `${listHead(self)}:${Base64Url.encode(self.signature)}`

/** Reads one, as `decode` does. */
export const decodeRevocations = (text: string): Revocations | undefined => {
  const match = text.length > TEXT_CHARACTERS_MAX ? null : LIST.exec(text.replaceAll(/\s/g, ""))
  const network = networkOf(match?.groups)
  const { rows = "", serial = "", signature = "" } = match?.groups ?? {}
  const signed = Base64Url.decode(signature)
  const revoked = (rows === "" ? [] : rows.split(",")).map((row) => {
    const [member = "", at = ""] = row.split("@")
    return { member: Fingerprint.parse(member) ?? "", atSeconds: Number(at) }
  })
  if (network === undefined || signed === undefined || revoked.length > REVOKED_MAX) return undefined
  return { ...network, serial: Number(serial), revoked, signature: signed }
}

/** A list signed by who has the network's private key. */
export const revoke = (
  draft: Omit<Revocations, "signature">,
  sign: (message: Uint8Array) => Uint8Array
): Revocations => ({ ...draft, signature: sign(Bytes.fromUtf8(listHead(draft))) })

/** Whether the network's key has signed it. */
export const isGenuineList = (self: Revocations, verify: Verify): boolean =>
  verify(self.publicKey, Bytes.fromUtf8(listHead(self)), self.signature)

/** Names of networks. */
export const NAME = /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/
/** Life of a token; a revocation that is older is of no use and may go. */
export const LIFE_SECONDS_MAX = 31_622_400
/** Members on one list, which travels in one message of a trust handshake. */
export const REVOKED_MAX = 64

const head = ({ expiresAtSeconds, issuedAtSeconds, member, ...network }: Omit<Token, "signature">): string =>
  `pilot-network:1:${networkText(network)}:${bare(member)}:${issuedAtSeconds}:${expiresAtSeconds}`

const listHead = ({ revoked, serial, ...network }: Omit<Revocations, "signature">): string => {
  const rows = revoked.map(({ atSeconds, member }) => `${bare(member)}@${atSeconds}`)
  return `pilot-network-revoked:1:${networkText(network)}:${serial}:${rows.join(",")}`
}

const networkText = ({ name, number, publicKey }: Network): string => `${Base64Url.encode(publicKey)}:${number}:${name}`

const networkOf = (groups: Readonly<Record<string, string | undefined>> | undefined): Network | undefined => {
  const { key = "", name = "", number = "" } = groups ?? {}
  const publicKey = Base64Url.decode(key)
  return publicKey === undefined || Number(number) > NUMBER_MAX || !NAME.test(name)
    ? undefined
    : { publicKey, number: Number(number), name }
}

/** A fingerprint without its hyphens. */
export const bare = (fingerprint: string): string => fingerprint.replaceAll("-", "")

const NETWORK = "(?<key>[A-Za-z0-9_-]{43}):(?<number>[1-9][0-9]{0,4}):(?<name>[a-z0-9-]{1,32})"
const SIGNATURE = "(?<signature>[A-Za-z0-9_-]{86})"
const TOKEN = new RegExp(
  `^pilot-network:1:${NETWORK}:(?<member>[0-9A-Z]{32}):(?<issued>[1-9][0-9]{0,9}):(?<expires>[1-9][0-9]{0,9}):${SIGNATURE}$`
)
const LIST = new RegExp(
  `^pilot-network-revoked:1:${NETWORK}:(?<serial>[1-9][0-9]{0,8}):(?<rows>(?:[0-9A-HJKMNP-TV-Z]{32}@[1-9][0-9]{0,9}(?:,(?!:)|(?=:)))*):${SIGNATURE}$`
)
const NUMBER_MAX = 65_535
const TEXT_CHARACTERS_MAX = 4096
