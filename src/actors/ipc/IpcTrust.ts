/**
 * What a person allows beforehand, as the daemon's clients ask for it (`IpcExtension`): invitations (decision 52), listed keys.
 *
 * | op | takes | answers |
 * |---|---|---|
 * | `rendezvous` | | `registry beacon fingerprint`: where this node is registered; no fingerprint for plain TCP |
 * | `invite.create` | `services life_seconds uses for note`, `registry beacon` if others reach them elsewhere | `id invitation expires_at registry` |
 * | `invite.list` | | `invitations` |
 * | `invite.revoke` | `id` | `id known` |
 * | `invite.redeem` | `invitation text` | `node_id fingerprint status hostname services` |
 * | `trust.standing` | `node` | `standing`, `refusal` if the peer has refused |
 * | `trust.allow_key` | `fingerprint note` | `fingerprint` |
 * | `trust.disallow_key` | `fingerprint` | `fingerprint known` |
 * | `trust.allowed_keys` | | `allowed_keys` |
 */
import { Effect, Result } from "effect"
import type { Crypto } from "../../core/crypto/Crypto.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Endpoint from "../../core/data/Endpoint.ts"
import * as Json from "../../core/data/Json.ts"
import * as Invitation from "../../protocol/trust/Invitation.ts"
import * as Address from "../../protocol/wire/Address.ts"
import * as DecodeError from "../../protocol/wire/DecodeError.ts"
import { Node } from "../node/Node.ts"
import { Trust } from "../trust/Trust.ts"
import * as IpcAnswer from "./IpcAnswer.ts"

/** Where this node is registered, as it reaches it. */
export interface Rendezvous {
  readonly registry: string
  readonly beacon: string
  /** Of the registry's certificate, hexadecimal; empty for plain TCP, `undefined` while it is not known. */
  readonly fingerprint: string | undefined
}

/** What the operations stand on beside the services. */
export interface Faces {
  readonly rendezvous?: Effect.Effect<Rendezvous>
}

type InvitationRow = Effect.Success<Trust["Service"]["admissions"]["invitations"]>[number]

type Answer = Effect.Effect<Json.JsonObject, string, Trust | Node | Crypto>

/** The answer of an operation; undefined for any other. */
export const perform = ({ rendezvous }: Faces, op: string, value: Json.JsonObject): Answer | undefined => {
  switch (op) {
    case "rendezvous":
      return rendezvous && Effect.map(rendezvous, (place) => ({ ...place, fingerprint: place.fingerprint ?? null }))
    case "invite.create":
      return rendezvous && Effect.flatMap(rendezvous, (place) => create(place, value))
    case "invite.list":
      return list
    case "invite.revoke":
      return revoke(Json.string(value, "id"))
    case "invite.redeem":
      return redeem(Json.string(value, "invitation"), Json.string(value, "text"))
    case "trust.standing":
      return standing(Address.NodeId(Json.unsigned(value, "node", 32)))
    case "trust.allow_key":
      return allowKey(Json.string(value, "fingerprint"), Json.string(value, "note"))
    case "trust.disallow_key":
      return disallowKey(Json.string(value, "fingerprint"))
    case "trust.allowed_keys":
      return allowedKeys
    default:
      return undefined
  }
}

const admissions = Effect.map(Trust, (trust) => trust.admissions)

const create = Effect.fnUntraced(function* (place: Rendezvous, value: Json.JsonObject) {
  if (place.fingerprint === undefined)
    return yield* Effect.fail("invite.create: the certificate of the registry is not known yet")
  const { mapped } = yield* Effect.flatMap(Node, (node) => node.status)
  const registry = Json.string(value, "registry") || place.registry
  const { invite } = yield* admissions
  const made = yield* Effect.mapError(
    invite({
      registry,
      beacon: Json.string(value, "beacon") || place.beacon,
      fingerprint: place.fingerprint,
      hints: mapped === undefined ? [] : [Endpoint.format(mapped)],
      services: Json.strings(value, "services"),
      lifeSeconds: Json.integer(value, "life_seconds"),
      uses: Json.integer(value, "uses"),
      boundTo: Json.string(value, "for"),
      note: Json.string(value, "note")
    }),
    (error) => `invite.create: ${IpcAnswer.trustText(error)}`
  )
  return { id: made.id, invitation: made.text, expires_at: made.expiresAtSeconds, registry }
})

const list: Answer = Effect.gen(function* () {
  const fingerprint = yield* IpcAnswer.fingerprints
  const rows = yield* Effect.flatMap(admissions, ({ invitations }) => invitations)
  return { invitations: rows.map((row) => invitationRow(row, fingerprint)) }
})

const invitationRow = (row: InvitationRow, fingerprint: (publicKey: Uint8Array) => string): Json.JsonObject => ({
  id: row.id,
  state: row.state,
  created_at: row.createdAtSeconds,
  expires_at: row.expiresAtSeconds,
  uses: row.redemptions.length,
  uses_max: row.usesMax,
  services: row.services,
  for: row.boundTo,
  note: row.note,
  redeemed: row.redemptions.map(({ atSeconds, node, publicKey }) => ({
    node_id: node,
    public_key: Bytes.toBase64(publicKey),
    fingerprint: fingerprint(publicKey),
    at: atSeconds
  }))
})

const revoke = (id: string): Answer =>
  Effect.flatMap(admissions, ({ revokeInvitation }) =>
    Effect.mapBoth(revokeInvitation(id), {
      onFailure: (error) => `invite.revoke: ${IpcAnswer.trustText(error)}`,
      onSuccess: (known) => ({ id, known })
    })
  )

const redeem = Effect.fnUntraced(function* (text: string, said: string) {
  const decoded = Invitation.decode(text)
  if (Result.isFailure(decoded))
    return yield* Effect.fail(`invite.redeem: not an invitation: ${DecodeError.format(decoded.failure)}`)
  const invitation = decoded.success
  const fingerprint = yield* IpcAnswer.fingerprints
  const { redeem } = yield* admissions
  const { node, status } = yield* Effect.mapError(
    redeem(invitation, said),
    (error) => `invite.redeem: ${IpcAnswer.trustText(error)}`
  )
  return {
    node_id: node,
    status,
    address: Address.format(Address.make(0, node)),
    hostname: invitation.name,
    fingerprint: fingerprint(invitation.publicKey),
    services: invitation.services
  }
})

const standing = (node: Address.NodeId): Answer =>
  Effect.flatMap(Trust, (trust) =>
    Effect.map(trust.standing(node), ({ refusal, standing }) => ({
      node_id: node,
      standing,
      ...(refusal === undefined ? {} : { refusal })
    }))
  )

const allowKey = (typed: string, note: string): Answer =>
  Effect.flatMap(admissions, ({ listKey }) =>
    Effect.mapBoth(listKey(typed, note), {
      onFailure: (error) => `trust.allow_key: ${IpcAnswer.trustText(error)}`,
      onSuccess: () => ({ fingerprint: typed })
    })
  )

const disallowKey = (typed: string): Answer =>
  Effect.flatMap(admissions, ({ unlistKey }) =>
    Effect.mapBoth(unlistKey(typed), {
      onFailure: (error) => `trust.disallow_key: ${IpcAnswer.trustText(error)}`,
      onSuccess: (known) => ({ fingerprint: typed, known })
    })
  )

const allowedKeys: Answer = Effect.map(
  Effect.flatMap(admissions, ({ listedKeys }) => listedKeys),
  (rows) => ({
    allowed_keys: rows.map(({ fingerprint, listedAtSeconds, note }) => ({
      fingerprint,
      note,
      allowed_at: listedAtSeconds
    }))
  })
)
