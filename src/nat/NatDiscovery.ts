/**
 * Finds out what the translator does, in about twenty datagrams and a second or two (RFC 5780 §4, RFC 4787).
 *
 * ```
 * 1  tunnel ─► every beacon         where am I?           ┐ the same mapping for all?
 * 2  tunnel ─► other port, host     where am I?           ┘
 * 1  second ─► first beacon         where am I?           cookie for 2
 * 2  second ─► first beacon         answer from your other port, host     who is let in?
 * 2  second ◄► tunnel               by the outside endpoints              hairpin?
 * ```
 *
 * `tunnel` is the socket that peers reach, so what is found holds for it; `second` is a socket beside it, which has never
 * sent to the beacon's other endpoints, or the filter would be open for them. Beacons of the reference only know "where am
 * I"; where there are two, the mapping is classified all the same.
 *
 * Mutable, with one owner: after every call, send what `take` gives, and call `timeout` at `deadlineMs`.
 */

import * as AddressScope from "../core/data/AddressScope.ts"
import * as Bytes from "../core/data/Bytes.ts"
import * as Endpoint from "../core/data/Endpoint.ts"
import { NodeId } from "../protocol/wire/Address.ts"
import * as BeaconMessage from "../protocol/wire/BeaconMessage.ts"
import * as NatProbe from "../protocol/wire/NatProbe.ts"
import * as Classification from "./NatClassification.ts"
import type { NatReport } from "./NatReport.ts"
import type { Sending, Socket } from "./ProbeSending.ts"

/** Whom to ask, and what the host knows of itself. */
export interface Options {
  /** The one in use first; at most `BEACONS_MAX` are asked. */
  readonly beacons: ReadonlyArray<Endpoint.Endpoint>
  /** Of the tunnel's socket. */
  readonly local: Endpoint.Endpoint
  /** Addresses of this host's interfaces. */
  readonly localHosts: ReadonlyArray<string>
  /** Eight bytes nobody can guess. */
  readonly nonce: () => Uint8Array
}

type What = "where" | "otherPort" | "otherHost" | "fromOtherPort" | "fromOtherHost" | "hairpin" | "plain"

interface Question extends Sending {
  readonly what: What
  readonly nonce: Uint8Array
  readonly sentAtMs: number
  tries: number
  dueAtMs: number
  isOver: boolean
  answer: Classification.Observation | undefined
}

/** One round. */
export class NatDiscovery {
  readonly #options: Options
  readonly #beacons: ReadonlyArray<Endpoint.Endpoint>
  #questions: Array<Question> = []
  #sendings: Array<Sending> = []
  #stage: "where" | "more" | "done" = "where"
  /** What the first beacon told of itself, and the cookie of the second socket. */
  #first: Reply | undefined
  #second: Reply | undefined

  constructor(options: Options, nowMs: number) {
    this.#options = options
    this.#beacons = options.beacons.slice(0, BEACONS_MAX)
    for (const beacon of this.#beacons) this.#ask("where", "tunnel", beacon, nowMs)
    const first = this.#beacons[0]
    if (first !== undefined) this.#ask("where", "second", first, nowMs)
    this.#advance(nowMs)
  }

  /** When to call `timeout`; `undefined` when the round is over. */
  get deadlineMs(): number | undefined {
    if (this.#stage === "done") return undefined
    return Math.min(...this.#questions.filter(({ isOver }) => !isOver).map(({ dueAtMs }) => dueAtMs))
  }

  /** What is to be sent now; each is given once. */
  take(): ReadonlyArray<Sending> {
    const sendings = this.#sendings
    this.#sendings = []
    return sendings
  }

  /** Repeats what was not answered, or gives it up. A call before the deadline changes nothing. */
  timeout(nowMs: number): void {
    for (const question of this.#questions) {
      if (question.isOver || question.dueAtMs > nowMs) continue
      if (question.tries === TRIES) question.isOver = true
      else this.#send(question, nowMs)
    }
    this.#advance(nowMs)
  }

  /** A datagram that came by a socket; false if it is no answer that is waited for. */
  received(socket: Socket, bytes: Uint8Array, from: Endpoint.Endpoint, nowMs: number): boolean {
    const question = NatProbe.isType(bytes[0]) ? this.#probed(socket, bytes) : this.#discovered(socket, bytes, from)
    if (question === undefined) return false
    if (!question.isOver) {
      question.isOver = true
      if (question.answer !== undefined) question.answer = { ...question.answer, rttMs: nowMs - question.sentAtMs }
      this.#advance(nowMs)
    }
    return true
  }

  /** What was found so far; all of it once `deadlineMs` is `undefined`. */
  get report(): NatReport {
    const { local, localHosts } = this.#options
    return Classification.report({ local, localHosts, beacons: this.#beacons, observations: this.#observations() })
  }

  #observations(): ReadonlyArray<Classification.Observation> {
    return this.#questions.map(
      ({ answer, socket, to, what }) => answer ?? { what, socket, to, seen: undefined, rttMs: undefined, isOurs: false }
    )
  }

  #probed(socket: Socket, bytes: Uint8Array): Question | undefined {
    const decoded = NatProbe.decode(bytes)
    if (decoded._tag === "Failure") return undefined
    const message = decoded.success
    const question = this.#questions.find(({ nonce }) => Bytes.equals(nonce, message.nonce))
    if (question === undefined) return undefined
    const { to, what } = question
    const observation = { what, socket: question.socket, to, rttMs: undefined, isOurs: true }
    if (what === "hairpin") {
      // Our own question has come back to us, by the other socket.
      if (message._tag !== "ProbeRequest" || socket === question.socket) return undefined
      question.answer = { ...observation, seen: to }
      return question
    }
    if (message._tag !== "ProbeReply" || socket !== question.socket || message.from !== ORIGIN[what]) return undefined
    question.answer = { ...observation, seen: message.seen }
    if (what === "where" && Endpoint.equals(to, this.#beacons[0]!)) {
      if (socket === "tunnel") this.#first = message
      else this.#second = message
    }
    return question
  }

  /** A beacon that knows nothing else has said where it sees us. */
  #discovered(socket: Socket, bytes: Uint8Array, from: Endpoint.Endpoint): Question | undefined {
    const question = this.#questions.find(
      (candidate) => candidate.what === "plain" && candidate.socket === socket && Endpoint.equals(candidate.to, from)
    )
    if (question === undefined) return undefined
    const decoded = BeaconMessage.decode(bytes)
    if (decoded._tag === "Failure" || decoded.success._tag !== "DiscoverReply") return undefined
    const { endpoint } = decoded.success
    const { to, what } = question
    question.answer = { what, socket, to, seen: endpoint, rttMs: undefined, isOurs: false }
    return question
  }

  /** Goes on when everything of a stage is answered or given up. */
  #advance(nowMs: number): void {
    while (this.#stage !== "done" && this.#questions.every(({ isOver }) => isOver)) {
      if (this.#stage === "where") {
        this.#stage = "more"
        this.#askMore(nowMs)
      } else this.#stage = "done"
    }
  }

