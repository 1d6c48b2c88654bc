/** Two tunnels over a bad link with an attacker on it, as random traces. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import type { Path } from "../../../src/protocol/tunnel/TunnelOutput.ts"
import { element, integer, oneOf } from "../../support/Arbitraries.ts"
import { direct, pathOf, relay, Station, settle } from "../../support/TunnelStation.ts"

/** One event; `pick` chooses among the frames there are. */
interface Step {
  readonly kind:
    | "send"
    | "carry"
    | "deliver"
    | "duplicate"
    | "lose"
    | "replay"
    | "reflect"
    | "alter"
    | "huge"
    | "wait"
    | "sleep"
    | "restart"
    | "renew"
  readonly atB: boolean
  readonly pick: number
}

const step: Arbitrary.Arbitrary<Step> = Arbitrary.all({
  // Mostly ordinary traffic, so that sessions come about and live for a while between the attacks.
  kind: oneOf<Step["kind"]>(
    element("send", "carry"),
    element("send", "carry", "deliver"),
    element("deliver", "deliver", "duplicate", "lose", "wait"),
    element("replay", "reflect", "alter", "huge"),
    oneOf<Step["kind"]>(element("send", "carry", "wait", "replay"), element("sleep", "restart", "renew", "replay"))
  ),
  atB: Arbitrary.map(integer(0, 1), (bit) => bit === 1),
  pick: integer(0, 0xffff)
})

/** What went through so far, and what may still arrive. */
interface Link {
  readonly stations: readonly [Station, Station]
  /** Towards A, towards B. */
  readonly flying: readonly [Array<Uint8Array>, Array<Uint8Array>]
  readonly recorded: Array<Uint8Array>
  readonly sent: readonly [Set<string>, Set<string>]
  nowMs: number
  sequence: number
}

const makeLink = (lifetimeFrames: number): Link => {
  const nonces = new Set<string>()
  const config = { keyLifetimeFrames: lifetimeFrames }
  return {
    stations: [new Station({ node: 1, peer: 2, config }, nonces), new Station({ node: 2, peer: 1, config }, nonces)],
    flying: [[], []],
    recorded: [],
    sent: [new Set(), new Set()],
    nowMs: 0,
    sequence: 0
  }
}

const perform = (link: Link, { kind, atB, pick }: Step): void => {
  const at = atB ? 1 : 0
  const station = link.stations[at]
  const peer = link.stations[1 - at]!
  const flying = link.flying[at]
  const index = flying.length === 0 ? 0 : pick % flying.length
  const frame = flying[index]
  switch (kind) {
    case "send": {
      const text = `${link.sequence++}`
      if (station.send(text, link.nowMs)) link.sent[at].add(text)
      break
    }
    case "carry":
      for (const bytes of flying.splice(0)) station.receive(bytes, pathOf(peer), link.nowMs)
      break
    case "deliver":
    case "duplicate":
      if (frame !== undefined) station.receive(frame, pathOf(peer), link.nowMs)
      if (kind === "deliver") flying.splice(index, 1)
      break
    case "lose":
      flying.splice(index, 1)
      break
    case "wait":
      link.nowMs += pick % 2000
      break
    case "sleep":
      link.nowMs += (pick % 200) * 1000
      break
    case "restart":
      station.restart()
      break
    case "renew":
      station.renew(link.nowMs)
      break
    default:
      attack(link, station, kind, pick)
  }
  if (station.tunnel.deadlineMs <= link.nowMs) {
    station.timeout(link.nowMs)
    assert.isAbove(station.tunnel.deadlineMs, link.nowMs, "a wake-up leaves nothing due")
  }
  collect(link)
}

/** The attacker throws any frame ever seen at a station, as it was or changed, from anywhere. */
const attack = (link: Link, victim: Station, kind: "replay" | "reflect" | "alter" | "huge", pick: number): void => {
  const recorded = link.recorded[pick % link.recorded.length]
  if (recorded === undefined) return
  const frame = Uint8Array.from(recorded)
  const path: Path = pick % 3 === 0 ? relay : direct(`192.0.2.${pick % 7}`)
  if (kind === "reflect") Bytes.writeU32(frame, 4, victim.options.peer)
  if (kind === "huge" && frame.length > 20) Bytes.writeU32(frame, 13, 0xffffff)
  if (kind === "alter") frame[4 + (pick % (frame.length - 4))]! ^= 1 << (pick % 8)
  const before = { opened: victim.tunnel.counters.opened, ...stateOf(victim) }
  victim.receive(frame, path, link.nowMs)
  const after = { opened: victim.tunnel.counters.opened, ...stateOf(victim) }
  if (after.opened === before.opened) assert.deepStrictEqual(after, before, `${kind} of what does not open`)
}

/** All that must not change without an opened frame. */
const stateOf = ({ events, tunnel }: Station) => ({
  established: events.filter((event) => event === "Established").length,
  hasOpened: tunnel.hasOpened,
  scheme: tunnel.scheme,
  laterOnly: tunnel.laterOnly,
  announcement: tunnel.announcement
})

/** Puts what the stations sent onto the link; it holds a bounded number, and so does the attacker's memory. */
const collect = (link: Link): void => {
  for (const [at, station] of link.stations.entries()) {
    const towards = link.flying[1 - at]!
    for (const { bytes } of station.take()) {
      towards.push(bytes)
      link.recorded.push(bytes)
    }
    towards.splice(0, towards.length - 200)
  }
  link.recorded.splice(0, link.recorded.length - 500)
}

const assertDeliveredOnce = ({ stations, sent }: Link): void => {
  for (const [at, station] of stations.entries()) {
    assert.strictEqual(new Set(station.delivered).size, station.delivered.length, "delivered twice")
    for (const text of station.delivered) assert.isTrue(sent[1 - at]!.has(text), "delivered what was not sent")
    assert.isAtMost(station.outputsMax, 80, "outputs of one call")
  }
}

/** The attacker gone and the link whole, both sides hear each other soon. */
const assertRecovers = (link: Link): void => {
  const [a, b] = link.stations
  for (let second = 0; second < 60; second++) {
    link.nowMs += 1000
    for (const station of [a, b]) if (station.tunnel.deadlineMs <= link.nowMs) station.timeout(link.nowMs)
    a.send(`a${second}`, link.nowMs)
    b.send(`b${second}`, link.nowMs)
    settle(a, b, link.nowMs)
    if (a.delivered.includes(`b${second}`) && b.delivered.includes(`a${second}`)) return
  }
  assert.fail("the session never came back")
}

describe("Tunnel on a bad link", () => {
  it.prop(
    "delivers at most once what the peer sent, changes nothing without an opened frame, and recovers",
    { steps: Arbitrary.array(step, { minLength: 300, maxLength: 400 }) },
    ({ steps }) => {
      const link = makeLink(2 ** 32)
      for (const next of steps) perform(link, next)
      assertDeliveredOnce(link)
      assertRecovers(link)
    },
    { arbitrary: { runs: 30 } }
  )

  it.prop(
    "holds with keys that are used up after 50 frames",
    { steps: Arbitrary.array(step, { minLength: 300, maxLength: 400 }) },
    ({ steps }) => {
      const link = makeLink(50)
      for (const next of steps) perform(link, next)
      assertDeliveredOnce(link)
      assertRecovers(link)
    },
    { arbitrary: { runs: 20 } }
  )
})
