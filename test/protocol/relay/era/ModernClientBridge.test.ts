import { assert, describe, it } from "@effect/vitest"
import * as Json from "../../../../src/core/data/Json.ts"
import { ModernClientBridge } from "../../../../src/protocol/relay/era/ModernClientBridge.ts"
import * as Transcript from "./Transcript.ts"

const FORM = { elicitation: { form: {} } }
const OPENED = {
  protocolVersion: "2025-06-18",
  capabilities: { tools: { listChanged: true }, resources: { subscribe: true }, logging: {}, tasks: {} },
  serverInfo: { name: "old", version: "3" },
  instructions: "Read me."
}

const make = (isShared = false) => {
  const bridge = new ModernClientBridge({ peer: "p", service: "s", isShared, seal: Transcript.seal() })
  const transcript = Transcript.make(bridge)
  const call = (id: unknown, args: object = {}, more: object = {}, capabilities: unknown = FORM, meta: object = {}) =>
    transcript.client({
      jsonrpc: "2.0",
      id,
      method: "tools/call",
      params: { name: "a", arguments: args, ...more, _meta: Transcript.meta(capabilities, meta) }
    })
  const open = () => {
    const [initialize] = transcript.client({
      jsonrpc: "2.0",
      id: "d",
      method: "server/discover",
      params: { _meta: Transcript.meta(FORM) }
    })
    return transcript.server({ jsonrpc: "2.0", id: Transcript.messageOf(initialize)["id"], result: OPENED })
  }
  const elicit = (id: unknown, message = "?") =>
    transcript.server({ jsonrpc: "2.0", id, method: "elicitation/create", params: { message } })
  return { bridge, call, elicit, open, transcript }
}

const resultOf = (line: string | undefined): Json.JsonObject => {
  const result = Transcript.messageOf(line)["result"]
  return Json.isObject(result) ? result : {}
}
const accepted = (line: string | undefined) => ({
  requestState: resultOf(line)["requestState"],
  inputResponses: Object.fromEntries(
    Object.keys(resultOf(line)["inputRequests"] ?? {}).map((name) => [name, { action: "accept" }])
  )
})

