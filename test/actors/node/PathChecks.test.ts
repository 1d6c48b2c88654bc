import { assert, describe, it } from "@effect/vitest"
import type { NodeContext } from "../../../src/actors/node/NodeContext.ts"
import { PathChecks } from "../../../src/actors/node/PathChecks.ts"
import { PeerPaths } from "../../../src/actors/node/PeerPaths.ts"
import * as Path from "../../../src/nat/Path.ts"
import { CANDIDATES_MAX } from "../../../src/nat/PathSelector.ts"
import * as Address from "../../../src/protocol/wire/Address.ts"
import { Capability } from "../../../src/protocol/wire/Announcement.ts"
import * as Packet from "../../../src/protocol/wire/Packet.ts"
import { PLACES_MAX } from "../../../src/protocol/wire/PathOffer.ts"

const PEER = Address.NodeId(2)

/** The checks of a peer whose data comes by the relay, and where they send probes to. */
const make = (isTrusted: boolean) => {
  const asked: Array<string> = []
  const context: Partial<NodeContext> = {
    address: Address.make(0, 1),
    beacon: { host: "203.0.113.9", port: 9001 },
    isPublic: () => false,
    isTrusted: () => isTrusted,
    keepaliveMs: () => 30_000,
    places: () => []
  }
  // Of what a node's actors share, the checks of a path use no more than this.
  const paths = new PeerPaths(context as NodeContext, PEER)
  paths.write = (_, path) => void asked.push(Path.format(path))
  paths.selector.opened(Path.relay, 0)
  const checks = new PathChecks({
    ...{ context: context as NodeContext, node: PEER, paths, nowMs: 0 },
    send: () => {},
    seal: (packet) => [Packet.encode(packet)],
    hasStreams: () => false,
    tell: () => true,
    measured: () => {},
    introductions: () => []
  })
  checks.announced(Capability.PathProbe)
  return { asked, checks }
}

/** Offers without end, each of six hosts that nobody has named before. */
const flood = (checks: PathChecks, seconds: number): void => {
  for (let count = 0; count < 100 * seconds; count++) {
    const places = Array.from({ length: PLACES_MAX }, (_, index) => {
      const number = count * PLACES_MAX + index
      return { kind: "host", endpoint: { host: `198.18.${number >> 8}.${number & 255}`, port: 4000 } } as const
    })
    checks.received({ round: (count % 255) + 1, heard: 0, places }, count * 10)
    checks.run(false, count * 10)
  }
}

describe("PathChecks", () => {
  it("asks few of the places of a peer that names ever new ones (security rule 7)", () => {
    const { asked, checks } = make(true)
    flood(checks, 10)

    const hosts = new Set(asked.filter((path) => path !== "relay"))
    assert.isAtLeast(hosts.size, PLACES_MAX)
    // Five lists at once, and one each two seconds after them.
    assert.isAtMost(hosts.size, PLACES_MAX * (5 + 5))
    // Each list starts its places anew: five probes in the first second and a half, of no more places than are kept.
    assert.isAtMost(asked.length, (5 + 5) * 6 * CANDIDATES_MAX)
  })

  it("asks none of the places of a stranger", () => {
    const { asked, checks } = make(false)
    flood(checks, 1)

    assert.deepStrictEqual(asked, [])
  })
})
