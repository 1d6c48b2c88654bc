/** From what beacons have seen to what the translator does (RFC 4787 §4, §5, §6). */
import * as Endpoint from "../core/data/Endpoint.ts"
import type { BeaconReach, Dependence, NatReport, PortAllocation } from "./NatReport.ts"
import type { Socket } from "./ProbeSending.ts"

/** One question and its answer, in the order of asking. */
export interface Observation {
  /** `where` and `plain`: of a beacon, `other…`: of the first one's other endpoints, `from…`: answered from there. */
  readonly what: "where" | "otherPort" | "otherHost" | "fromOtherPort" | "fromOtherHost" | "hairpin" | "plain"
  readonly socket: Socket
  readonly to: Endpoint.Endpoint
  /** The outside endpoint that was seen; `undefined` if no answer came. */
  readonly seen: Endpoint.Endpoint | undefined
  readonly rttMs: number | undefined
  readonly isOurs: boolean
}

/** Everything that was observed. */
export interface Evidence {
  readonly local: Endpoint.Endpoint
  readonly localHosts: ReadonlyArray<string>
  readonly beacons: ReadonlyArray<Endpoint.Endpoint>
  readonly observations: ReadonlyArray<Observation>
}

/** What it says. */
export const report = (evidence: Evidence): NatReport => {
  const { local, observations } = evidence
  const places = observations.filter(
    ({ seen, socket, what }) => seen !== undefined && socket === "tunnel" && isPlace(what)
  )
  const mapped = places[0]?.seen
  const isTranslated = mapped === undefined ? undefined : isElsewhere(mapped, evidence)
  const hairpins = observations.filter(({ what }) => what === "hairpin")
  const isHairpinning =
    isTranslated !== true || hairpins.length === 0 ? undefined : hairpins.some(({ seen }) => seen !== undefined)
  return {
    ...{ local, mapped, isTranslated, isHairpinning },
    mapping: mappingOf(places),
    filtering: filteringOf(observations),
    ports: portsOf(local, observations),
    beacons: evidence.beacons.map((endpoint) => reachOf(endpoint, observations))
  }
}

/** Whether the world sees a socket elsewhere than it is. */
export const isElsewhere = (
  mapped: Endpoint.Endpoint,
  { local, localHosts }: Pick<Evidence, "local" | "localHosts">
): boolean => mapped.port !== local.port || !localHosts.includes(mapped.host)

/** Each place compared with the first: of the same host at another port, or of another host. */
const mappingOf = (places: ReadonlyArray<Observation>): Dependence => {
  const [first, ...others] = places
  if (first === undefined) return "Unknown"
  const differs = (isSameHost: boolean): boolean | undefined => {
    const compared = others.filter(
      ({ to }) => (to.host === first.to.host) === isSameHost && !Endpoint.equals(to, first.to)
    )
    return compared.length === 0 ? undefined : compared.some(({ seen }) => !isSame(seen, first.seen))
  }
  const byPort = differs(true)
  const byHost = differs(false)
  if (byPort === true) return "AddressAndPortDependent"
  if (byHost === true) return byPort === false ? "AddressDependent" : "Dependent"
  if (byHost === false) return "EndpointIndependent"
  return byPort === false ? "NotPortDependent" : "Unknown"
}

const filteringOf = (observations: ReadonlyArray<Observation>): Dependence => {
  const isLetIn = (what: Observation["what"]): boolean | undefined => {
    const asked = observations.filter((observation) => observation.what === what)
    return asked.length === 0 ? undefined : asked.some(({ seen }) => seen !== undefined)
  }
  const fromPort = isLetIn("fromOtherPort")
  const fromHost = isLetIn("fromOtherHost")
  if (fromHost === true) return "EndpointIndependent"
  if (fromPort === false) return "AddressAndPortDependent"
  if (fromPort === true) return fromHost === false ? "AddressDependent" : "NotPortDependent"
  return fromHost === false ? "Dependent" : "Unknown"
}

/** New mappings in the order in which they were opened: both sockets', one for each port that was seen. */
const portsOf = (local: Endpoint.Endpoint, observations: ReadonlyArray<Observation>): PortAllocation => {
  const seen = observations.filter(({ what }) => isPlace(what)).flatMap((one) => (one.seen === undefined ? [] : [one]))
  const first = seen.find(({ socket }) => socket === "tunnel")?.seen
  if (first === undefined) return { _tag: "Unknown" }
  if (seen.every((one) => one.socket !== "tunnel" || one.seen?.port === local.port)) return { _tag: "Preserving" }
  const ports = [...new Set(seen.map((one) => one.seen?.port ?? 0))]
  const steps = ports.slice(1).map((port, index) => port - ports[index]!)
  if (steps.length === 0) return { _tag: "Unknown" }
  const isSequential = steps.every((step) => Math.abs(step) <= STEP_MAX && Math.sign(step) === Math.sign(steps[0]!))
  if (!isSequential) return { _tag: "Random" }
  const smallest = steps.reduce((best, step) => (Math.abs(step) < Math.abs(best) ? step : best))
  return { _tag: "Sequential", step: smallest }
}

const reachOf = (endpoint: Endpoint.Endpoint, observations: ReadonlyArray<Observation>): BeaconReach => {
  const answer = observations.find(
    ({ seen, socket, to }) => seen !== undefined && socket === "tunnel" && Endpoint.equals(to, endpoint)
  )
  return { endpoint, rttMs: answer?.rttMs, isOurs: answer?.isOurs === true }
}

const isPlace = (what: Observation["what"]): boolean =>
  what === "where" || what === "plain" || what === "otherPort" || what === "otherHost"

const isSame = (a: Endpoint.Endpoint | undefined, b: Endpoint.Endpoint | undefined): boolean =>
  a !== undefined && b !== undefined && Endpoint.equals(a, b)

/** Others behind the same translator open mappings in between. */
const STEP_MAX = 32
