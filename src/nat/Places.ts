/**
 * Which places a node offers its peers, and which of those it is offered it tries (RFC 8445 §5.1.1, §6.1.2.6, in small). A
 * peer's word sends a few small probes somewhere, so what can never be a peer is dropped, and the rest is bounded.
 */
import * as AddressScope from "../core/data/AddressScope.ts"
import type { Endpoint } from "../core/data/Endpoint.ts"
import * as EndpointOf from "../core/data/Endpoint.ts"
import { type Kind, PLACES_MAX, type Place } from "../protocol/wire/PathOffer.ts"

/** What a node knows of itself. */
export interface Surroundings {
  /** Where its socket is bound, in one family or in both; a wildcard host stands for all interfaces of its family. */
  readonly bound: ReadonlyArray<Endpoint>
  /** Addresses of its interfaces. */
  readonly addresses: ReadonlyArray<string>
  /** As the beacon sees it. */
  readonly reflexive: Endpoint | undefined
  /** Its translator gives new destinations the ports after that one. */
  readonly isSequential: boolean
  /** As the operator, or a translator that was asked, promises. */
  readonly mapped: Endpoint | undefined
}

/** In the order of preference: a promise first, then what the world sees, then the own network. */
export const own = ({ addresses, bound, isSequential, mapped, reflexive }: Surroundings): ReadonlyArray<Place> => {
  const all: ReadonlyArray<readonly [Kind, Endpoint | undefined]> = [
    ["mapped", mapped],
    [isSequential ? "sequential" : "reflexive", reflexive],
    ...inTurns(bound.map((local) => hosts(local, addresses))).map((endpoint) => ["host", endpoint] as const)
  ]
  const places: Array<Place> = []
  for (const [kind, endpoint] of all) {
    if (endpoint === undefined || endpoint.port === 0) continue
    // A beacon that lies does not make this node name a group, or nobody.
    if (endpoint === reflexive && !AddressScope.isUsable(endpoint.host)) continue
    if (!places.some((place) => EndpointOf.equals(place.endpoint, endpoint))) places.push({ kind, endpoint })
  }
  return places.slice(0, PLACES_MAX)
}

/** Of one socket, those first that the whole world can reach. */
const hosts = ({ host, port }: Endpoint, addresses: ReadonlyArray<string>): ReadonlyArray<Endpoint> => {
  if (!EndpointOf.isWildcard(host)) return [{ host, port }]
  const usable = addresses.filter((one) => EndpointOf.isSameFamily(one, host) && AddressScope.isUsable(one))
  return [...usable.filter(AddressScope.isPublic), ...usable.filter((one) => !AddressScope.isPublic(one))].map(
    (one) => ({ host: one, port })
  )
}

/** One of each list after the other, so that a host with many addresses of one family names those of the other, too. */
const inTurns = <A>(lists: ReadonlyArray<ReadonlyArray<A>>): ReadonlyArray<A> =>
  Array.from({ length: Math.max(...lists.map(({ length }) => length)) }).flatMap((_, index) =>
    lists.flatMap((list) => list.slice(index, index + 1))
  )

/** Those of an offer that are worth a probe: no address of a group, of nobody, or of this host. */
export const worthTrying = (
  offered: ReadonlyArray<Place>,
  ours: ReadonlyArray<Place>,
  beacon: Endpoint | undefined
): ReadonlyArray<Endpoint> =>
  offered
    .map(({ endpoint }) => endpoint)
    .filter(
      (endpoint, index, all) =>
        endpoint.port !== 0 &&
        AddressScope.isUsable(endpoint.host) &&
        !ours.some((place) => EndpointOf.equals(place.endpoint, endpoint)) &&
        (beacon === undefined || !EndpointOf.equals(beacon, endpoint)) &&
        all.findIndex((other) => EndpointOf.equals(other, endpoint)) === index
    )
    .slice(0, PLACES_MAX)

/**
 * Where the frames of a peer behind a sequential translator may come from next: its mapping for us is one of those made
 * since the one that the beacon saw. Sending there first lets them in through a translator that filters by port.
 */
export const predicted = (offered: ReadonlyArray<Place>): ReadonlyArray<Endpoint> =>
  offered
    .filter(({ endpoint, kind }) => kind === "sequential" && AddressScope.isUsable(endpoint.host))
    .slice(0, 1)
    .flatMap(({ endpoint: { host, port } }) =>
      Array.from({ length: PREDICTED_MAX }, (_, index) => ({ host, port: port + index + 1 })).filter(
        (endpoint) => endpoint.port <= PORT_MAX
      )
    )

/** Ports that are opened for a peer whose next one is guessed. */
const PREDICTED_MAX = 64
const PORT_MAX = 65_535
