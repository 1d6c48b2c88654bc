/** What the commands about keys print for people, and how the daemon's refusals read. */
import { Effect } from "effect"
import type * as IpcError from "../../actors/ipc/IpcError.ts"
import * as Json from "../../core/data/Json.ts"
import * as CliError from "../CliError.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as Render from "../Render.ts"

/** Minutes to add to UTC at an instant. */
type LocalOffset = (epochMs: number) => number

/** `pilotctl rotate-key`. */
export const status = (reply: Json.JsonObject, offset: LocalOffset): string => {
  const pending = Json.string(reply, "pending_fingerprint")
  const recovery = Json.string(reply, "recovery_fingerprint")
  return [
    `key: ${Json.string(reply, "fingerprint")} (generation ${Json.integer(reply, "key_generation")})`,
    recovery === "" ? NO_RECOVERY : `recovery key: ${recovery}`,
    ...(pending === ""
      ? []
      : [`next key: ${pending}, from ${time(Json.integer(reply, "pending_from"), offset)}`, LATER]),
    ...(Json.boolean(reply, "published")
      ? []
      : ["the registry does not know yet; it is told again at the next heartbeat"])
  ].join("\n")
}

/** `pilotctl recovery init` and `enroll`. */
export const enrolled = (path: string, reply: Json.JsonObject): string =>
  [
    `recovery key ${Json.string(reply, "recovery_fingerprint")} is enrolled`,
    `Take ${path} away from this machine, to a place that burns and is stolen at other times than it, and delete it here.`,
    "Peers and registries that knew this node before let it decide seven days after they have heard of it."
  ].join("\n")

/** `pilotctl trust pending-rotations`. */
export const rotations = (rows: ReadonlyArray<Json.JsonObject>, offset: LocalOffset): string =>
  rows.length === 0
    ? "no peer has changed its key, or is about to"
    : rows.map((row) => rotation(row, offset)).join("\n")

/** Nothing stands between a thief and the key but seven days. */
export const NO_RECOVERY = "no recovery key is enrolled: pilotctl recovery init FILE"

/** An answer of the daemon; its refusals have their own codes. */
export const told = <A, R>(request: Effect.Effect<A, IpcError.IpcError, R>): Effect.Effect<A, CliError.CliError, R> =>
  Effect.mapError(request, (error) => {
    const reason = /(?:key|recovery)\.[a-z.]+: ([A-Za-z]+): (.*)$/s.exec(error.detail)
    const code = reason === null ? undefined : CODES[reason[1] ?? ""]
    return code === undefined ? DaemonClient.failure("", error) : CliError.make(code, reason?.[2] ?? "", HINTS[code])
  })

const rotation = (row: Json.JsonObject, offset: LocalOffset): string => {
  const [node, key] = [Json.integer(row, "node_id"), Json.string(row, "fingerprint")]
  switch (Json.string(row, "state")) {
    case "announced":
      return [
        `node ${node}: ${key}`,
        `  next key: ${Json.string(row, "next_fingerprint")}, from ${time(Json.integer(row, "next_from"), offset)}`,
        `  if its owner knows nothing of it: pilotctl trust refuse-rotation ${node}`
      ].join("\n")
    case "forked":
      return [
        `node ${node}: frozen, two keys follow ${key}: ${Json.strings(row, "rivals").join(", ")}`,
        `  ask its owner, on another way than this network; then: pilotctl trust accept-key ${node} --fingerprint FINGERPRINT`
      ].join("\n")
    default:
      return `node ${node}: ${key}, after ${Json.strings(row, "former_fingerprints").length} earlier keys`
  }
}

const time = (seconds: number, offset: LocalOffset): string => Render.localTime(seconds, offset(seconds * 1000))

const LATER =
  "peers that were away may need seven days more, or a person; with the recovery key nobody waits: --recovery-file FILE"

const CODES: Readonly<Record<string, CliError.Code>> = {
  InProgress: "invalid_state",
  NothingInProgress: "invalid_state",
  NoRecoveryKey: "invalid_state",
  WrongRecoveryKey: "permission_denied",
  NotStored: "internal",
  Refused: "permission_denied",
  Unavailable: "connection_failed"
}

const HINTS: Readonly<Partial<Record<CliError.Code, string>>> = {
  invalid_state: "see: pilotctl rotate-key --status",
  connection_failed: "what was begun is finished when the registry answers: pilotctl rotate-key --status"
}