describe("ModernClientBridge", () => {
  it("opens the server with the first request's capabilities, and answers discovery from its answer", () => {
    const { transcript } = make()
    const [initialize, ...none] = transcript.client({
      jsonrpc: "2.0",
      id: "d",
      method: "server/discover",
      params: { _meta: Transcript.meta({ ...FORM, roots: { listChanged: true }, extensions: { x: {} } }) }
    })
    const opened = transcript.server({ jsonrpc: "2.0", id: Transcript.messageOf(initialize)["id"], result: OPENED })

    assert.deepStrictEqual(none, [])
    assert.deepInclude(Transcript.messageOf(initialize)["params"], {
      protocolVersion: "2025-11-25",
      capabilities: { ...FORM, roots: {} },
      clientInfo: { name: "c", version: "1" }
    })
    assert.strictEqual(opened[0], '→ {"jsonrpc":"2.0","method":"notifications/initialized","params":{}}')
    assert.deepStrictEqual(resultOf(opened[1]), {
      resultType: "complete",
      supportedVersions: ["2026-07-28"],
      capabilities: { tools: { listChanged: true }, resources: { subscribe: true }, logging: {} },
      instructions: "Read me.",
      ttlMs: 0,
      cacheScope: "private",
      _meta: { "io.modelcontextprotocol/serverInfo": { name: "old", version: "3" } }
    })
  })

  it("strips what only modern servers know, numbers the call, and completes the result", () => {
    const { call, open, transcript } = make()
    open()
    const [sent] = call("x", {}, {}, FORM, { progressToken: "p", traceparent: "00" })

    assert.strictEqual(
      sent,
      '→ {"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"a","arguments":{},"_meta":{"progressToken":2,"traceparent":"00"}}}'
    )
    assert.deepStrictEqual(
      transcript.server(
        '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":2,"progress":1.50}}'
      ),
      ['← {"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":1.50}}']
    )
    assert.deepStrictEqual(transcript.server('{"jsonrpc":"2.0","id":2,"result":{"content":[], "n":1.0}}'), [
      '← {"jsonrpc":"2.0","id":"x","result":{"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"old","version":"3"}},' +
        '"resultType":"complete","content":[], "n":1.0}}'
    ])
  })

  it("a server's question ends the request; the retry brings the answer to it, and waits on", () => {
    const { call, elicit, open, transcript } = make()
    open()
    call(1)
    const [asked] = elicit("q")
    const resumed = call(2, {}, accepted(asked))

    assert.deepStrictEqual(resultOf(asked)["inputRequests"], {
      "input-1": { method: "elicitation/create", params: { mode: "form", message: "?" } }
    })
    assert.deepStrictEqual(resumed, ['→ {"jsonrpc":"2.0","id":"q","result":{"action":"accept"}}'])
    assert.match(transcript.server('{"jsonrpc":"2.0","id":2,"result":{}}')[0] ?? "", /^← \{"jsonrpc":"2.0","id":2,/)
  })

  it("an answer that came while the client was asked waits for it", () => {
    const { call, elicit, open, transcript } = make()
    open()
    call(1)
    const [asked] = elicit("q")
    assert.deepStrictEqual(transcript.server('{"jsonrpc":"2.0","id":2,"result":{"content":["early"]}}'), [])

    assert.include(call(9, {}, accepted(asked))[1], '"id":9,')
  })

  it("a state is good once, for the same method and arguments, for ten minutes, and only if it was given here", () => {
    const { bridge, call, elicit, open, transcript } = make()
    open()
    call(1, { path: "a" })
    const [asked] = elicit("q")
    const answers = accepted(asked)
    const forged = {
      ...answers,
      requestState: String(answers.requestState).replace(/.$/, (last) => (last === "0" ? "1" : "0"))
    }
    const other = make()
    other.open()
    other.call(1, { path: "a" })

    for (const refused of [
      call(2, { path: "b" }, answers),
      call(3, { path: "a" }, forged),
      call(4, { path: "a" }, { ...answers, requestState: 7 }),
      call(5, { path: "a" }, { ...answers, inputResponses: { "input-1": "x" } })
    ]) {
      assert.match(refused.join(), /^← .*"code":-32602/)
    }
    assert.deepStrictEqual(call(6, { path: "a" }, answers), [
      '→ {"jsonrpc":"2.0","id":"q","result":{"action":"accept"}}'
    ])
    assert.match(call(7, { path: "a" }, answers).join(), /used/)
    const [again] = elicit("q2")
    transcript.nowMs = 600_001
    assert.isAtMost(bridge.deadlineMs() ?? Number.POSITIVE_INFINITY, transcript.nowMs)
    assert.deepStrictEqual(transcript.timeout(), [
      '→ {"jsonrpc":"2.0","id":"q2","result":{"action":"cancel"}}',
      '→ {"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}'
    ])
    assert.match(call(8, { path: "a" }, accepted(again)).join(), /expired/)
    assert.match(
      other.call(2, { path: "a" }, { ...answers, requestState: "a1.1.00" }).join(),
      /not given for this request/
    )
  })

  it("a question for which no call waits, or that nobody offers an answer to, is refused", () => {
    const { call, elicit, open } = make()
    open()

    assert.match(elicit("q").join(), /^→ .*"code":-32601/)
    call(1, {}, {}, {})
    assert.match(elicit("q").join(), /^→ .*"code":-32601/)
  })

  it("in a shared session a question must be for one client alone", () => {
    const { call, elicit, open } = make(true)
    open()
    call(1)
    call(2)

    assert.match(elicit("q").join(), /^→ .*"code":-32603.*Several clients/)
  })

  it("a visit that an error asks for is a question, and then the call is sent again", () => {
    const { call, open, transcript } = make()
    open()
    call(1, {}, {}, { elicitation: { url: {} } })
    const elicitations = [{ mode: "url", elicitationId: "e", url: "https://example.org", message: "m" }]
    const [asked] = transcript.server({
      jsonrpc: "2.0",
      id: 2,
      error: { code: -32042, message: "u", data: { elicitations } }
    })
    const again = call(2, {}, accepted(asked), { elicitation: { url: {} } })

    assert.include(asked, "https://example.org")
    assert.deepStrictEqual(again, [
      '→ {"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"a","arguments":{},"_meta":{}}}'
    ])
  })

  it("changes go to the listens that want them, and a resource is subscribed to once", () => {
    const { open, transcript } = make()
    open()
    const listen = (id: unknown, notifications: object) =>
      transcript.client({
        jsonrpc: "2.0",
        id,
        method: "subscriptions/listen",
        params: { notifications, _meta: Transcript.meta() }
      })
    const first = listen("a", { toolsListChanged: true, promptsListChanged: true, resourceSubscriptions: ["x:y"] })
    const second = listen(0, { resourceSubscriptions: ["x:y"] })
    const tools = transcript.server('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}')
    const updated = transcript.server(
      '{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"x:y"}}'
    )
    const cancel = (id: unknown) =>
      transcript.client({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: id } })

    assert.deepStrictEqual(first, [
      '← {"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":' +
        '{"toolsListChanged":true,"resourceSubscriptions":["x:y"]},"_meta":{"io.modelcontextprotocol/subscriptionId":"a"}}}',
      '→ {"jsonrpc":"2.0","id":"dev.effect-pilot/era-2","method":"resources/subscribe","params":{"uri":"x:y"}}'
    ])
    assert.lengthOf(second, 1)
    assert.deepStrictEqual(tools, [
      '← {"params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"a"}},"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'
    ])
    assert.lengthOf(updated, 2)
    assert.include(updated[1], '"io.modelcontextprotocol/subscriptionId":0')
    assert.deepStrictEqual(cancel("a"), [])
    assert.match(cancel(0).join(), /resources\/unsubscribe/)
  })

  it("the lowest log level wins, and without one there are no logs", () => {
    const { call, open, transcript } = make()
    open()
    const level = (value: string) => ({ "io.modelcontextprotocol/logLevel": value })
    const log = '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"warning","data":1}}'
    call(1)
    assert.deepStrictEqual(transcript.server(log), [])

    assert.include(call(2, {}, {}, FORM, level("error"))[0], '"logging/setLevel","params":{"level":"error"}')
    assert.deepStrictEqual(transcript.server(log), [])
    assert.include(call(3, {}, {}, FORM, level("info"))[0], '"level":"info"')
    assert.lengthOf(call(4, {}, {}, FORM, level("error")), 1)
    assert.deepStrictEqual(transcript.server(log), [`← ${log}`])
  })

  it("a request without revision or of another, and what the revision has no more, are refused", () => {
    const { open, transcript } = make()
    open()
    const ask = (method: string, _meta: object) =>
      transcript.client({ jsonrpc: "2.0", id: 1, method, params: { _meta } }).join()

    assert.match(ask("tools/list", {}), /-32602/)
    assert.match(
      ask("tools/list", { ...Transcript.meta(), "io.modelcontextprotocol/protocolVersion": "2099-01-01" }),
      /-32022.*"supported":\["2026-07-28"\]/
    )
    assert.match(ask("resources/subscribe", Transcript.meta()), /-32601/)
    assert.match(ask("tasks/get", Transcript.meta()), /-32601/)
  })

  it("a server whose revision nobody knows is named to everyone who waits", () => {
    const { call, transcript } = make()
    const [initialize] = call(1)
    assert.deepStrictEqual(call(2), [])
    const id = Transcript.messageOf(initialize)["id"]
    const refused = transcript.server({ jsonrpc: "2.0", id, result: { ...OPENED, protocolVersion: "2031-01-01" } })

    assert.lengthOf(refused, 2)
    assert.match(refused[1] ?? "", /"id":2.*-32022.*"supported":\["2031-01-01"\]/)
  })
})