  #askMore(nowMs: number): void {
    const silent = this.#questions.filter(({ answer, socket }) => answer === undefined && socket === "tunnel")
    for (const { to } of silent) this.#ask("plain", "tunnel", to, nowMs)
    const [first, second, beacon] = [this.#first, this.#second, this.#beacons[0]]
    if (first === undefined || beacon === undefined) return
    const otherPort = { host: beacon.host, port: first.otherPort }
    if (first.otherPort !== 0) this.#ask("otherPort", "tunnel", otherPort, nowMs)
    const otherHost = isOther(beacon, first.otherHost) ? first.otherHost : undefined
    if (otherHost !== undefined) this.#ask("otherHost", "tunnel", otherHost, nowMs)
    if (second === undefined) return
    const proof = { endpoint: second.seen, cookie: second.cookie }
    if (first.otherPort !== 0) this.#ask("fromOtherPort", "second", beacon, nowMs, proof)
    if (otherHost !== undefined) this.#ask("fromOtherHost", "second", beacon, nowMs, proof)
    this.#ask("hairpin", "tunnel", second.seen, nowMs)
    this.#ask("hairpin", "second", first.seen, nowMs)
  }

  #ask(what: What, socket: Socket, to: Endpoint.Endpoint, nowMs: number, proof?: NatProbe.Proof): void {
    const nonce = this.#options.nonce()
    const bytes =
      what === "plain"
        ? BeaconMessage.encodeDiscover(NodeId(0))
        : NatProbe.encode({ _tag: "ProbeRequest", nonce, from: ORIGIN[what], proof })
    const state = { tries: 0, dueAtMs: nowMs, isOver: false, answer: undefined }
    const question: Question = { what, socket, to, nonce, bytes, sentAtMs: nowMs, ...state }
    this.#questions.push(question)
    this.#send(question, nowMs)
  }

  #send(question: Question, nowMs: number): void {
    question.tries++
    question.dueAtMs = nowMs + (question.tries === TRIES ? PATIENCE_MS : INTERVAL_MS)
    this.#sendings.push({ socket: question.socket, to: question.to, bytes: question.bytes })
  }
}

type Reply = Extract<NatProbe.NatProbe, { _tag: "ProbeReply" }>

/** A beacon may lie: what it names is asked only if it is another host, of its family, and no group of hosts. */
const isOther = (beacon: Endpoint.Endpoint, other: Endpoint.Endpoint | undefined): boolean =>
  other !== undefined &&
  other.port !== 0 &&
  other.host !== beacon.host &&
  other.host.includes(":") === beacon.host.includes(":") &&
  AddressScope.isUsable(other.host)

const ORIGIN: Readonly<Record<What, NatProbe.Origin>> = {
  where: "Same",
  otherPort: "Same",
  otherHost: "Same",
  hairpin: "Same",
  plain: "Same",
  fromOtherPort: "OtherPort",
  fromOtherHost: "OtherHost"
}
/** Beacons asked in one round. */
export const BEACONS_MAX = 4
/** As often is a question sent. */
const TRIES = 3
const INTERVAL_MS = 250
/** After the last try: a round trip to the other end of the world. */
const PATIENCE_MS = 500
