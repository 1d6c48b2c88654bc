/**
 * The memberships of a daemon (`IpcExtension`).
 *
 * | op | takes | answers |
 * |---|---|---|
 * | `rendezvous.list` | | `memberships` |
 * | `rendezvous.join` | `registry`, and if wanted `beacon fingerprint plaintext alias hostname` | the membership |
 * | `rendezvous.leave` | `alias` | `alias` |
 *
 * A membership: `alias state detail registry beacon fingerprint registry_address address node_id hostname endpoint listen peers`.
 * A refusal is `<op>: <reason>: <sentence>`, the reason as in `MembershipError`.
 */
import { Effect } from "effect"
import * as Endpoint from "../../core/data/Endpoint.ts"
import * as Json from "../../core/data/Json.ts"
import * as Address from "../../protocol/wire/Address.ts"
import type { MembershipError, MembershipStatus, Memberships } from "../membership/Memberships.ts"

/** The answer of an operation; undefined for any other, and from a daemon without memberships. */
export const perform = (
  { memberships }: { readonly memberships?: Memberships["Service"] },
  op: string,
  value: Json.JsonObject
): Effect.Effect<Json.JsonObject, string> | undefined => {
  if (memberships === undefined) return undefined
  const text = (key: string) => Json.string(value, key) || undefined
  switch (op) {
    case "rendezvous.list":
      return Effect.map(rows(memberships), (list) => ({ memberships: list }))
    case "rendezvous.join":
      return Effect.mapBoth(
        memberships.join({
          registry: Json.string(value, "registry"),
          beacon: text("beacon"),
          fingerprint: text("fingerprint"),
          isPlaintext: Json.boolean(value, "plaintext"),
          alias: text("alias"),
          hostname: text("hostname")
        }),
        { onFailure: refusal(op), onSuccess: row }
      )
    case "rendezvous.leave": {
      const alias = Json.string(value, "alias")
      return Effect.mapBoth(memberships.leave(alias), { onFailure: refusal(op), onSuccess: () => ({ alias }) })
    }
    default:
      return undefined
  }
}

/** All of them. */
export const rows = ({ list }: Memberships["Service"]): Effect.Effect<ReadonlyArray<Json.JsonObject>> =>
  Effect.map(list, (all) => all.map(row))

const refusal =
  (op: string) =>
  ({ detail, reason }: MembershipError): string =>
    `${op}: ${reason}: ${detail}`

const row = (status: MembershipStatus): Json.JsonObject => ({
  alias: status.alias,
  state: status.state,
  detail: status.detail,
  registry: status.registry,
  beacon: status.beacon,
  fingerprint: status.fingerprint ?? "",
  registry_address: status.registryAddress === undefined ? "" : Address.format(status.registryAddress),
  address: status.address === undefined ? "" : Address.format(status.address),
  node_id: status.address?.node ?? 0,
  hostname: status.hostname,
  endpoint: status.mapped === undefined ? "" : Endpoint.format(status.mapped),
  listen: status.local === undefined ? "" : Endpoint.format(status.local),
  peers: status.peers
})
