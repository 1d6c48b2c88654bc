import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Path from "../../src/nat/Path.ts"
import { CANDIDATES_MAX, defaults, PathSelector } from "../../src/nat/PathSelector.ts"

const direct = Path.direct({ host: "192.0.2.1", port: 4000 })
const moved = Path.direct({ host: "198.51.100.7", port: 5000 })

/** A selector that knows both kinds of path. */
const knowing = (...paths: ReadonlyArray<Path.Path>): PathSelector => {
  const selector = new PathSelector()
  for (const path of paths) selector.learn(path)
  return selector
}

/** Sends so many frames on what the selector selects. */
const send = (selector: PathSelector, frames: number, nowMs: number): void => {
  for (let sent = 0; sent < frames; sent++) {
    const path = selector.select(nowMs)
    if (path !== undefined) selector.spend(path, 100, nowMs)
  }
}

describe("PathSelector", () => {
  it("keeps the places that it was told of, tried or not, whatever forged sources come", () => {
    const told = Array.from({ length: 5 }, (_, index) => Path.direct({ host: `198.51.100.${index + 1}`, port: 4000 }))
    const selector = knowing(Path.relay, ...told)
    for (let forged = 0; forged < 10 * CANDIDATES_MAX; forged++)
      selector.received(Path.direct({ host: "203.0.113.9", port: 1024 + forged }), 1200, forged)
    const asked = selector.toAsk(100)
    for (const path of told) assert.deepInclude([...asked], path)
    assert.isAtMost(asked.length, CANDIDATES_MAX)
  })

  it("selects nothing when it knows nothing", () => {
    assert.isUndefined(new PathSelector().select(0))
  })

  it("selects the relay until a direct path has been heard from (decision 9)", () => {
    const selector = knowing(direct, Path.relay)

    assert.deepStrictEqual(selector.select(0), Path.relay)
  })

  it("moves to a direct path as soon as a frame opened on it, and keeps it while the relay delivers too", () => {
    const selector = knowing(direct, Path.relay)
    selector.opened(Path.relay, 0)
    selector.opened(direct, 1)
    selector.opened(Path.relay, 2)

    assert.deepStrictEqual(selector.select(3), direct)
  })

  it("falls back to the relay when the direct path falls silent while frames are sent on it", () => {
    const selector = knowing(direct, Path.relay)
    selector.opened(Path.relay, 0)
    selector.opened(direct, 1)
    send(selector, 3, 2)

    assert.deepStrictEqual(selector.select(2 + defaults.silenceMs), direct)
    assert.deepStrictEqual(selector.select(3 + defaults.silenceMs), Path.relay)
  })

  it("does not leave a silent path for one that only claims to be the peer's (security rule 7)", () => {
    const selector = knowing()
    selector.opened(direct, 0)
    send(selector, 3, 1)
    for (let forged = 0; forged < 10; forged++) selector.received(moved, 1200, 2)

    assert.deepStrictEqual(selector.select(10 + defaults.silenceMs), direct)
    selector.opened(moved, 11 + defaults.silenceMs)
    assert.deepStrictEqual(selector.select(12 + defaults.silenceMs), moved)
  })

  it("stays on a silent path while nothing is sent on it", () => {
    const selector = knowing(direct, Path.relay)
    selector.opened(Path.relay, 0)
    selector.opened(direct, 1)

    assert.deepStrictEqual(selector.select(1_000_000), direct)
  })

  it("follows a peer whose frames open from another endpoint", () => {
    const selector = knowing(direct)
    selector.opened(direct, 0)
    selector.opened(moved, 1)

    assert.deepStrictEqual(selector.select(2), moved)
  })

  it("goes back to no dead path when the living one has only been silent because nobody asked anything", () => {
    const selector = knowing(direct, Path.relay)
    const sendUnanswered = (path: Path.Path, nowMs: number) => {
      for (let sent = 0; sent < 3; sent++) selector.spend(path, 100, nowMs)
    }
    selector.opened(direct, 0)
    sendUnanswered(direct, 1)
    selector.opened(Path.relay, 2_000)
    assert.deepStrictEqual(selector.select(2_000), Path.relay)

    sendUnanswered(Path.relay, 2_001)

    assert.deepStrictEqual(selector.select(4_000), Path.relay)
  })

  it("tries direct paths in quick succession and then patiently while the relay carries data, and anew when told to", () => {
    const selector = knowing(direct, Path.relay)
    selector.opened(Path.relay, 0)
    const triedAtMs: Array<number> = []
    for (let nowMs = 0; nowMs < 60_000; nowMs = Math.max(nowMs, selector.probeAtMs))
      if (selector.probes(82, nowMs).length === 1) triedAtMs.push(nowMs)
    const [first = 0, second = 0] = defaults.probePausesMs

    assert.deepStrictEqual(triedAtMs.slice(0, 3), [0, first, first + second])
    const pauses = triedAtMs.slice(1).map((atMs, index) => atMs - triedAtMs[index]!)
    assert.deepStrictEqual(pauses.slice(0, defaults.probePausesMs.length), [...defaults.probePausesMs])
    assert.deepStrictEqual([...new Set(pauses.slice(defaults.probePausesMs.length))], [defaults.probePausesMs.at(-1)])

    selector.tryAgain()
    assert.deepStrictEqual(selector.probes(82, 60_000), [direct])
    selector.opened(direct, 60_000)
    assert.deepStrictEqual(selector.probes(82, 90_000), [])
    assert.strictEqual(selector.probeAtMs, Number.POSITIVE_INFINITY)
  })

  it("two ends that use two direct paths agree on the one of the end that leads", () => {
    const ends = [true, false].map((leads) => {
      const selector = new PathSelector(leads)
      for (const path of [direct, moved]) selector.learn(path)
      selector.opened(leads ? direct : moved, 0)
      return selector
    })
    const [leader, follower] = [ends[0]!, ends[1]!]
    const used: Array<string> = []
    for (let nowMs = 10; nowMs < 2_000; nowMs += 10) {
      const [down, up] = [leader.select(nowMs)!, follower.select(nowMs)!]
      leader.opened(up, nowMs)
      follower.opened(down, nowMs)
      used.push(`${Path.format(down)} ${Path.format(up)}`)
    }

    assert.deepStrictEqual([...new Set(used.slice(2))], [`${Path.format(moved)} ${Path.format(moved)}`])
  })

  it("whoever leads follows a peer that roams at once, and back once it is heard no more where it was", () => {
    const selector = new PathSelector(true)
    selector.learn(direct)
    selector.opened(direct, 0)
    selector.opened(moved, 100)
    assert.deepStrictEqual(selector.select(100), moved)
    selector.opened(direct, 200)
    assert.deepStrictEqual(selector.select(200), moved)
    selector.opened(direct, 700)
    assert.deepStrictEqual(selector.select(700), direct)
  })

  it("asks where the peer is said to be, and sends nothing else to a path that has sent nothing (security rule 7)", () => {
    const selector = knowing(direct)

    assert.deepStrictEqual([selector.spend(direct, 1, 0), selector.mayAnswer(direct, 1)], [false, false])
    assert.deepStrictEqual(selector.toAsk(136), [direct])
  })

  it("asks and probes where something only came from as far as that went", () => {
    const selector = knowing(Path.relay)
    selector.opened(Path.relay, 0)
    selector.received(moved, 36, 0)

    assert.deepStrictEqual(selector.toAsk(136), [Path.relay, moved])
    assert.deepStrictEqual(selector.toAsk(136), [Path.relay])
    assert.deepStrictEqual(selector.probes(82, 0), [])
    selector.received(moved, 36, 0)
    assert.deepStrictEqual(selector.probes(82, selector.probeAtMs), [moved])
  })

  const Sizes = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1500 })))
  it.prop(
    "never sends more than three times what an unproven path sent, headers included (RFC 9000 §8.1)",
    { received: Sizes, wanted: Sizes, isIpv6: Schema.Boolean },
    ({ isIpv6, received, wanted }) => {
      const selector = new PathSelector()
      const path = isIpv6 ? Path.direct({ host: "2001:db8::1", port: 4000 }) : direct
      for (const size of received) selector.received(path, size, 0)
      const sent = wanted.filter((size, index) =>
        index % 3 === 0
          ? selector.spend(path, size, 0)
          : index % 3 === 1
            ? selector.mayAnswer(path, size)
            : selector.toAsk(size).length > 0
      )

      const total = (sizes: ReadonlyArray<number>) => sizes.reduce((sum, size) => sum + size + (isIpv6 ? 48 : 28), 0)
      assert.isAtMost(total(sent), 3 * total(received))
    }
  )

  it("a path that has proven itself has no limit", () => {
    const selector = knowing(direct)
    selector.opened(direct, 0)

    assert.isTrue(selector.spend(direct, 65_000, 1))
  })

  const Hosts = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })))
  it.prop(
    "forged sources displace neither the relay, nor the path in use, and stay bounded",
    { hosts: Hosts },
    ({ hosts }) => {
      const selector = knowing(Path.relay, direct)
      selector.opened(direct, 0)
      for (const host of hosts) selector.received(Path.direct({ host: `203.0.113.${host}`, port: 9 }), 100, 0)

      assert.isAtMost(selector.toAsk(0).length, CANDIDATES_MAX)
      assert.deepStrictEqual(selector.select(1), direct)
      assert.isTrue(selector.toAsk(0).some((path) => path.relayed))
    }
  )

  describe("leaves a direct path before it has been silent for long", () => {
    const using = (): PathSelector => {
      const selector = knowing(direct, Path.relay)
      selector.opened(Path.relay, 0)
      selector.opened(direct, 1)
      return selector
    }

    it("when the peer says that it is at other hosts, and comes back once data comes by it again", () => {
      const selector = using()
      selector.departed(new Set(["198.51.100.7"]))
      const meanwhile = selector.select(2)
      selector.opened(direct, 3)

      assert.deepStrictEqual([meanwhile, selector.select(4)], [Path.relay, direct])
    })

    it("but not when the peer says that it is at the same host, by whatever port", () => {
      const selector = using()
      selector.departed(new Set(["192.0.2.1"]))

      assert.deepStrictEqual(selector.select(2), direct)
    })

    it("when this node has moved, the beacon knows where, and nothing has come back by it since", () => {
      const [dead, alive] = [using(), using()]
      for (const selector of [dead, alive]) selector.moved(10)
      alive.opened(direct, 30)
      const before = dead.select(40)
      for (const selector of [dead, alive]) selector.announced()

      assert.deepStrictEqual([before, dead.select(50), alive.select(50)], [direct, Path.relay, direct])
    })

    it("when the peer's data comes by the relay instead, since it may be dead in the peer's direction only", () => {
      const selector = using()
      selector.opened(Path.relay, 100)
      const late = selector.select(100)
      selector.opened(Path.relay, 200)

      assert.deepStrictEqual([late, selector.select(200)], [direct, Path.relay])
    })

    it("and does not go back for the peer's probes, which come although nothing gets there, but for an answer to its own", () => {
      const selector = using()
      send(selector, 3, 2)
      const fallen = selector.select(3 + defaults.silenceMs)
      selector.opened(direct, 800, "Probe")
      const probed = selector.select(801)
      selector.probed(direct, 7, 810)
      selector.opened(direct, 850, "Probe")
      selector.answered(direct, 7, 850)

      assert.deepStrictEqual([fallen, probed, selector.select(851)], [Path.relay, Path.relay, direct])
    })
  })

  describe("doubts a path, so that it asks on all of them,", () => {
    it("when frames are unanswered for 300 ms, or two of its round trips, and at most once a second", () => {
      const selector = knowing(direct, Path.relay)
      selector.opened(direct, 1)
      send(selector, 3, 2)
      const atMs = selector.doubtAtMs
      selector.asked(302)

      assert.deepStrictEqual([atMs, selector.doubtAtMs], [302, 1_302])
      selector.opened(direct, 310)
      assert.strictEqual(selector.doubtAtMs, Number.POSITIVE_INFINITY)
    })

    it("when data that flowed for a second comes no more, once; a message is no flow", () => {
      const selector = knowing(direct, Path.relay)
      for (let atMs = 0; atMs < 1_000; atMs += 20) selector.opened(direct, atMs)
      const short = selector.doubtAtMs
      selector.opened(direct, 1_000)
      const doubtAtMs = selector.doubtAtMs
      selector.asked(doubtAtMs)

      assert.deepStrictEqual([short, doubtAtMs, selector.doubtAtMs], [Infinity, 1_300, Infinity])
    })
  })
})
