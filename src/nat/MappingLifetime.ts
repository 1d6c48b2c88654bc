/**
 * Measures how long an unused mapping lives (RFC 5780 §4.6), by a second socket and in the background: it is opened, left
 * alone for a while, and then the beacon is asked, through the tunnel's socket, to send something there. Arrived: alive.
 * Silences double from one minute up to eight, then the gap between alive and gone is halved until it is small: some
 * fifteen datagrams in all.
 *
 * Mutable, with one owner: after every call, send what `take` gives, and call `timeout` at `deadlineMs`.
 */
import * as Bytes from "../core/data/Bytes.ts"
import type { Endpoint } from "../core/data/Endpoint.ts"
import * as NatProbe from "../protocol/wire/NatProbe.ts"
import type { Lifetime } from "./NatReport.ts"
import type { Sending } from "./ProbeSending.ts"

/** `opening`: the beacon is asked where the second socket is. `silent`: nothing is sent. `asking`: is it still there? */
type Phase = "opening" | "silent" | "asking" | "done"

/** One measurement. */
export class MappingLifetime {
  readonly #beacon: Endpoint
  readonly #makeNonce: () => Uint8Array
  #phase: Phase = "opening"
  #nonce: Uint8Array
  #proof: NatProbe.Proof | undefined
  #tries = 0
  #trials = 0
  #dueAtMs: number
  #silenceMs = FIRST_MS
  #aliveMs = 0
  #goneMs: number | undefined
  /** Silence after which nothing arrived, until it is clear that the network was not just away. */
  #doubtedMs: number | undefined
  #sendings: Array<Sending> = []

  /** `nonce` gives eight bytes nobody can guess. */
  constructor(beacon: Endpoint, nonce: () => Uint8Array, nowMs: number) {
    this.#beacon = beacon
    this.#makeNonce = nonce
    this.#nonce = nonce()
    this.#dueAtMs = nowMs
    this.timeout(nowMs)
  }

  /** When to call `timeout`; `undefined` when it is over. */
  get deadlineMs(): number | undefined {
    return this.#phase === "done" ? undefined : this.#dueAtMs
  }

  /** What was found; `undefined` while nothing was, or if the beacon does not help. */
  get lifetime(): Lifetime | undefined {
    if (this.#aliveMs === 0 && this.#goneMs === undefined) return undefined
    return { aliveMs: this.#aliveMs, goneMs: this.#goneMs }
  }

  /** What is to be sent now; each is given once. */
  take(): ReadonlyArray<Sending> {
    const sendings = this.#sendings
    this.#sendings = []
    return sendings
  }

  /** A call before the deadline changes nothing. */
  timeout(nowMs: number): void {
    if (this.#phase === "done" || nowMs < this.#dueAtMs) return
    if (this.#phase === "silent") this.#enter("asking")
    if (this.#tries < TRIES) return this.#send(nowMs)
    if (this.#phase === "opening") {
      // Without an answer here, the silence before proves nothing.
      this.#phase = "done"
      return
    }
    this.#doubtedMs = this.#silenceMs
    this.#enter("opening")
    this.#send(nowMs)
  }

  /** A datagram that came by the second socket; false if it is no answer that is waited for. */
  received(bytes: Uint8Array, nowMs: number): boolean {
    const decoded = NatProbe.decode(bytes)
    if (decoded._tag === "Failure" || decoded.success._tag !== "ProbeReply") return false
    const reply = decoded.success
    if (!Bytes.equals(reply.nonce, this.#nonce)) return false
    if (this.#phase === "asking") {
      this.#aliveMs = Math.max(this.#aliveMs, this.#silenceMs)
      this.#next()
      if (this.#isEnough()) this.#phase = "done"
      else {
        this.#enter("opening")
        this.#send(nowMs)
      }
    } else if (this.#phase === "opening") {
      if (this.#doubtedMs !== undefined) {
        this.#goneMs = Math.min(this.#goneMs ?? Number.POSITIVE_INFINITY, this.#doubtedMs)
        this.#doubtedMs = undefined
        this.#next()
      }
      this.#proof = { endpoint: reply.seen, cookie: reply.cookie }
      this.#phase = this.#isEnough() ? "done" : "silent"
      this.#dueAtMs = nowMs + this.#silenceMs
    }
    return true
  }

  #enter(phase: "opening" | "asking"): void {
    this.#phase = phase
    this.#tries = 0
    this.#nonce = this.#makeNonce()
  }

  #send(nowMs: number): void {
    this.#tries++
    this.#dueAtMs = nowMs + INTERVAL_MS
    const isAsking = this.#phase === "asking"
    const proof = isAsking ? this.#proof : undefined
    const bytes = NatProbe.encode({ _tag: "ProbeRequest", nonce: this.#nonce, from: "Same", proof })
    this.#sendings.push({ socket: isAsking ? "tunnel" : "second", to: this.#beacon, bytes })
  }

  #next(): void {
    this.#trials++
    this.#silenceMs =
      this.#goneMs === undefined
        ? Math.min(LONGEST_MS, 2 * this.#aliveMs)
        : Math.round((this.#aliveMs + this.#goneMs) / 2)
  }

  #isEnough(): boolean {
    if (this.#trials === 0) return false
    if (this.#goneMs === undefined) return this.#aliveMs >= LONGEST_MS || this.#trials >= TRIALS_MAX
    const gapMs = this.#goneMs - this.#aliveMs
    return gapMs <= Math.max(GAP_MS, this.#aliveMs / 4) || this.#trials >= TRIALS_MAX
  }
}

/** Half of the two minutes that RFC 4787 REQ-5 asks for. */
const FIRST_MS = 60_000
/** Below the life of a beacon's cookie. */
export const LONGEST_MS = 480_000
/** Fine enough for a keepalive. */
const GAP_MS = 10_000
/** Silences tried in one measurement. */
export const TRIALS_MAX = 8
const TRIES = 3
const INTERVAL_MS = 1_000
