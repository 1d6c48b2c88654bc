/**
 * The networks whose members come in unattended (decision 77), as the daemon's clients ask for them (`IpcExtension`).
 *
 * | op | takes | answers |
 * |---|---|---|
 * | `network.join` | `token` | the row of `network.list` |
 * | `network.leave` | `name` | `name known` |
 * | `network.list` | | `networks [name number fingerprint expires_at open serial revoked [fingerprint at]]` |
 * | `network.update` | `list` | `news`: whether it was newer than what was held |
 */
import { Effect } from "effect"
import * as Json from "../../core/data/Json.ts"
import { Trust, type TrustError } from "../trust/Trust.ts"
import * as IpcAnswer from "./IpcAnswer.ts"

type Networks = Trust["Service"]["admissions"]
type NetworkRow = Effect.Success<Networks["networks"]>[number]

/** The answer of an operation; undefined for any other. */
export const perform = (
  op: string,
  value: Json.JsonObject
): Effect.Effect<Json.JsonObject, string, Trust> | undefined => {
  switch (op) {
    case "network.join":
      return ask(op, ({ joinNetwork }) => Effect.map(joinNetwork(Json.string(value, "token")), rowOf))
    case "network.leave": {
      const name = Json.string(value, "name")
      return ask(op, ({ leaveNetwork }) => Effect.map(leaveNetwork(name), (known) => ({ name, known })))
    }
    case "network.list":
      return ask(op, ({ networks }) => Effect.map(networks, (rows) => ({ networks: rows.map(rowOf) })))
    case "network.update":
      return ask(op, ({ reviseNetwork }) => Effect.map(reviseNetwork(Json.string(value, "list")), (news) => ({ news })))
    default:
      return undefined
  }
}

const ask = (
  op: string,
  use: (networks: Networks) => Effect.Effect<Json.JsonObject, TrustError>
): Effect.Effect<Json.JsonObject, string, Trust> =>
  Effect.mapError(
    Effect.flatMap(Trust, ({ admissions }) => use(admissions)),
    (error) => `${op}: ${IpcAnswer.trustText(error)}`
  )

const rowOf = ({
  expiresAtSeconds,
  fingerprint,
  isOpen,
  name,
  number,
  revoked,
  serial
}: NetworkRow): Json.JsonObject => ({
  ...{ name, number, fingerprint, expires_at: expiresAtSeconds, open: isOpen, serial },
  revoked: revoked.map(({ atSeconds, member }) => ({ fingerprint: member, at: atSeconds }))
})
