/**
 * The networks whose members come in unattended (decision 77), as the daemon's clients ask for them (`IpcExtension`).
 *
 * | op | takes | answers |
 * |---|---|---|
 * | `network.join` | `token` | the row of `network.list` |
 * | `network.leave` | `name` | `name known` |
 * | `network.list` | | `networks [name number fingerprint expires_at open serial revoked [fingerprint at]]` |
 * | `network.broadcast` | `network port data` (base64) | `sent [node_id]`, `failed [node_id error]` |
 * | `network.update` | `list` | `news`: whether it was newer than what was held |
 */
import { Effect } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Json from "../../core/data/Json.ts"
import * as Address from "../../protocol/wire/Address.ts"
import { Node } from "../node/Node.ts"
import { Trust, type TrustError } from "../trust/Trust.ts"
import * as DialErrorText from "./DialErrorText.ts"
import * as IpcAnswer from "./IpcAnswer.ts"

type Networks = Trust["Service"]["admissions"]
type Answer = Effect.Effect<Json.JsonObject, string, Trust | Node>
type NetworkRow = Effect.Success<Networks["networks"]>[number]

/** The answer of an operation; undefined for any other. */
export const perform = (op: string, value: Json.JsonObject): Answer | undefined => {
  switch (op) {
    case "network.join":
      return ask(op, ({ joinNetwork }) => Effect.map(joinNetwork(Json.string(value, "token")), rowOf))
    case "network.leave": {
      const name = Json.string(value, "name")
      return ask(op, ({ leaveNetwork }) => Effect.map(leaveNetwork(name), (known) => ({ name, known })))
    }
    case "network.list":
      return ask(op, ({ networks }) => Effect.map(networks, (rows) => ({ networks: rows.map(rowOf) })))
    case "network.broadcast": {
      const data = Bytes.fromBase64(Json.string(value, "data")) ?? Bytes.empty
      const [network, port] = [Json.unsigned(value, "network", 16), Address.Port(Json.unsigned(value, "port", 16))]
      return Effect.map(broadcast(network, port, data), (rows) => ({
        sent: rows.flatMap(({ error, node }) => (error === undefined ? [{ node_id: node }] : [])),
        failed: rows.flatMap(({ error, node }) => (error === undefined ? [] : [{ node_id: node, error }]))
      }))
    }
    case "network.update":
      return ask(op, ({ reviseNetwork }) => Effect.map(reviseNetwork(Json.string(value, "list")), (news) => ({ news })))
    default:
      return undefined
  }
}

/** One datagram to each member that this node knows as one; what became of each. They may be lost, as all datagrams. */
export const broadcast = Effect.fnUntraced(function* (network: number, port: Address.Port, data: Uint8Array) {
  const [trust, node] = [yield* Trust, yield* Node]
  const isIn = (yield* trust.admissions.networks).some(({ number }) => number === network)
  if (!isIn) return yield* Effect.fail(`broadcast: this node is in no network ${network}`)
  const members = (yield* trust.trusted).filter((row) => row.network === network)
  return yield* Effect.forEach(
    members,
    (member) =>
      Effect.match(Effect.timeout(node.sendDatagram(Address.make(0, member.node), port, data), SEND_TIMEOUT), {
        onSuccess: () => ({ node: member.node, error: undefined }),
        onFailure: (failure) => ({
          node: member.node,
          error: failure._tag === "DialError" ? DialErrorText.format(failure, member.node) : "it does not answer"
        })
      }),
    { concurrency: SENDS_AT_ONCE }
  )
})

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

/** For the tunnel to a member that has none. */
const SEND_TIMEOUT = "5 seconds"
const SENDS_AT_ONCE = 32
