/**
 * The invitations this node has made: who may come in with which, how often, until when, and who did. Bounded in number,
 * in uses and in time; what ended is remembered for a while, so that a late redeemer is told why.
 */
import { Result } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import type { NodeId } from "../wire/Address.ts"

/** Somebody came in. */
export interface Redemption {
  readonly publicKey: Uint8Array
  readonly node: NodeId
  readonly atSeconds: number
}

/** One invitation, without its secret. */
export interface Entry {
  /** `InvitationClaim.idOf`. */
  readonly id: string
  /** `InvitationClaim.keyOf`. */
  readonly key: Uint8Array
  readonly createdAtSeconds: number
  readonly expiresAtSeconds: number
  readonly usesMax: number
  /** Services to open to whoever redeems it. */
  readonly services: ReadonlyArray<string>
  /** Fingerprint of the only key that may redeem it; empty for any. */
  readonly boundTo: string
  /** For the person who made it. */
  readonly note: string
  readonly revokedAtSeconds: number | undefined
  readonly redemptions: ReadonlyArray<Redemption>
}

/** By id, oldest first. */
export type InvitationTable = ReadonlyMap<string, Entry>

/** What may still happen to an invitation. */
export type State = "open" | "used" | "expired" | "revoked"

/** Why nobody comes in. */
export type Refusal = "Unknown" | "BadProof" | "OtherKey" | "Used" | "Expired" | "Revoked"

/** None. */
export const empty: InvitationTable = new Map()

/** The state now. */
export const stateOf = (self: Entry, nowSeconds: number): State => {
  if (self.revokedAtSeconds !== undefined) return "revoked"
  if (self.redemptions.length >= self.usesMax) return "used"
  return nowSeconds >= self.expiresAtSeconds ? "expired" : "open"
}

/** Adds one; what ended longest ago makes room, an open one never does. */
export const add = (
  self: InvitationTable,
  entry: Entry,
  nowSeconds: number
): Result.Result<InvitationTable, "TooMany"> => {
  const table = new Map(expire(self, nowSeconds)).set(entry.id, entry)
  if (table.size <= ENTRIES_MAX) return Result.succeed(table)
  const ended = [...table.values()].find((old) => stateOf(old, nowSeconds) !== "open")
  if (ended === undefined) return Result.fail("TooMany")
  table.delete(ended.id)
  return Result.succeed(table)
}

/** Ends one; `undefined` when it is not known. What is revoked stays so. */
export const revoke = (self: InvitationTable, id: string, nowSeconds: number): InvitationTable | undefined => {
  const entry = self.get(id)
  if (entry === undefined) return undefined
  return entry.revokedAtSeconds === undefined ? new Map(self).set(id, { ...entry, revokedAtSeconds: nowSeconds }) : self
}

/** Who wants to come in. */
export interface Attempt {
  readonly id: string
  readonly publicKey: Uint8Array
  readonly node: NodeId
  /** Of `publicKey`. */
  readonly fingerprint: string
  /** Whether the proof holds under this key of an invitation. */
  readonly isProven: (key: Uint8Array) => boolean
}

/**
 * Uses an invitation up by one. The proof comes first, so that only who holds the secret learns what became of it. A key
 * comes in once per invitation: after its trust was ended, the same invitation must not bring it back.
 */
export const redeem = (
  self: InvitationTable,
  attempt: Attempt,
  nowSeconds: number
): Result.Result<{ readonly table: InvitationTable; readonly entry: Entry }, Refusal> => {
  const known = self.get(attempt.id)
  if (known === undefined) return Result.fail("Unknown")
  if (!attempt.isProven(known.key)) return Result.fail("BadProof")
  if (known.boundTo !== "" && known.boundTo !== attempt.fingerprint) return Result.fail("OtherKey")
  if (known.redemptions.some(({ publicKey }) => Bytes.equals(publicKey, attempt.publicKey))) return Result.fail("Used")
  const state = stateOf(known, nowSeconds)
  if (state !== "open") return Result.fail(REFUSALS[state])
  const { node, publicKey } = attempt
  const entry = { ...known, redemptions: [...known.redemptions, { node, publicKey, atSeconds: nowSeconds }] }
  return Result.succeed({ table: new Map(self).set(entry.id, entry), entry })
}

/** Without what ended long ago; the same table when nothing did. */
export const expire = (self: InvitationTable, nowSeconds: number): InvitationTable => {
  const kept = [...self].filter(([, entry]) => nowSeconds < endOf(entry) + KEPT_SECONDS)
  return kept.length === self.size ? self : new Map(kept)
}

/** After this an ended invitation is no longer of interest. */
const endOf = ({ expiresAtSeconds, revokedAtSeconds }: Entry): number =>
  Math.min(expiresAtSeconds, revokedAtSeconds ?? expiresAtSeconds)

/** Invitations remembered, ended ones included. */
export const ENTRIES_MAX = 256

/** Uses of one invitation; each is a row of the file. */
export const USES_MAX = 256

/** Life of an invitation. */
export const LIFE_SECONDS_MAX = 31_622_400

/** How long one that ended is remembered. */
const KEPT_SECONDS = 604_800

const REFUSALS: Readonly<Record<Exclude<State, "open">, Refusal>> = {
  used: "Used",
  expired: "Expired",
  revoked: "Revoked"
}
