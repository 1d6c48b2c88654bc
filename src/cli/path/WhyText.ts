/** How a peer is reached, for people. Pure. */
import * as Json from "../../core/data/Json.ts"
import * as Render from "../Render.ts"

/** `pilotctl why`. */
export const why = (data: Json.JsonObject): string => {
  const error = Json.string(data, "error")
  const rows = Json.objects(data, "candidates")
  const table = Render.table(
    [
      ["", 2],
      ["PATH", 24],
      ["FROM", 10],
      ["VERDICT", 12],
      ["PROBES", 8],
      ["RTT", 9],
      ["HEARD", 10],
      ["SENT", 10],
      ["RECEIVED", 10]
    ],
    rows.map((row) => [
      Json.boolean(row, "in_use") ? "*" : "",
      Json.string(row, "path"),
      Json.string(row, "source"),
      Json.string(row, "verdict"),
      `${Json.integer(row, "probes_answered")}/${Json.integer(row, "probes_sent")}`,
      milliseconds(Json.member(row, "rtt_ms")),
      heard(Json.member(row, "heard_ms_ago")),
      Render.size(Json.integer(row, "sent_bytes")),
      Render.size(Json.integer(row, "received_bytes"))
    ])
  )
  const advised = Json.member(data, "advice")
  const advice = Array.isArray(advised) ? advised.map((line) => `* ${String(line)}`) : []
  return [
    `${Json.string(data, "target")}: ${summary(data)}`,
    `because ${Json.string(data, "reason")}`,
    ...(error === "" ? [] : [`no answer now: ${error}`]),
    ...birthday(data),
    ...portMap(data),
    ...(rows.length === 0 ? [] : ["", table]),
    ...(advice.length === 0 ? [] : ["", ...advice])
  ].join("\n")
}

/** `hole-punch 198.51.100.7:4000, 31.2 ms, encrypted`. */
export const summary = (data: Json.JsonObject): string => {
  const kind = Json.string(data, "kind")
  if (kind === "none") return "not connected"
  const [path, rtt, loss] = [Json.string(data, "path"), Json.member(data, "rtt_ms"), Json.member(data, "loss")]
  const isNamed = kind === "direct" || kind === "hole-punch"
  return [
    isNamed && path !== "" ? `${kind} ${path}` : kind,
    ...(typeof rtt === "number" ? [`${rtt.toFixed(1)} ms`] : []),
    ...(typeof loss === "number" && loss > 0 ? [`${(100 * loss).toFixed(1)} % sent again`] : []),
    Json.boolean(data, "encrypted") ? "encrypted" : "not encrypted"
  ].join(", ")
}

/** `ports were guessed: hit after 1.8 s, 130 probes from here, 256 sockets at the peer`. */
const birthday = (data: Json.JsonObject): ReadonlyArray<string> => {
  const row = Json.member(data, "birthday")
  if (!Json.isObject(row)) return []
  const [outcome, detail] = [Json.string(row, "outcome"), Json.string(row, "detail")]
  const where = Json.string(row, "role") === "guesser" ? "at the peer" : "here"
  const facts = [
    `${outcome === "running" ? "under way for" : `${outcome}${detail === "" ? "" : ` (${detail})`} after`} ${(Json.integer(row, "took_ms") / 1000).toFixed(1)} s`,
    `${Json.integer(row, "probes")} probes from here`,
    `${Json.integer(row, "sockets")} sockets ${where}`
  ]
  return [`ports ${outcome === "running" ? "are" : "were"} guessed: ${facts.join(", ")}`]
}

/** Part of how others reach this host. */
const portMap = (data: Json.JsonObject): ReadonlyArray<string> => {
  const row = Json.member(data, "port_mapping")
  return Json.isObject(row)
    ? [`this host's router forwards ${Json.string(row, "external")}, by ${Json.string(row, "protocol")}`]
    : []
}

const milliseconds = (ms: Json.Json | undefined): string => (typeof ms === "number" ? `${ms.toFixed(1)} ms` : "")

const heard = (ms: Json.Json | undefined): string => {
  if (typeof ms !== "number") return "never"
  return ms < 1000 ? `${ms} ms ago` : `${Math.round(ms / 1000)} s ago`
}
