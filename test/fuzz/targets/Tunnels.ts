/**
 * Whole tunnels: two of them talk, restart and renew their keys, while somebody injects changed, repeated and reflected
 * datagrams from addresses of his own and of theirs. What does not authenticate changes nothing, nothing is delivered
 * twice, no input has a flood for an answer, and the two can talk when it is over. How much an address gets is the
 * business of paths, which whole nodes have (`Nodes.test.ts`).
 */
import { Result } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import { Tunnel } from "../../../src/protocol/tunnel/Tunnel.ts"
import { defaultConfig } from "../../../src/protocol/tunnel/TunnelConfig.ts"
import type { Path } from "../../../src/protocol/tunnel/TunnelOutput.ts"
import * as TunnelFrame from "../../../src/protocol/wire/TunnelFrame.ts"
import { direct, type Options, pathOf, relay, Station } from "../../support/TunnelStation.ts"
import type * as Fuzzer from "../Fuzzer.ts"
import * as Mutation from "../Mutation.ts"
import * as Random from "../Random.ts"
import * as Session from "../Session.ts"

/** Two stations and what they have said. */
class Stage {
  readonly a: Station
  readonly b: Station
  readonly spoken: Array<Uint8Array> = []
  readonly sentTexts = new Set<string>()
  nowMs = 0
  readonly #known = new Set<string>()
  readonly #session: Session.Session

  constructor(session: Session.Session) {
    const { next } = session
    this.#session = session
    const config = { keyLifetimeFrames: Random.pick([40, 400, defaultConfig.keyLifetimeFrames], next) }
    const nonces = new Set<string>()
    const only = Random.pick<Partial<Options>>([{}, {}, { only: "legacy" }, { only: "later" }], next)
    this.a = new Station({ node: 1, peer: 2, config }, nonces)
    this.b = new Station({ node: 2, peer: 1, config, ...only }, nonces)
  }

  /** Carries what the stations have to say to each other until they are silent; what goes elsewhere is counted. */
  settle(): void {
    for (let turn = 0; turn < TURNS_MAX; turn++) {
      const [fromA, fromB] = [this.a.take(), this.b.take()]
      if (fromA.length + fromB.length === 0) return
      for (const sent of fromA) this.#carry(sent.bytes, sent.path, this.a, this.b)
      for (const sent of fromB) this.#carry(sent.bytes, sent.path, this.b, this.a)
    }
    throw new Error("the tunnels never fall silent")
  }

  /** Time passes; what is due then is done, and that moves the deadline on. */
  pass(lengthMs: number): void {
    this.nowMs += lengthMs
    for (const station of [this.a, this.b]) {
      for (let count = 0; station.tunnel.deadlineMs <= this.nowMs; count++) {
        this.#session.check("time stands still", count < TURNS_MAX)
        station.timeout(this.nowMs)
      }
    }
    this.settle()
  }

  /** Somebody's datagram; `path` is where it seems to come from. */
  inject(to: Station, bytes: Uint8Array, path: Path): void {
    const before = facts(to)
    to.takeEvents()
    to.receive(bytes, path, this.nowMs)
    const events = to.takeEvents()
    if (this.#isGenuine(bytes)) return
    this.#session.same("a tunnel's state, by bytes that nobody sent,", facts(to), before)
    for (const event of events)
      this.#session.check(`bytes that nobody sent led to ${event}`, !AUTHENTICATED.includes(event))
  }

  /** A text from each side; true once both were delivered. */
  talk(name: string): boolean {
    const ends = [
      [this.a, this.b],
      [this.b, this.a]
    ] as const
    for (const [from] of ends) this.say(from, `${name} of ${from.options.node}`)
    this.settle()
    return ends.every(([from, to]) => to.delivered.includes(`${name} of ${from.options.node}`))
  }

  say(from: Station, text: string): void {
    this.sentTexts.add(text)
    from.send(text, this.nowMs)
  }

  /** What holds at any time. */
  check(): void {
    for (const { delivered, outputsMax } of [this.a, this.b]) {
      this.#session.check("something was delivered twice", new Set(delivered).size === delivered.length)
      this.#session.check(
        "something was delivered that nobody said",
        delivered.every((text) => this.sentTexts.has(text))
      )
      this.#session.check("one input led to a flood", outputsMax <= defaultConfig.pendingPacketsMax + OUTPUTS_SLACK)
    }
  }

