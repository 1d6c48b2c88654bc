/** What the commands about the own node print for people (cli §5, §8). Pure. */
import * as Json from "../../core/data/Json.ts"
import * as PolicyRows from "../policy/PolicyRows.ts"
import * as Render from "../Render.ts"

/** `pilotctl info`. */
export const info = (status: Json.JsonObject): string => {
  const n = (key: string) => Json.integer(status, key)
  const text = (key: string) => Json.string(status, key)
  const isSet = (key: string) => text(key) !== ""
  const lines = [
    "Pilot Protocol Daemon",
    ...fact("Node ID", String(n("node_id"))),
    ...fact("Address", text("address")),
    ...(isSet("hostname") ? fact("Hostname", text("hostname")) : []),
    ...memberships(Json.objects(status, "memberships")),
    ...fact("Uptime", Render.uptime(n("uptime_secs"))),
    ...fact("Connections", String(n("connections"))),
    ...fact("Ports", String(n("ports"))),
    ...fact("Peers", String(n("peers"))),
    ...fact("Encryption", Json.boolean(status, "encrypt") ? encryption(n) : "disabled"),
    ...fact("Identity", Json.boolean(status, "identity") ? identity(text("public_key")) : "ephemeral (not persisted)"),
    ...(isSet("fingerprint") ? fact("Fingerprint", text("fingerprint")) : []),
    ...(isSet("owner") ? fact("Owner", text("owner")) : []),
    ...fact("Traffic", `${Render.size(n("bytes_sent"))} sent / ${Render.size(n("bytes_recv"))} recv`),
    ...fact("Packets", `${n("pkts_sent")} sent / ${n("pkts_recv")} recv`),
    ...Json.objects(status, "refused_keys").flatMap((row) => fact("Refused key", refusal(row))),
    ...problems(status)
  ]
  const rows = Json.objects(status, "conn_list")
  if (rows.length === 0) return lines.join("\n")
  const table = Render.table(
    CONNECTION_COLUMNS.slice(0, 8),
    rows.slice(0, ROWS_MAX).map((row) => connectionCells(row).slice(0, 8))
  )
  return [...lines, "", `Active connections: ${rows.length}`, table].join("\n")
}

/** Only of a node that is registered with several; one that is not registered says why. */
const memberships = (rows: ReadonlyArray<Json.JsonObject>): ReadonlyArray<string> =>
  rows.length < 2
    ? []
    : rows.flatMap((row) => {
        const [state, detail] = [Json.string(row, "state"), Json.string(row, "detail")]
        const name = `${Json.string(row, "alias").padEnd(8)} ${Json.string(row, "registry")} ${state}`
        return fact("Rendezvous", [name, Json.string(row, "address"), detail].filter((part) => part !== "").join("  "))
      })

/** What is not as the owner wants it to be: a policy file that is not in force, an audit log that is not written. */
const problems = (status: Json.JsonObject): ReadonlyArray<string> => {
  const policy = Json.member(status, "policy_problem")
  const audit = Json.string(status, "audit_failure")
  return [
    ...(Json.isObject(policy) ? fact("Policy", `the file is not in force: ${PolicyRows.place(policy)}`) : []),
    ...(audit === "" ? [] : fact("Audit log", `not written: ${audit}`))
  ]
}

/** Whose key was not believed, why, and how often. */
const refusal = (row: Json.JsonObject): string =>
  `node ${Json.integer(row, "node_id")}: ${Json.string(row, "reason")}, ${Json.integer(row, "count")} times`

/** `pilotctl peers`. */
export const peers = (rows: ReadonlyArray<Json.JsonObject>, query: string): string => {
  if (rows.length === 0)
    return query === ""
      ? "no peers connected\n  peers appear when you communicate with other nodes"
      : `no peers matching ${JSON.stringify(query)}`
  // What only our daemons tell gets columns only when one of them tells it.
  const isTold = rows.some((row) => Json.member(row, "path") !== undefined)
  return Render.table(
    [["NODE ID", 10], ["ENDPOINT", 30], ["ENCRYPTED", 20], ["AUTH", isTold ? 13 : 0], ...(isTold ? OWN_COLUMNS : [])],
    rows.map((row) => [
      String(Json.integer(row, "node_id")),
      Json.string(row, "endpoint"),
      Json.boolean(row, "encrypted") ? "yes (AES-256-GCM)" : "no",
      Json.boolean(row, "authenticated") ? "yes (Ed25519)" : "no",
      ...(isTold
        ? [Json.string(row, "kind") || Json.string(row, "path"), rtt(row), Json.string(row, "fingerprint")]
        : [])
    ])
  )
}

