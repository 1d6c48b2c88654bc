/**
 * Gets and keeps a port of the router's outside address, by PCP (RFC 6887), or NAT-PMP (RFC 6886) where the router knows only
 * that. A router that answers nothing is left alone after three questions, and asked again ten minutes later; what it gave before
 * is ours until its time is over.
 *
 * Mutable, with one owner: after every call, send what `take` gives to the gateway, and call `timeout` at `deadlineMs`.
 */
import * as Bytes from "../core/data/Bytes.ts"
import type { Endpoint } from "../core/data/Endpoint.ts"
import * as PortMapMessage from "../protocol/wire/PortMapMessage.ts"

/** A port that is ours for a while. */
export interface PortMapping {
  readonly protocol: "pcp" | "nat-pmp" | "upnp"
  readonly external: Endpoint
}

/** Who asks for what. */
export interface Options {
  /** Address of this host as the gateway sees it. */
  readonly client: string
  readonly internalPort: number
  /** Twelve bytes nobody can guess. */
  readonly nonce: Uint8Array
}

/** One port at one gateway. */
export class PortMapClient {
  readonly #options: Options
  #protocol: "pcp" | "nat-pmp" = "pcp"
  #phase: "asking" | "mapped" | "given up" | "ended" = "asking"
  #tries = 0
  #dueAtMs: number
  #mapping: PortMapping | undefined
  #expiresAtMs = Number.NEGATIVE_INFINITY
  #pmpHost: string | undefined
  #sendings: Array<Uint8Array> = []

  constructor(options: Options, nowMs: number) {
    this.#options = options
    this.#dueAtMs = nowMs
    this.timeout(nowMs)
  }

  /** What the router gave; `undefined` while it gave nothing. */
  get mapping(): PortMapping | undefined {
    return this.#mapping
  }

  /** The router gave nothing; it is asked again at `deadlineMs`. */
  get hasGivenUp(): boolean {
    return this.#phase === "given up"
  }

  /** When to call `timeout`; `undefined` after `end`. */
  get deadlineMs(): number | undefined {
    return this.#phase === "ended" ? undefined : this.#dueAtMs
  }

  /** What is to be sent now; each is given once. */
  take(): ReadonlyArray<Uint8Array> {
    const sendings = this.#sendings
    this.#sendings = []
    return sendings
  }

  /** Asks, asks again, or gives up for a while. A call before the deadline changes nothing. */
  timeout(nowMs: number): void {
    if (this.#phase === "ended" || nowMs < this.#dueAtMs) return
    if (this.#phase !== "asking") this.#begin(this.#phase === "given up" ? "pcp" : this.#protocol)
    if (this.#tries < TRIES) return this.#ask(nowMs)
    if (nowMs < this.#expiresAtMs) return this.#keep(nowMs)
    if (this.#protocol === "pcp" && this.#mapping === undefined) {
      this.#begin("nat-pmp")
      return this.#ask(nowMs)
    }
    this.#giveUp(nowMs)
  }

  /** A datagram came from port 5351 of the gateway. */
  received(bytes: Uint8Array, nowMs: number): void {
    const decoded = PortMapMessage.decode(bytes)
    if (decoded._tag === "Failure" || this.#phase !== "asking") return
    const reply = decoded.success
    const { internalPort, nonce } = this.#options
    switch (reply._tag) {
      case "PcpUnsupported":
        if (this.#protocol !== "pcp") return
        this.#begin("nat-pmp")
        return this.#ask(nowMs)
      case "PcpMapped":
        if (this.#protocol !== "pcp" || !Bytes.equals(reply.nonce, nonce) || reply.internalPort !== internalPort) return
        if (reply.result !== 0) return this.#giveUp(nowMs)
        return this.#given({ protocol: "pcp", external: reply.external }, reply.lifetimeSeconds, nowMs)
      case "PmpAddress":
        if (this.#protocol !== "nat-pmp") return
        if (reply.result !== 0) return this.#giveUp(nowMs)
        this.#pmpHost = reply.host
        return
      case "PmpMapped": {
        if (this.#protocol !== "nat-pmp" || reply.internalPort !== internalPort) return
        if (reply.result !== 0) return this.#giveUp(nowMs)
        // The address was asked for first; without it the next try asks for both again.
        if (this.#pmpHost === undefined) return
        const external = { host: this.#pmpHost, port: reply.externalPort }
        return this.#given({ protocol: "nat-pmp", external }, reply.lifetimeSeconds, nowMs)
      }
    }
  }

  /** The last thing: gives the port back. */
  end(): void {
    if (this.#mapping !== undefined) this.#sendings.push(this.#protocol === "pcp" ? this.#pcp(0) : this.#pmp(0))
    this.#mapping = undefined
    this.#phase = "ended"
  }

  #begin(protocol: "pcp" | "nat-pmp"): void {
    this.#protocol = protocol
    this.#phase = "asking"
    this.#tries = 0
  }

  #ask(nowMs: number): void {
    this.#dueAtMs = nowMs + INTERVAL_MS * 2 ** this.#tries
    this.#tries++
    if (this.#protocol === "pcp") this.#sendings.push(this.#pcp(LIFETIME_SECONDS))
    else this.#sendings.push(PortMapMessage.pmpAddress, this.#pmp(LIFETIME_SECONDS))
  }

  /** Renewed at half of its life (RFC 6886 §3.3, RFC 6887 §11.2.1). */
  #given(mapping: PortMapping, lifetimeSeconds: number, nowMs: number): void {
    if (mapping.external.port === 0 || lifetimeSeconds === 0) return this.#giveUp(nowMs)
    this.#mapping = mapping
    this.#expiresAtMs = nowMs + Math.min(LIFETIME_SECONDS, lifetimeSeconds) * 1000
    this.#phase = "mapped"
    this.#dueAtMs = nowMs + Math.min(LIFETIME_SECONDS, Math.max(LIFETIME_MIN_SECONDS, lifetimeSeconds)) * 500
  }

  /** Nobody answers, but what was given holds until its time is over; it is asked for again at half of what is left. */
  #keep(nowMs: number): void {
    this.#phase = "mapped"
    this.#dueAtMs = Math.min(
      this.#expiresAtMs,
      nowMs + Math.max(LIFETIME_MIN_SECONDS * 500, (this.#expiresAtMs - nowMs) / 2)
    )
  }

  #giveUp(nowMs: number): void {
    this.#mapping = undefined
    this.#expiresAtMs = Number.NEGATIVE_INFINITY
    this.#phase = "given up"
    this.#dueAtMs = nowMs + AGAIN_MS
  }

  #pcp(lifetimeSeconds: number): Uint8Array {
    const { client, internalPort, nonce } = this.#options
    const external = this.#mapping?.external ?? { host: "0.0.0.0", port: internalPort }
    return PortMapMessage.pcpMap({ client, nonce, internalPort, external, lifetimeSeconds })
  }

  #pmp(lifetimeSeconds: number): Uint8Array {
    const { internalPort } = this.#options
    const wanted = lifetimeSeconds === 0 ? 0 : (this.#mapping?.external.port ?? internalPort)
    return PortMapMessage.pmpMap(internalPort, wanted, lifetimeSeconds)
  }
}

/** Recommended (RFC 6886 §3.3). */
export const LIFETIME_SECONDS = 7_200
/** A router that gives less is asked this often at most. */
const LIFETIME_MIN_SECONDS = 120
/** Questions of one protocol before the next, a quarter of a second apart at first, then twice as far. */
const TRIES = 3
const INTERVAL_MS = 250
/** A router that gave nothing is asked again after this long. */
export const AGAIN_MS = 600_000
