/** What is known of the translator, as JSON: the answer to `netcheck`, with or without a daemon. Pure. */
import * as Endpoint from "../../core/data/Endpoint.ts"
import type { JsonObject } from "../../core/data/Json.ts"
import * as NatReport from "../../nat/NatReport.ts"
import type { NodeStatus } from "../node/Node.ts"

/** Unknowns are null. */
export const make = ({ lifetime, report }: NatReport.NatKnowledge): JsonObject => {
  if (report === undefined) return { udp: false, nat: "unknown", beacons: [] }
  const { beacons, isHairpinning, isTranslated, local, mapped, ports } = report
  return {
    udp: beacons.some(({ rttMs }) => rttMs !== undefined),
    nat: NatReport.kindOf(report),
    translated: isTranslated ?? null,
    mapping: NAMES[report.mapping],
    filtering: NAMES[report.filtering],
    hairpin: isHairpinning ?? null,
    ports: ports._tag.toLowerCase(),
    ...(ports._tag === "Sequential" ? { port_step: ports.step } : {}),
    local: Endpoint.format(local),
    mapped: mapped === undefined ? null : Endpoint.format(mapped),
    lifetime: lifetime === undefined ? null : { alive_ms: lifetime.aliveMs, gone_ms: lifetime.goneMs ?? null },
    beacons: beacons.map(({ endpoint, isOurs, rttMs }) => ({
      endpoint: Endpoint.format(endpoint),
      rtt_ms: rttMs === undefined ? null : Math.round(rttMs * 1000) / 1000,
      probes: isOurs
    }))
  }
}

/** A port that the router gave, and why one that speaks UPnP gave none. */
export const portMap = ({
  portMapDetail,
  portMapping
}: Pick<NodeStatus, "portMapping" | "portMapDetail">): JsonObject => ({
  port_mapping:
    portMapping === undefined
      ? null
      : { protocol: portMapping.protocol, external: Endpoint.format(portMapping.external) },
  port_map_detail: portMapDetail ?? null
})

/** Tries to guess ports since the start, as `tries`, `hits` and `refused`; and what this node does not do. */
export const efforts = (status: Pick<NodeStatus, "birthdays" | "turnedOff">): JsonObject => ({
  birthdays: status.birthdays === undefined ? null : { ...status.birthdays },
  turned_off: [...(status.turnedOff ?? [])]
})

const NAMES: Readonly<Record<NatReport.Dependence, string>> = {
  EndpointIndependent: "endpoint-independent",
  AddressDependent: "address-dependent",
  AddressAndPortDependent: "address-and-port-dependent",
  NotPortDependent: "not-port-dependent",
  Dependent: "dependent",
  Unknown: "unknown"
}