/** `pilotctl lan`. A stranger is called what it calls itself, and nothing is done with it. */
export const neighbours = (rows: ReadonlyArray<Json.JsonObject>): string =>
  rows.length === 0
    ? "no nodes on the local network\n  nodes say so once a minute, unless they were started with --no-lan"
    : Render.table(
        [
          ["NODE ID", 10],
          ["ENDPOINT", 24],
          ["STANDING", 26],
          ["NAME", 20],
          ["FINGERPRINT", 40]
        ],
        rows.map((row) => [
          String(Json.integer(row, "node_id")),
          Json.string(row, "endpoint"),
          Json.boolean(row, "known")
            ? "known"
            : Json.boolean(row, "same_rendezvous")
              ? "stranger, unverified"
              : "of another rendezvous",
          Json.string(row, "name"),
          Json.string(row, "fingerprint")
        ])
      )

/** `pilotctl connections`. */
export const connections = (rows: ReadonlyArray<Json.JsonObject>): string => {
  if (rows.length === 0)
    return 'no active connections\n  connect to a peer: pilotctl connect <address|hostname> --message "hello"'
  const table = Render.table(CONNECTION_COLUMNS, rows.map(connectionCells)).split("\n")
  const details = rows.map(traffic)
  return [
    `Active connections: ${rows.length}`,
    table[0]!,
    ...table.slice(1).flatMap((line, index) => [line, details[index]!])
  ].join("\n")
}

/** `pilotctl find`. */
export const found = (data: Json.JsonObject): string => {
  const fingerprint = Json.string(data, "fingerprint")
  return [
    `Hostname:  ${Json.string(data, "hostname")}`,
    `Node ID:   ${Json.integer(data, "node_id")}`,
    `Address:   ${Json.string(data, "address")}`,
    `Visible:   ${Json.boolean(data, "public") ? "public" : "private"}`,
    ...(fingerprint === "" ? [] : [`Key:       ${fingerprint}`])
  ].join("\n")
}

const fact = (name: string, value: string): ReadonlyArray<string> => [`  ${`${name}:`.padEnd(12)} ${value}`]

const encryption = (n: (key: string) => number): string =>
  `enabled (X25519 + AES-256-GCM), ${n("encrypted_peers")}/${n("peers")} peers encrypted, ${n("authenticated_peers")} authenticated`

const identity = (publicKey: string): string => `persistent (Ed25519 ${publicKey.slice(0, 16)}...)`

const rtt = (row: Json.JsonObject): string => {
  const ms = Json.member(row, "rtt_ms")
  return typeof ms === "number" ? `${ms.toFixed(1)} ms` : "-"
}

const connectionCells = (row: Json.JsonObject): ReadonlyArray<string> => [
  String(Json.integer(row, "id")),
  String(Json.integer(row, "local_port")),
  Json.string(row, "remote_addr"),
  String(Json.integer(row, "remote_port")),
  Json.string(row, "state"),
  Render.size(Json.integer(row, "cong_win")),
  Render.size(Json.integer(row, "in_flight")),
  smoothedRtt(row),
  String(Json.integer(row, "unacked")),
  String(Json.integer(row, "ooo_buf")),
  String(Json.integer(row, "peer_recv_win")),
  String(Json.integer(row, "recv_win"))
]

const smoothedRtt = (row: Json.JsonObject): string => {
  const ms = Json.member(row, "srtt_ms")
  return typeof ms === "number" && ms > 0 ? `${ms.toFixed(1)}ms` : "-"
}

const traffic = (row: Json.JsonObject): string => {
  const n = (key: string) => Json.integer(row, key)
  return [
    `      tx: ${Render.size(n("bytes_sent"))} (${n("segs_sent")} segs)`,
    `rx: ${Render.size(n("bytes_recv"))} (${n("segs_recv")} segs)`,
    `retx: ${n("retransmits")}`,
    `fast-retx: ${n("fast_retx")}`,
    `sack: ${n("sack_sent")}/${n("sack_recv")}`,
    `dup-ack: ${n("dup_acks")}`
  ].join("  ")
}

const CONNECTION_COLUMNS: ReadonlyArray<readonly [string, number]> = [
  ["ID", 6],
  ["LOCAL", 7],
  ["REMOTE ADDR", 20],
  ["RPORT", 7],
  ["STATE", 12],
  ["CWND", 10],
  ["FLIGHT", 10],
  ["SRTT", 10],
  ["UNACK", 6],
  ["OOO", 5],
  ["PEERWIN", 8],
  ["RCVWIN", 8]
]
const OWN_COLUMNS: ReadonlyArray<readonly [string, number]> = [
  ["PATH", 6],
  ["RTT", 9],
  ["FINGERPRINT", 0]
]
/** Rows of the table in `info`; `connections` shows them all. */
const ROWS_MAX = 50
