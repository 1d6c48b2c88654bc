import { assert, describe, it } from "@effect/vitest"
import * as Era from "../../../../src/protocol/mcp/Era.ts"
import { EraDetector } from "../../../../src/protocol/relay/era/EraDetector.ts"
import * as EraTranslator from "../../../../src/protocol/relay/era/EraTranslator.ts"
import { type Era as ServerEra, Verdict } from "../../../../src/protocol/relay/era/Verdict.ts"
import * as Transcript from "./Transcript.ts"

const make = (isModernOnly = false, verdict = new Verdict()) => {
  const detector = new EraDetector({
    peer: "p",
    service: "s",
    isShared: false,
    isModernOnly,
    verdict,
    instant: String,
    seal: Transcript.seal()
  })
  return { detector, verdict, transcript: Transcript.make(detector) }
}
const INITIALIZE = {
  jsonrpc: "2.0",
  id: 0,
  method: "initialize",
  params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "c", version: "1" } }
}
const modern = (id: unknown, method: string) => ({ jsonrpc: "2.0", id, method, params: { _meta: Transcript.meta() } })
const error = (id: unknown, code: number, data?: object) => ({
  jsonrpc: "2.0",
  id,
  error: { code, message: "m", data }
})
const discovered = (id: unknown, supportedVersions = ["2026-07-28"]) => ({
  jsonrpc: "2.0",
  id,
  result: { resultType: "complete", supportedVersions, capabilities: {} }
})
const SUPPORTED = { supported: ["2026-07-28"], requested: "2025-11-25" }
const idOf = (outputs: ReadonlyArray<string>) => Transcript.messageOf(outputs.at(-1))["id"]
const line = (arrow: string, message: unknown) => [`${arrow} ${JSON.stringify(message)}`]

