/**
 * A network address translator for UDP in the terms of RFC 4787: which mapping a datagram from inside gets (§4.1), who may
 * use it from outside (§5), which port it has (§4.2), how long it lasts (§4.3), and whether two insiders can meet through
 * it (§6). Pure but for the generator it draws ports from.
 */
import type { Endpoint } from "../core/data/Endpoint.ts"
import * as EndpointText from "../core/data/Endpoint.ts"
import * as SeededRandom from "./SeededRandom.ts"

/** What a mapping or a filter depends on besides the inside: nothing, the outside address, or that and its port. */
export type Behaviour = "EndpointIndependent" | "AddressDependent" | "AddressAndPortDependent"

/** One kind of translator. */
export interface Config {
  readonly mapping: Behaviour
  readonly filtering: Behaviour
  /** `preserving` takes the inside port while it is free, another one otherwise; `sequential` the next after the last. */
  readonly ports: "preserving" | "random" | "sequential"
  /** A mapping unused for so long is gone (REQ-5: at least two minutes; many real ones have 30 s). */
  readonly timeoutMs: number
  /** Datagrams from outside keep a mapping alive too (REQ-6). */
  readonly isRefreshedInbound: boolean
  /** Insiders reach each other by their outside addresses (REQ-9). */
  readonly isHairpinning: boolean
}

/** The kinds people speak of. Each can be varied by giving a whole `Config`. */
export type Kind = "fullCone" | "restrictedCone" | "portRestrictedCone" | "symmetric" | "sequential"

/** What each kind is. */
export const kinds: Readonly<Record<Kind, Config>> = {
  fullCone: make("EndpointIndependent", "EndpointIndependent", "preserving"),
  restrictedCone: make("EndpointIndependent", "AddressDependent", "preserving"),
  portRestrictedCone: make("EndpointIndependent", "AddressAndPortDependent", "preserving"),
  symmetric: make("AddressAndPortDependent", "AddressAndPortDependent", "random"),
  /** Symmetric, with ports that can be guessed. */
  sequential: make("AddressAndPortDependent", "AddressAndPortDependent", "sequential")
}

function make(mapping: Behaviour, filtering: Behaviour, ports: Config["ports"]): Config {
  return { mapping, filtering, ports, timeoutMs: 120_000, isRefreshedInbound: true, isHairpinning: false }
}

/** Mutable, owned by the network it is part of. */
export class NatBox {
  readonly #config: Config
  readonly #random: SeededRandom.SeededRandom
  readonly #byInside = new Map<string, Mapping>()
  readonly #byPort = new Map<number, Mapping>()
  #lastPort: number | undefined

  constructor(config: Config, random: SeededRandom.SeededRandom) {
    this.#config = config
    this.#random = random
  }

  /** Mappings held, those that have expired but were not met since among them. */
  get size(): number {
    return this.#byPort.size
  }

  /** The outside port from which a datagram leaves; `undefined` when the table is full. */
  outbound(inside: Endpoint, to: Endpoint, nowMs: number): number | undefined {
    const key = `${EndpointText.format(inside)} ${part(this.#config.mapping, to)}`
    const known = this.#live(this.#byInside.get(key), nowMs)
    const mapping = known ?? this.#open(key, inside, nowMs)
    if (mapping === undefined) return undefined
    mapping.usedAtMs = nowMs
    this.#permit(mapping, part(this.#config.filtering, to), nowMs)
    return mapping.port
  }

  /** Who gets a datagram that came for an outside port; `undefined` when it is filtered or nobody's. */
  inbound(port: number, from: Endpoint, nowMs: number): Endpoint | undefined {
    const mapping = this.#live(this.#byPort.get(port), nowMs)
    const source = part(this.#config.filtering, from)
    const permittedAtMs = mapping?.permitted.get(source)
    if (mapping === undefined || permittedAtMs === undefined) return undefined
    if (nowMs - permittedAtMs > this.#config.timeoutMs) return undefined
    if (this.#config.isRefreshedInbound) {
      mapping.usedAtMs = nowMs
      mapping.permitted.set(source, nowMs)
    }
    return mapping.inside
  }

  /** The outside port of a datagram from an insider to another one; `undefined` if the two cannot meet here. */
  hairpin(inside: Endpoint, to: Endpoint, nowMs: number): number | undefined {
    return this.#config.isHairpinning ? this.outbound(inside, to, nowMs) : undefined
  }

  /** Forgets every mapping, as after a power cut. */
  reset(): void {
    this.#byInside.clear()
    this.#byPort.clear()
  }

  /** Who was sent to may answer for as long as a mapping lives unused. */
  #permit({ permitted }: Mapping, destination: string, nowMs: number): void {
    // In the order of use, the oldest first.
    permitted.delete(destination)
    for (const [other, atMs] of permitted) {
      if (nowMs - atMs <= this.#config.timeoutMs && permitted.size < PERMISSIONS_MAX) break
      permitted.delete(other)
    }
    permitted.set(destination, nowMs)
  }

  #live(mapping: Mapping | undefined, nowMs: number): Mapping | undefined {
    if (mapping === undefined || nowMs - mapping.usedAtMs <= this.#config.timeoutMs) return mapping
    this.#byInside.delete(mapping.key)
    this.#byPort.delete(mapping.port)
    return undefined
  }

  #open(key: string, inside: Endpoint, nowMs: number): Mapping | undefined {
    if (this.#byPort.size >= MAPPINGS_MAX) for (const mapping of [...this.#byPort.values()]) this.#live(mapping, nowMs)
    const port = this.#freePort(inside.port, nowMs)
    if (port === undefined) return undefined
    const mapping = { key, inside, port, usedAtMs: nowMs, permitted: new Map<string, number>() }
    this.#byInside.set(key, mapping)
    this.#byPort.set(port, mapping)
    return mapping
  }

  #freePort(wanted: number, nowMs: number): number | undefined {
    if (this.#byPort.size >= MAPPINGS_MAX) return undefined
    const isFree = (port: number) => this.#live(this.#byPort.get(port), nowMs) === undefined
    if (this.#config.ports === "preserving" && isFree(wanted)) return wanted
    for (let tries = 0; tries < PORT_TRIES; tries++) {
      this.#lastPort = this.#nextPort()
      if (isFree(this.#lastPort)) return this.#lastPort
    }
    return undefined
  }

  #nextPort(): number {
    const last = this.#config.ports === "sequential" ? this.#lastPort : undefined
    if (last === undefined) return PORT_MIN + SeededRandom.index(this.#random, PORT_MAX - PORT_MIN + 1)
    return last === PORT_MAX ? PORT_MIN : last + 1
  }
}

interface Mapping {
  readonly key: string
  readonly inside: Endpoint
  readonly port: number
  usedAtMs: number
  /** The parts of outside endpoints that were sent to, and when. */
  readonly permitted: Map<string, number>
}

const part = (behaviour: Behaviour, outside: Endpoint): string => {
  if (behaviour === "EndpointIndependent") return ""
  return behaviour === "AddressDependent" ? outside.host : EndpointText.format(outside)
}

/** Half of the ports there are, so that a free one is found in a few tries. */
const MAPPINGS_MAX = 32_768
/** Outside endpoints that one mapping was used for and lets in. */
const PERMISSIONS_MAX = 4096
const PORT_TRIES = 64
const PORT_MIN = 1024
const PORT_MAX = 65_535