  #carry(bytes: Uint8Array, path: Path | undefined, from: Station, to: Station): void {
    this.spoken.push(bytes)
    this.#known.add(keyOf(bytes))
    if (this.spoken.length > SPOKEN_MAX) this.spoken.splice(1, 1)
    if (!STRANGE_HOSTS.includes(path?.endpoint?.host ?? "")) to.receive(bytes, pathOf(from), this.nowMs)
  }

  #isGenuine(bytes: Uint8Array): boolean {
    return this.#known.has(keyOf(bytes))
  }
}

/** A frame without what its reader ignores: bytes after the layout of a key frame (wire §4). */
const keyOf = (bytes: Uint8Array): string => {
  const frame = Result.getOrUndefined(TunnelFrame.decode(bytes))
  return Bytes.toHex(frame === undefined ? bytes : TunnelFrame.encode(frame))
}

/** What only authenticated frames may change. */
const facts = ({ delivered, tunnel }: Station) => ({
  isReady: tunnel.isReady,
  hasOpened: tunnel.hasOpened,
  scheme: tunnel.scheme,
  laterOnly: tunnel.laterOnly,
  lives: tunnel.lives,
  announcement: tunnel.announcement,
  opened: tunnel.counters.opened,
  delivered: delivered.length
})

const attacked = (session: Session.Session): void => {
  const { next } = session
  const stage = new Stage(session)
  stage.a.tunnel.connect(0)
  stage.a.flush(0)
  for (let turn = 0; turn < session.inputs; turn++) {
    // The first datagrams come before, between and after those of the handshake.
    if (turn > 3) stage.settle()
    const to = next(2) === 0 ? stage.a : stage.b
    const from = Random.pick([...STRANGE_PATHS, pathOf(stage.a), pathOf(stage.b), relay], next)
    const input = session.take((next) =>
      stage.spoken.length > 0 && next(4) === 0
        ? Random.pick(stage.spoken, next)
        : Mutation.make(stage.spoken.length === 0 ? [stage.a.keyExchange()] : stage.spoken.slice(-60), next, "binary")
    )
    if (input.length > 0) stage.inject(to, input, from)
    if (turn > 3) stage.settle()
    if (next(3) === 0) stage.say(Random.pick([stage.a, stage.b], next), `text ${turn}`)
    if (next(4) === 0) stage.pass(Random.pick([1, 100, 1000, 7000], next))
    if (session.oneIn(100)) Random.pick([stage.a, stage.b], next).restart()
    stage.check()
  }
  stage.settle()
  let isTalking = false
  for (let turn = 0; turn < TRIES && !isTalking; turn++) {
    isTalking = stage.talk(`after ${turn}`)
    stage.pass(1500)
  }
  session.check("they cannot talk any more", isTalking)
  stage.check()
}

/** Whole tunnels. */
export const targets: ReadonlyArray<Fuzzer.Target> = [
  Session.target({ name: "tunnel/attacked", covers: [Tunnel], inputs: 50, play: attacked })
]

const STRANGE_HOSTS = ["10.9.9.1", "10.9.9.2"]
const STRANGE_PATHS = STRANGE_HOSTS.map(direct)
const AUTHENTICATED = ["Established", "PeerRestarted", "Downgraded", "RenewAgreementKey"]
const TURNS_MAX = 60
const SPOKEN_MAX = 200
const OUTPUTS_SLACK = 16
const TRIES = 40
