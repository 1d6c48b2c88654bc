/** What the commands about trust print for people (cli §7). Pure. */
import * as Json from "../../core/data/Json.ts"
import * as Render from "../Render.ts"

/** Minutes to add to UTC at an instant. */
export type LocalOffset = (epochMs: number) => number

/** `pilotctl handshake`. */
export const requested = (reply: Json.JsonObject): string => {
  const node = Json.integer(reply, "node_id")
  if (Json.string(reply, "status") === "already_trusted")
    return `already trusted with node ${node} — ready to communicate`
  return [
    `handshake request sent to node ${node}`,
    `  next: node ${node} must approve — or send a handshake back for auto-approval`,
    "  check: pilotctl trust"
  ].join("\n")
}

/** `pilotctl approve`. */
export const approved = (reply: Json.JsonObject): string => {
  const node = Json.integer(reply, "node_id")
  if (Json.member(reply, "known") === false) return `no request of node ${node} is pending — nothing changed`
  const fingerprint = Json.string(reply, "fingerprint")
  return [
    `trust established with node ${node}`,
    ...(fingerprint === "" ? [] : [`  key: ${fingerprint}`]),
    `  try: pilotctl ping ${node}`
  ].join("\n")
}

/** `pilotctl pending`. */
export const pending = (rows: ReadonlyArray<Json.JsonObject>, offset: LocalOffset): string =>
  rows.length === 0
    ? "no pending handshake requests\n  requests appear here when another node sends: pilotctl handshake <your-node-id>"
    : withFingerprints(
        rows,
        [
          ["NODE ID", 10],
          ["JUSTIFICATION", 40],
          ["RECEIVED", TIME_WIDTH]
        ],
        (row) => [nodeId(row), Json.string(row, "justification"), time(row, "received_at", offset)]
      )

/** `pilotctl trust`. */
export const trusted = (rows: ReadonlyArray<Json.JsonObject>, offset: LocalOffset): string =>
  rows.length === 0
    ? 'no trusted peers\n  establish trust: pilotctl handshake <node_id|hostname> "reason"'
    : withFingerprints(
        rows,
        [
          ["NODE ID", 10],
          ["MUTUAL", 10],
          ["NETWORK", 10],
          ["APPROVED AT", TIME_WIDTH]
        ],
        (row) => [
          nodeId(row),
          Json.boolean(row, "mutual") ? "yes" : "no",
          Json.integer(row, "network") === 0 ? "-" : String(Json.integer(row, "network")),
          time(row, "approved_at", offset)
        ]
      )

/** A daemon of the reference tells no fingerprints; then there is no column for them. */
const withFingerprints = (
  rows: ReadonlyArray<Json.JsonObject>,
  columns: ReadonlyArray<readonly [string, number]>,
  cells: (row: Json.JsonObject) => ReadonlyArray<string>
): string => {
  if (rows.every((row) => Json.string(row, "fingerprint") === "")) return Render.table(columns, rows.map(cells))
  return Render.table(
    [...columns, ["FINGERPRINT", 0]],
    rows.map((row) => [...cells(row), Json.string(row, "fingerprint") || "-"])
  )
}

const nodeId = (row: Json.JsonObject): string => String(Json.integer(row, "node_id"))

/** A member that is a time, in the zone of whoever reads it; `-` when it is none. */
export const time = (row: Json.JsonObject, key: string, offset: LocalOffset): string => {
  const seconds = Json.integer(row, key)
  return seconds <= 0 || seconds > LAST_SECOND ? "-" : Render.localTime(seconds, offset(seconds * 1000))
}

/** The end of the year 9999; beyond it four digits do not hold the year. */
const LAST_SECOND = 253_402_300_799
/** `2026-11-20 17:49:22` */
const TIME_WIDTH = 19
