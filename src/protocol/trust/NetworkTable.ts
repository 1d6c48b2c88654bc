/**
 * The networks this node is in, each by the token it holds: their members come in unattended (security rule 2, decision 77),
 * unless the network has revoked them, or a person here has ended their trust.
 */
import { Result } from "effect"
import * as NetworkClaim from "./NetworkClaim.ts"
import * as NetworkToken from "./NetworkToken.ts"

/** One network. */
export interface Membership {
  /** Of this node. */
  readonly token: NetworkToken.Token
  readonly revocations: NetworkToken.Revocations | undefined
  /** Keys whose trust a person here has ended, by fingerprint, the newest last. */
  readonly barred: ReadonlyArray<string>
}

/** By the fingerprint of the network's key. */
export type NetworkTable = ReadonlyMap<string, Membership>

/** Why a member does not come in. */
export type Refusal = "Unknown" | "BadSignature" | "Expired" | "Revoked" | "Barred" | "Closed"

/** None. */
export const empty: NetworkTable = new Map()

/** Takes a genuine token of this node; a later one takes the place of the one before. */
export const join = (
  self: NetworkTable,
  network: string,
  token: NetworkToken.Token
): Result.Result<NetworkTable, "TooMany" | "NumberTaken" | "NameTaken" | "Older"> => {
  const known = self.get(network)
  if (known !== undefined && known.token.issuedAtSeconds > token.issuedAtSeconds) return Result.fail("Older")
  const others = [...self].filter(([other]) => other !== network).map(([, membership]) => membership.token)
  if (others.some(({ number }) => number === token.number)) return Result.fail("NumberTaken")
  if (others.some(({ name }) => name === token.name)) return Result.fail("NameTaken")
  if (others.length >= NetworkClaim.CLAIMS_MAX) return Result.fail("TooMany")
  const membership = { revocations: known?.revocations, barred: known?.barred ?? [], token }
  return Result.succeed(new Map(self).set(network, membership))
}

/** Without the network of that name; `undefined` when there is none. Trust that it brought stays. */
export const leave = (self: NetworkTable, name: string): NetworkTable | undefined => {
  const found = [...self].find(([, { token }]) => token.name === name)
  return found && new Map([...self].filter(([network]) => network !== found[0]))
}

/** Takes a genuine list of a network that this node is in, if it is newer. */
export const revise = (
  self: NetworkTable,
  network: string,
  revocations: NetworkToken.Revocations
): Result.Result<NetworkTable, "Unknown" | "Older"> => {
  const known = self.get(network)
  if (known === undefined) return Result.fail("Unknown")
  return serialOf(known) >= revocations.serial
    ? Result.fail("Older")
    : Result.succeed(new Map(self).set(network, { ...known, revocations }))
}

/** A person here has ended the trust of a key, which no network brings back. */
export const bar = (self: NetworkTable, fingerprint: string): NetworkTable =>
  new Map(
    [...self].map(([network, membership]) => {
      const barred = membership.barred.filter((other) => other !== fingerprint)
      return [network, { ...membership, barred: [...barred, fingerprint].slice(-BARRED_MAX) }]
    })
  )

/** The number of the network that a key is a member of, by the first of its claims that holds. */
export const vouched = (
  self: NetworkTable,
  claims: ReadonlyArray<NetworkClaim.Claim>,
  member: string,
  verify: NetworkToken.Verify,
  nowSeconds: number
): Result.Result<number, Refusal> => {
  let refusal: Refusal = "Unknown"
  for (const claim of claims) {
    const membership = self.get(claim.network)
    if (membership === undefined) continue
    const judged = judge(membership, claim, member, verify, nowSeconds)
    if (judged === undefined) return Result.succeed(membership.token.number)
    refusal = judged
  }
  return Result.fail(refusal)
}

/** What this node shows of itself: of all its networks, or of the one with a number. */
export const claims = (self: NetworkTable, nowSeconds: number, number?: number): string =>
  [...self]
    .filter(([, { token }]) => number === undefined || token.number === number)
    .filter(([, membership]) => isOpen(membership, nowSeconds))
    .map(([network, { token }]) => NetworkClaim.format(network, token))
    .join(" ")

/** This node itself is a member now; nobody comes in by a network that it is not in. */
export const isOpen = ({ revocations, token }: Membership, nowSeconds: number): boolean =>
  nowSeconds < token.expiresAtSeconds && !isRevoked(revocations, token.member, token.issuedAtSeconds)

/** Whether the list takes back what was issued to a member then. */
export const isRevoked = (
  revocations: NetworkToken.Revocations | undefined,
  member: string,
  issuedAtSeconds: number
): boolean => revocations?.revoked.some((row) => row.member === member && issuedAtSeconds <= row.atSeconds) === true

/** Of the list that is held; 0 for none. */
export const serialOf = ({ revocations }: Membership): number => revocations?.serial ?? 0

const judge = (
  membership: Membership,
  claim: NetworkClaim.Claim,
  member: string,
  verify: NetworkToken.Verify,
  nowSeconds: number
): Refusal | undefined => {
  const { barred, revocations, token } = membership
  const { expiresAtSeconds, issuedAtSeconds, signature } = claim
  if (!NetworkToken.isGenuine({ ...token, member, expiresAtSeconds, issuedAtSeconds, signature }, verify))
    return "BadSignature"
  if (!isOpen(membership, nowSeconds)) return "Closed"
  if (nowSeconds >= expiresAtSeconds) return "Expired"
  if (isRevoked(revocations, member, issuedAtSeconds)) return "Revoked"
  return barred.includes(member) ? "Barred" : undefined
}

/** Keys that are remembered so; the oldest give way. */
const BARRED_MAX = 1024
