import { assert, describe, it } from "@effect/vitest"
import * as Path from "../../src/nat/Path.ts"
import * as PathReport from "../../src/nat/PathReport.ts"
import { PathSelector } from "../../src/nat/PathSelector.ts"

const HOME = { host: "198.51.100.7", port: 4000 }
const unknown = { report: undefined, lifetime: undefined }

const verdicts = (selector: PathSelector, nowMs: number) =>
  selector.report(nowMs).map(({ isChosen, path, verdict }) => [Path.format(path), verdict, isChosen])

describe("PathReport", () => {
  it("tells what became of every candidate", () => {
    const selector = new PathSelector()
    selector.learn(Path.relay)
    selector.learn(Path.direct(HOME))
    assert.deepStrictEqual(verdicts(selector, 0), [
      ["relay", "unanswered", false],
      ["198.51.100.7:4000", "unanswered", false]
    ])

    selector.opened(Path.relay, 10)
    selector.received(Path.direct(HOME), 100, 20)
    assert.deepStrictEqual(verdicts(selector, 20), [
      ["relay", "proven", true],
      ["198.51.100.7:4000", "heard", false]
    ])

    selector.opened(Path.direct(HOME), 30)
    assert.deepStrictEqual(verdicts(selector, 30), [
      ["relay", "proven", false],
      ["198.51.100.7:4000", "proven", true]
    ])

    for (let frames = 0; frames < 3; frames++) selector.spend(Path.direct(HOME), 100, 40)
    const late = selector.report(1000).find(({ path }) => !path.relayed)
    assert.deepInclude(late, { verdict: "silent", unanswered: 3, openedMsAgo: 970 })
  })

  it("names the way in use", () => {
    const kind = (path: "direct" | "relay" | "none", host: string, isTranslated: boolean, isBridged = false) =>
      PathReport.kindOf({ path, endpoint: { host } }, { isTranslated: () => isTranslated, isBridged })

    assert.strictEqual(kind("direct", "198.51.100.7", false), "direct")
    assert.strictEqual(kind("direct", "198.51.100.7", true), "hole-punch")
    assert.strictEqual(kind("direct", "192.168.1.4", true), "direct")
    assert.strictEqual(kind("relay", "203.0.113.1", true), "relay")
    assert.strictEqual(kind("relay", "203.0.113.1", true, true), "websocket")
    assert.strictEqual(kind("none", "203.0.113.1", true, true), "none")
  })

  it("says why it is the relay, and what to do; of a direct path there is nothing to do", () => {
    const selector = new PathSelector()
    selector.learn(Path.relay)
    selector.opened(Path.relay, 0)
    const alone = selector.report(0)
    assert.include(PathReport.reason("relay", alone), "not known where the peer is")
    assert.include(PathReport.advice("relay", alone, unknown)[0], "trust each other")

    selector.learn(Path.direct(HOME))
    const tried = selector.report(0)
    assert.include(PathReport.reason("relay", tried), "no answer by the direct path")
    assert.include(PathReport.advice("relay", tried, unknown)[0], "pilotctl netcheck on the peer")

    assert.deepStrictEqual(PathReport.advice("hole-punch", tried, unknown), [])
    assert.include(PathReport.advice("websocket", tried, unknown)[0], "UDP is blocked")
  })

  it("says that ports are guessed, or were in vain", () => {
    const selector = new PathSelector()
    selector.learn(Path.relay)
    selector.opened(Path.relay, 0)
    selector.learn(Path.direct(HOME))
    const tried = selector.report(0)
    const birthday = { role: "opener", detail: "", sockets: 256, probes: 256, startedAtMs: 0, tookMs: 9 } as const
    const running = { ...birthday, outcome: "running" } as const

    assert.include(PathReport.reason("relay", tried, running), "ports are being guessed")
    assert.include(PathReport.advice("relay", tried, unknown, running)[0], "ask again")
    assert.include(
      PathReport.reason("relay", tried, { ...birthday, outcome: "missed" }),
      "nor by ports that were guessed"
    )
  })
})
