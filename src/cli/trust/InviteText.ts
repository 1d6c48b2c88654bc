/** What the commands about invitations print for people. Pure. */
import * as Json from "../../core/data/Json.ts"
import type { LocalOffset } from "./TrustText.ts"
import * as TrustText from "./TrustText.ts"

/** Said beside a new invitation, on standard error: the string stands alone on standard output. */
export const made = (reply: Json.JsonObject, options: Said, offset: LocalOffset): ReadonlyArray<string> => {
  const uses = options.uses === 1 ? "once" : `${options.uses} times`
  const until = TrustText.time(reply, "expires_at", offset)
  const opens = options.services.length === 0 ? "trust only" : `trust and ${options.services.join(", ")}`
  return [
    `invitation ${Json.string(reply, "id")}: ${uses}, until ${until}; opens ${opens}`,
    "  whoever has it comes in; the other side types: pilotctl redeem INVITATION",
    `  end it: pilotctl invite revoke ${Json.string(reply, "id")}`,
    ...(isLoopback(Json.string(reply, "registry"))
      ? [`  note: only this host reaches ${Json.string(reply, "registry")}; name it with --rendezvous HOST:PORT`]
      : [])
  ]
}

/** What a new invitation allows. */
export interface Said {
  readonly uses: number
  readonly services: ReadonlyArray<string>
}

/** `invite list`. */
export const list = (rows: ReadonlyArray<Json.JsonObject>, offset: LocalOffset): string =>
  rows.length === 0
    ? "no invitations\n  make one: pilotctl invite --services NAME --expires 24h"
    : rows.map((row) => invitation(row, offset)).join("\n")

const invitation = (row: Json.JsonObject, offset: LocalOffset): string => {
  const services = Json.strings(row, "services")
  const [bound, note] = [Json.string(row, "for"), Json.string(row, "note")]
  const facts = [
    Json.string(row, "state"),
    `${Json.integer(row, "uses")} of ${Json.integer(row, "uses_max")} used`,
    `until ${TrustText.time(row, "expires_at", offset)}`,
    ...(services.length === 0 ? [] : [`opens ${services.join(", ")}`]),
    ...(bound === "" ? [] : [`for ${bound}`]),
    ...(note === "" ? [] : [note])
  ]
  const redeemed = Json.objects(row, "redeemed").map(
    (came) =>
      `  node ${Json.integer(came, "node_id")}  ${Json.string(came, "fingerprint")}  ${TrustText.time(came, "at", offset)}`
  )
  return [`${Json.string(row, "id")}  ${facts.join("  ")}`, ...redeemed].join("\n")
}

/** `redeem`. */
export const redeemed = (reply: Json.JsonObject): string => {
  const name = Json.string(reply, "hostname") || Json.string(reply, "address")
  const services = Json.strings(reply, "services")
  return [
    `trust established with ${name} (node ${Json.integer(reply, "node_id")})`,
    `  key: ${Json.string(reply, "fingerprint")}`,
    ...(services.length === 0 ? [] : [`  services: ${services.join(", ")}`]),
    `  try: ${services.length === 0 ? `pilotctl ping ${name}` : `pilotctl mcp tools ${name}/${services[0]}`}`
  ].join("\n")
}

/** `trust allowed-keys`. */
export const allowedKeys = (rows: ReadonlyArray<Json.JsonObject>): string =>
  rows.length === 0
    ? "no keys are allowed beforehand\n  allow one: pilotctl trust allow-key FINGERPRINT"
    : rows.map((row) => `${Json.string(row, "fingerprint")}  ${Json.string(row, "note")}`.trimEnd()).join("\n")

const isLoopback = (address: string): boolean => /^(?:127\.|localhost:|\[::1\])/.test(address)
