/** What `netcheck` prints for people, and what it advises. Pure. */
import * as Json from "../../core/data/Json.ts"

/** One fact a line. */
export const netcheck = (data: Json.JsonObject): string => {
  const families = object(data, "families") ?? {}
  const lifetime = object(data, "lifetime")
  const lines = [
    fact("UDP", Json.boolean(data, "udp") ? "yes" : "no answer from any beacon"),
    fact("NAT", `${text(data, "nat")}${translation(data)}`),
    fact("Mapping", words(text(data, "mapping"))),
    fact("Filtering", words(text(data, "filtering"))),
    fact("Hairpin", yesNo(Json.member(data, "hairpin"))),
    fact("Ports", ports(data)),
    fact("Lifetime", lifetime === undefined ? "not measured yet" : lived(lifetime)),
    fact("Families", `IPv4 ${yesNo(Json.member(families, "ipv4"))}, IPv6 ${yesNo(Json.member(families, "ipv6"))}`),
    fact("Proxies", proxies(object(data, "proxies") ?? {})),
    ...Json.objects(data, "beacons").map((row) => fact("Beacon", beacon(row))),
    ...(text(data, "beacon_route") === "websocket" ? [fact("Beacon by", `WebSocket ${text(data, "websocket")}`)] : []),
    fact("Port map", portMapping(data)),
    ...guessing(object(data, "birthdays")),
    ...turnedOff(Json.member(data, "turned_off")),
    ...clock(Json.member(data, "clock_skew_seconds")),
    ...(Json.boolean(data, "daemon") ? [] : ["", "no daemon runs; this was looked at by a socket of its own"])
  ]
  const advised = Json.member(data, "advice")
  const advice = Array.isArray(advised) ? advised : []
  return [...lines, ...(advice.length === 0 ? [] : ["", ...advice.map((line) => `* ${String(line)}`)])].join("\n")
}

/** What would make more peers reachable directly. */
export const advice = (data: Json.JsonObject): ReadonlyArray<string> => {
  const lines: Array<string> = []
  if (!Json.boolean(data, "udp")) {
    const isBridged = text(data, "beacon_route") === "websocket"
    lines.push(
      isBridged
        ? "UDP is blocked here: everything goes by WebSocket and the relay; allow outgoing UDP for direct paths"
        : "no beacon answers: check --beacon and that a rendezvous runs there, or allow outgoing UDP"
    )
  }
  const hasMapping = object(data, "port_mapping") !== undefined
  if (text(data, "nat") === "symmetric" && !hasMapping)
    lines.push(
      "peers behind such translators are reached by relay, and those behind one that filters by port after seconds of guessing: " +
        "forward a UDP port to this host (daemon start --listen :PORT --endpoint HOST:PORT), or let the router speak NAT-PMP, PCP or UPnP"
    )
  if (text(data, "nat") === "firewall")
    lines.push("this host has a public address behind a firewall: allow incoming UDP to its port for direct paths")
  const skew = Json.member(data, "clock_skew_seconds")
  if (typeof skew === "number" && Math.abs(skew) > SKEW_MAX_SECONDS)
    lines.push("this host's clock is wrong: signed messages are refused by peers; set it")
  return lines
}

const fact = (name: string, value: string): string => `${`${name}:`.padEnd(12)}${value}`

const object = (data: Json.JsonObject, key: string): Json.JsonObject | undefined => {
  const value = Json.member(data, key)
  return Json.isObject(value) ? value : undefined
}

const text = (data: Json.JsonObject, key: string): string => Json.string(data, key)

const words = (name: string): string => name.replaceAll("-", " ")

const yesNo = (value: Json.Json | undefined): string => (value === true ? "yes" : value === false ? "no" : "unknown")

const translation = (data: Json.JsonObject): string => {
  const [local, mapped] = [text(data, "local"), text(data, "mapped")]
  if (mapped === "") return ""
  return Json.boolean(data, "translated") ? ` (${local} is seen as ${mapped})` : ` (${mapped}, not translated)`
}

const ports = (data: Json.JsonObject): string => {
  const kind = text(data, "ports")
  return kind === "sequential" ? `sequential, by ${Json.member(data, "port_step")}` : kind
}

const lived = (lifetime: Json.JsonObject): string => {
  const [alive, gone] = [Json.member(lifetime, "alive_ms"), Json.member(lifetime, "gone_ms")]
  const seconds = (ms: Json.Json | undefined) => `${Math.round(Number(ms) / 1000)} s`
  return gone === null ? `more than ${seconds(alive)}` : `${seconds(alive)} to ${seconds(gone)}`
}

const proxies = (row: Json.JsonObject): string => {
  const all = Object.entries(row).map(([name, value]) => `${name}=${String(value)}`)
  return all.length === 0 ? "none" : all.join(" ")
}

const beacon = (row: Json.JsonObject): string => {
  const rtt = Json.member(row, "rtt_ms")
  if (typeof rtt !== "number") return `${text(row, "endpoint")}  no answer`
  const reserve = Json.boolean(row, "probes") ? "" : "  (only says where it sees us)"
  return `${text(row, "endpoint")}  ${rtt.toFixed(1)} ms${reserve}`
}

const portMapping = (data: Json.JsonObject): string => {
  const [row, detail] = [object(data, "port_mapping"), text(data, "port_map_detail")]
  if (row !== undefined) return `${text(row, "external")} by ${text(row, "protocol")}`
  return detail === "" ? "none" : `none (the router by UPnP: ${detail})`
}

/** Of use only where a daemon has tried. */
const guessing = (counts: Json.JsonObject | undefined): ReadonlyArray<string> => {
  if (counts === undefined || Json.integer(counts, "tries") === 0) return []
  const refused = Json.integer(counts, "refused")
  const tries = `${Json.integer(counts, "tries")} tries to guess ports, ${Json.integer(counts, "hits")} found a path`
  return [fact("Guessing", refused === 0 ? tries : `${tries}, ${refused} without sockets of this host`)]
}

const turnedOff = (names: Json.Json | undefined): ReadonlyArray<string> =>
  Array.isArray(names) && names.length > 0 ? [fact("Turned off", names.join(", "))] : []

const clock = (skew: Json.Json | undefined): ReadonlyArray<string> => {
  if (typeof skew !== "number") return []
  const isRight = Math.abs(skew) <= 1
  const direction = skew > 0 ? "behind" : "ahead of"
  return [fact("Clock", isRight ? "as the registry's" : `${Math.abs(skew)} s ${direction} the registry's`)]
}

/** Half of what a signed message may be old. */
const SKEW_MAX_SECONDS = 60
