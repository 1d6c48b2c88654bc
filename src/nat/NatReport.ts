/** What is known of the translator between this host and the world, in the terms of RFC 4787. */
import type * as Endpoint from "../core/data/Endpoint.ts"

/**
 * What a mapping or a filter depends on. The last three are for what could not be told apart: `NotPortDependent` with one
 * host to ask, `Dependent` with one port on each of two, `Unknown` without an answer.
 */
export type Dependence =
  | "EndpointIndependent"
  | "AddressDependent"
  | "AddressAndPortDependent"
  | "NotPortDependent"
  | "Dependent"
  | "Unknown"

/** Which outside port a new mapping gets: the inside one, one `step` further than the last one, or any. */
export type PortAllocation =
  | { readonly _tag: "Preserving" }
  | { readonly _tag: "Sequential"; readonly step: number }
  | { readonly _tag: "Random" }
  | { readonly _tag: "Unknown" }

/** One beacon that was asked. */
export interface BeaconReach {
  readonly endpoint: Endpoint.Endpoint
  /** Of the first answer; `undefined` if none came. */
  readonly rttMs: number | undefined
  /** Answers our own questions, not only "where am I". */
  readonly isOurs: boolean
}

/** How long an unused mapping lives: alive after `aliveMs`, gone after `goneMs` (`undefined`: never seen to go). */
export interface Lifetime {
  readonly aliveMs: number
  readonly goneMs: number | undefined
}

/** One classification. */
export interface NatReport {
  readonly local: Endpoint.Endpoint
  /** Where the first beacon saw the tunnel's socket. */
  readonly mapped: Endpoint.Endpoint | undefined
  /** Whether the world sees another endpoint than the host has; `undefined` without an answer. */
  readonly isTranslated: boolean | undefined
  readonly mapping: Dependence
  /** Of a translator, or of a firewall where there is none. */
  readonly filtering: Dependence
  /** Insiders reach each other by their outside endpoints; `undefined` where nothing is translated. */
  readonly isHairpinning: boolean | undefined
  readonly ports: PortAllocation
  readonly beacons: ReadonlyArray<BeaconReach>
}

/** What was found last on the network of now, if anything. */
export interface NatKnowledge {
  readonly report: NatReport | undefined
  readonly lifetime: Lifetime | undefined
}

/** The names people know, for a line of text. */
export const kindOf = (self: NatReport): string => {
  if (self.isTranslated === undefined) return "unknown"
  if (!self.isTranslated) return isOpen(self.filtering) ? "open" : "firewall"
  switch (self.mapping) {
    case "AddressDependent":
    case "AddressAndPortDependent":
    case "Dependent":
      return "symmetric"
    case "Unknown":
      return "unknown"
    default:
      return coneOf(self.filtering)
  }
}

/** A peer that knows the mapped endpoint reaches it once it was punched to: the same mapping serves everybody. */
export const isPredictable = ({ isTranslated, mapping }: NatReport): boolean =>
  isTranslated === false || mapping === "EndpointIndependent" || mapping === "NotPortDependent"

/** Every peer sees another endpoint. */
export const isSymmetric = (self: NatReport): boolean => kindOf(self) === "symmetric"

/** New mappings have the ports after the last one: a few of them are worth a guess. */
export const isSequential = (self: NatReport): boolean => !isPredictable(self) && self.ports._tag === "Sequential"

/** How often to send on a mapping of that lifetime, or of an unknown one. */
export const keepaliveMs = (lifetime: Lifetime | undefined): number =>
  lifetime === undefined
    ? KEEPALIVE_DEFAULT_MS
    : Math.min(KEEPALIVE_MAX_MS, Math.max(KEEPALIVE_MIN_MS, lifetime.aliveMs * KEEPALIVE_PART))

/** The network a lifetime was measured on: the host's own address there, and the one the world sees. */
export const networkOf = (localHost: string, mapped: Endpoint.Endpoint): string => `${localHost} ${mapped.host}`

/** A firewall that remembers who was sent to remembers the port, too. */
const isOpen = (filtering: Dependence): boolean =>
  filtering === "EndpointIndependent" || filtering === "NotPortDependent"

const coneOf = (filtering: Dependence): string => {
  switch (filtering) {
    case "EndpointIndependent":
      return "full cone"
    case "AddressDependent":
      return "restricted cone"
    case "NotPortDependent":
      return "full or restricted cone"
    case "AddressAndPortDependent":
      return "port-restricted cone"
    default:
      return "cone"
  }
}

/** rendezvous §9.2. */
export const KEEPALIVE_DEFAULT_MS = 30_000
/** A translator with less is not worth its traffic. */
export const KEEPALIVE_MIN_MS = 10_000
/** A firewall of a longer patience is rare, and a changed network is noticed by it. */
export const KEEPALIVE_MAX_MS = 240_000
/** Part of the time that a mapping was seen alive after. */
const KEEPALIVE_PART = 0.8
