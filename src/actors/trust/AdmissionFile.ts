/** What was allowed beforehand, as rows of `trust.json`: lists of ours that other implementations ignore. */
import { DateTime, Option } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Json from "../../core/data/Json.ts"
import type { Admission } from "../../protocol/trust/Admission.ts"
import * as Fingerprint from "../../protocol/trust/Fingerprint.ts"
import { PUBLIC_KEY_BYTES } from "../../protocol/trust/HandshakeCheck.ts"
import * as InvitationTable from "../../protocol/trust/InvitationTable.ts"
import * as Justification from "../../protocol/trust/Justification.ts"
import type * as ListedKeys from "../../protocol/trust/ListedKeys.ts"
import type * as NetworkTable from "../../protocol/trust/NetworkTable.ts"
import * as NetworkToken from "../../protocol/trust/NetworkToken.ts"
import { NodeId } from "../../protocol/wire/Address.ts"

/** The members of the file that are read and written here. */
export const LISTS: ReadonlyArray<string> = ["invitations", "listed_keys", "networks"]

/** Reads both lists; a row that is not whole allows nothing. */
export const admissionOf = (file: Json.JsonObject): Admission => ({
  invitations: byKey(Json.objects(file, "invitations").flatMap(invitationOf), ({ id }) => id),
  listedKeys: byKey(Json.objects(file, "listed_keys").flatMap(listedKeyOf), ({ fingerprint }) => fingerprint),
  networks: new Map(Json.objects(file, "networks").flatMap(networkOf))
})

/** Both lists; empty ones are left out. */
export const listsOf = ({ invitations, listedKeys, networks }: Admission): Json.JsonObject => ({
  ...(invitations.size === 0 ? {} : { invitations: [...invitations.values()].map(invitationRow) }),
  ...(listedKeys.size === 0 ? {} : { listed_keys: [...listedKeys.values()].map(listedKeyRow) }),
  ...(networks.size === 0 ? {} : { networks: [...networks].map(networkRow) })
})

const invitationOf = (row: Json.JsonObject): ReadonlyArray<InvitationTable.Entry> => {
  const [id, key] = [Json.string(row, "id"), Bytes.fromBase64(Json.string(row, "key"))]
  const expiresAtSeconds = secondsOf(row, "expires_at")
  if (!/^[0-9a-f]{16}$/.test(id) || key?.length !== KEY_BYTES || expiresAtSeconds === undefined) return []
  return [
    {
      id,
      key,
      createdAtSeconds: secondsOf(row, "created_at") ?? 0,
      expiresAtSeconds,
      usesMax: Math.min(Json.unsigned(row, "uses_max", 16), InvitationTable.USES_MAX),
      services: Json.strings(row, "services"),
      boundTo: Json.string(row, "bound_to"),
      note: Justification.clean(Json.string(row, "note")),
      revokedAtSeconds: secondsOf(row, "revoked_at"),
      redemptions: Json.objects(row, "redemptions").flatMap(redemptionOf)
    }
  ]
}

const redemptionOf = (row: Json.JsonObject): ReadonlyArray<InvitationTable.Redemption> => {
  const publicKey = Bytes.fromBase64(Json.string(row, "public_key"))
  if (publicKey?.length !== PUBLIC_KEY_BYTES) return []
  return [{ publicKey, node: NodeId(Json.unsigned(row, "node_id", 32)), atSeconds: secondsOf(row, "at") ?? 0 }]
}

const listedKeyOf = (row: Json.JsonObject): ReadonlyArray<ListedKeys.ListedKey> => {
  const fingerprint = Fingerprint.parse(Json.string(row, "fingerprint"))
  if (fingerprint === undefined) return []
  const note = Justification.clean(Json.string(row, "note"))
  return [{ fingerprint, note, listedAtSeconds: secondsOf(row, "listed_at") ?? 0 }]
}

const networkOf = (row: Json.JsonObject): ReadonlyArray<readonly [string, NetworkTable.Membership]> => {
  const [network, token] = [
    Fingerprint.parse(Json.string(row, "network")),
    NetworkToken.decode(Json.string(row, "token"))
  ]
  if (network === undefined || token === undefined) return []
  const revocations = NetworkToken.decodeRevocations(Json.string(row, "revoked"))
  return [[network, { token, revocations, barred: Json.strings(row, "barred") }]]
}

const networkRow = ([network, { barred, revocations, token }]: readonly [
  string,
  NetworkTable.Membership
]): Json.JsonObject => ({
  network,
  token: NetworkToken.encode(token),
  revoked: revocations === undefined ? "" : NetworkToken.encodeRevocations(revocations),
  barred
})

const invitationRow = (entry: InvitationTable.Entry): Json.JsonObject => ({
  id: entry.id,
  key: Bytes.toBase64(entry.key),
  created_at: timeText(entry.createdAtSeconds),
  expires_at: timeText(entry.expiresAtSeconds),
  uses_max: entry.usesMax,
  services: entry.services,
  bound_to: entry.boundTo,
  note: entry.note,
  revoked_at: entry.revokedAtSeconds === undefined ? null : timeText(entry.revokedAtSeconds),
  redemptions: entry.redemptions.map(({ atSeconds, node, publicKey }) => ({
    node_id: node,
    public_key: Bytes.toBase64(publicKey),
    at: timeText(atSeconds)
  }))
})

const listedKeyRow = ({ fingerprint, listedAtSeconds, note }: ListedKeys.ListedKey): Json.JsonObject => ({
  fingerprint,
  note,
  listed_at: timeText(listedAtSeconds)
})

const byKey = <A>(rows: ReadonlyArray<A>, keyOf: (row: A) => string): ReadonlyMap<string, A> =>
  new Map(rows.map((row) => [keyOf(row), row]))

/** RFC 3339 in whole seconds, UTC. */
export const timeText = (seconds: number): string =>
  DateTime.formatIso(DateTime.makeUnsafe(seconds * 1000)).replace(/\.\d+Z$/, "Z")

/** The same, read; `undefined` when it is no time. */
export const secondsOf = (row: Json.JsonObject, member: string): number | undefined => {
  const time = DateTime.make(Json.string(row, member))
  return Option.isSome(time) ? Math.floor(DateTime.toEpochMillis(time.value) / 1000) : undefined
}

const KEY_BYTES = 32
