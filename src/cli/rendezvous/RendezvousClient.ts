/** The memberships of the running daemon, for every command that changes them: `rendezvous join`, and whatever redeems an invitation. */
import { Effect } from "effect"
import type { MembershipError, Wanted } from "../../actors/membership/Memberships.ts"
import type { JsonObject } from "../../core/data/Json.ts"
import * as CliError from "../CliError.ts"
import * as DaemonClient from "../DaemonClient.ts"

/** Registers the running daemon with a further rendezvous, for good: the membership, or why it could not be. */
export const join = (
  client: DaemonClient.IpcClient,
  { alias, beacon, fingerprint, hostname, isPlaintext, registry }: Wanted
): Effect.Effect<JsonObject, CliError.CliError> =>
  asked(
    client.extension("rendezvous.join", {
      registry,
      ...(beacon === undefined ? {} : { beacon }),
      ...(fingerprint === undefined ? {} : { fingerprint }),
      ...(alias === undefined ? {} : { alias }),
      ...(hostname === undefined ? {} : { hostname }),
      ...(isPlaintext === true ? { plaintext: true } : {})
    })
  )

/** Ends a membership. */
export const leave = (client: DaemonClient.IpcClient, alias: string): Effect.Effect<JsonObject, CliError.CliError> =>
  asked(client.extension("rendezvous.leave", { alias }))

/** All memberships: `memberships`. */
export const list = (client: DaemonClient.IpcClient): Effect.Effect<JsonObject, CliError.CliError> =>
  asked(client.extension("rendezvous.list", {}))

const asked = (
  answer: Effect.Effect<JsonObject, DaemonClient.IpcError>
): Effect.Effect<JsonObject, CliError.CliError> =>
  Effect.mapError(answer, (error) => {
    const [, reason, detail = ""] = /^rendezvous\.\w+: (\w+): (.*)$/s.exec(error.detail) ?? []
    const known = isReason(reason) ? REASONS[reason] : undefined
    return known === undefined ? DaemonClient.failure("rendezvous", error) : CliError.make(known[0], detail, known[1])
  })

const isReason = (word: string | undefined): word is MembershipError["reason"] =>
  word !== undefined && Object.hasOwn(REASONS, word)

const REASONS: Readonly<Record<MembershipError["reason"], readonly [CliError.Code, string?]>> = {
  Malformed: ["invalid_argument"],
  AliasTaken: ["already_exists", "choose another name with --as"],
  AlreadyJoined: ["already_exists"],
  TooMany: ["invalid_state", "leave one first: pilotctl rendezvous leave ALIAS"],
  Unknown: ["not_found", "see: pilotctl rendezvous list"],
  IsHome: ["invalid_state"],
  NotJoined: [
    "connection_failed",
    "compare the address and the fingerprint with what `pilotctl rendezvous status` prints there"
  ],
  NotStored: ["internal", "make room on the disk, or choose another state directory with PILOT_HOME"]
}