describe("EraDetector", () => {
  it("knows the revisions that the client of our own knows", () => {
    assert.strictEqual(EraTranslator.MODERN, Era.MODERN)
    assert.strictEqual(EraTranslator.LEGACY[0], Era.LEGACY)
    assert.isTrue(EraTranslator.LEGACY.every(Era.isLegacy))
  })

  it("is out as soon as initialize is answered", () => {
    const { detector, transcript } = make()

    assert.deepStrictEqual(transcript.client(INITIALIZE), line("→", INITIALIZE))
    const answer = { jsonrpc: "2.0", id: 0, result: { protocolVersion: "2025-11-25" } }
    assert.deepStrictEqual(transcript.server(answer), line("←", answer))
    assert.isTrue(detector.isThrough)
  })

  it("is out as soon as discovery is answered, or a list with the mark of the modern revision", () => {
    for (const [method, result] of [
      ["server/discover", discovered(1)],
      ["tools/list", { jsonrpc: "2.0", id: 1, result: { resultType: "complete", tools: [] } }]
    ] as const) {
      const { detector, transcript, verdict } = make()

      assert.deepStrictEqual(transcript.client(modern(1, method)), line("→", modern(1, method)))
      assert.deepStrictEqual(transcript.server(result), line("←", result))
      assert.isTrue(detector.isThrough)
      assert.strictEqual(verdict.at(0), "modern")
    }
  })

  it("translates for a legacy client whose server refuses initialize and offers the modern revision", () => {
    const { detector, transcript, verdict } = make()
    transcript.client(INITIALIZE)
    const asked = transcript.server(error(0, -32022, SUPPORTED))
    const opened = transcript.server(discovered(idOf(asked)))

    assert.include(asked[0], '"method":"server/discover"')
    assert.match(opened[0] ?? "", /^← .*"id":0,.*"protocolVersion":"2025-11-25"/)
    assert.isTrue(detector.isTranslating)
    assert.strictEqual(verdict.at(0), "modern")
  })

  it("a server that is silent to initialize is asked for its revisions, too", () => {
    const { detector, transcript } = make()
    transcript.client(INITIALIZE)
    transcript.nowMs = detector.deadlineMs() ?? Number.NaN
    const asked = transcript.timeout()
    transcript.server(discovered(idOf(asked)))

    assert.isTrue(detector.isTranslating)
  })

  it("a server of revisions that nobody bridges is named by initialize; a broken one answers for itself", () => {
    const { transcript } = make()
    transcript.client(INITIALIZE)
    const asked = transcript.server(error(0, -32022, { supported: ["2031-01-01"] }))
    const refused = transcript.server(error(idOf(asked), -32022, { supported: ["2031-01-01"] }))
    assert.match(
      refused[0] ?? "",
      /^← .*"id":0,.*-32602,"message":"The server speaks 2031-01-01;.*"supported":\["2031-01-01"\]/
    )

    const broken = make().transcript
    broken.client(INITIALIZE)
    const again = broken.server(error(0, -32603))
    assert.deepStrictEqual(broken.server(error(idOf(again), -32603)), line("←", error(0, -32603)))
  })

  it("a relay that cannot reach the server says nothing about it (mcp §1.3)", () => {
    const { detector, transcript, verdict } = make(true)

    transcript.client(INITIALIZE)
    assert.deepStrictEqual(transcript.server(error(0, -31001)), line("←", error(0, -31001)))
    transcript.client(modern(1, "server/discover"))
    assert.deepStrictEqual(transcript.server(error(1, -31001)), line("←", error(1, -31001)))
    assert.isFalse(detector.isThrough || detector.isTranslating)
    assert.isUndefined(verdict.at(0))
  })

  it("a refused discovery reaches a client that may speak both eras, and then initialize passes", () => {
    const { detector, transcript } = make()
    transcript.client(modern("d", "server/discover"))

    assert.deepStrictEqual(transcript.server(error("d", -32601)), line("←", error("d", -32601)))
    assert.deepStrictEqual(transcript.client(INITIALIZE), line("→", INITIALIZE))
    assert.isTrue(detector.isThrough)
  })

  it("translates for a modern-only client whose discovery is refused, or not answered", () => {
    for (const answered of [true, false]) {
      const { detector, transcript } = make(true)
      transcript.client(modern("d", "server/discover"))
      transcript.nowMs = 5000
      const initialize = answered ? transcript.server(error("d", -32601)) : transcript.timeout()

      assert.include(initialize[0], '"method":"initialize"')
      assert.isTrue(detector.isTranslating)
    }
  })

  it("a tool is not called before the server is known; then it is called once", () => {
    const { detector, transcript } = make()
    const asked = transcript.client(modern(1, "tools/call"))
    assert.deepStrictEqual(transcript.client(modern(2, "tools/list")), [])
    assert.lengthOf(asked, 1)
    const released = transcript.server(discovered(idOf(asked)))

    assert.deepStrictEqual(released, [...line("→", modern(1, "tools/call")), ...line("→", modern(2, "tools/list"))])
    assert.isTrue(detector.isThrough)

    const legacy = make()
    const probe = legacy.transcript.client(modern(1, "tools/call"))
    const initialize = legacy.transcript.server(error(idOf(probe), -32601))
    assert.deepStrictEqual(Transcript.messageOf(initialize[0])["method"], "initialize")
  })

  it("a legacy server that answers a modern list is found out by the missing mark", () => {
    const { detector, transcript } = make()
    transcript.client(modern(1, "tools/list"))
    const probe = transcript.server({ jsonrpc: "2.0", id: 1, result: { tools: [] } })
    transcript.server(error(idOf(probe), -32601))

    assert.isTrue(detector.isTranslating)
  })

  it("a server that is silent to a first list is asked what it is, and a late answer is nobody's", () => {
    const { detector, transcript } = make(true)
    transcript.client(modern(2, "tools/list"))
    transcript.nowMs = detector.deadlineMs() ?? Number.NaN
    const asked = transcript.timeout()
    assert.include(asked.join(), "server/discover")

    const opening = transcript.server(error(idOf(asked), -32601))
    assert.include(opening.join(), '"method":"initialize"')
    const result = { protocolVersion: "2025-11-25", capabilities: {}, serverInfo: { name: "s", version: "1" } }
    const sent = transcript.server({ jsonrpc: "2.0", id: idOf(opening), result })
    assert.include(sent.at(-1), "tools/list")
    assert.notStrictEqual(idOf(sent), 2)
    assert.deepStrictEqual(transcript.server({ jsonrpc: "2.0", id: 2, result: { tools: [{}] } }), [])
    const [answer] = transcript.server({ jsonrpc: "2.0", id: idOf(sent), result: { tools: [] } })
    assert.match(answer ?? "", /^← .*"id":2,/)
  })

  it("a slow modern server that is asked what it is answers its first list after all, once", () => {
    const { detector, transcript } = make(true)
    transcript.client(modern("a", "tools/list"))
    transcript.nowMs = 10_000
    const asked = transcript.timeout()
    assert.deepStrictEqual(transcript.client(modern("b", "tools/list")), [])

    assert.deepStrictEqual(transcript.server(discovered(idOf(asked))), line("→", modern("b", "tools/list")))
    assert.isTrue(detector.isThrough)
  })

  it("sessions that share a verdict do not ask again, for five minutes", () => {
    const told = (era: ServerEra) => {
      const verdict = new Verdict()
      verdict.learn(era, 0)
      return verdict
    }
    const legacy = make(false, told("legacy"))
    const [initialize] = legacy.transcript.client(modern(1, "tools/call"))
    assert.include(initialize, '"method":"initialize"')

    const verdict = told("modern")
    const known = make(false, verdict)
    assert.deepStrictEqual(known.transcript.client(modern(1, "tools/call")), line("→", modern(1, "tools/call")))
    assert.isTrue(known.detector.isThrough)

    const later = make(false, verdict)
    later.transcript.nowMs = 300_000
    assert.include(later.transcript.client(modern(1, "tools/call")).join(), '"method":"server/discover"')
    assert.strictEqual(verdict.last, "modern")
  })
})
