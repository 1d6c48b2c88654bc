import { assert, describe, it } from "@effect/vitest"
import * as Bytes from "../../../../src/core/data/Bytes.ts"
import { LegacyClientBridge } from "../../../../src/protocol/relay/era/LegacyClientBridge.ts"
import * as Transcript from "./Transcript.ts"

const INITIALIZE = {
  jsonrpc: "2.0",
  id: "i",
  method: "initialize",
  params: { protocolVersion: "2025-06-18", capabilities: { elicitation: {} }, clientInfo: { name: "c", version: "1" } }
}
const CAPABILITIES = {
  tools: { listChanged: true },
  resources: { subscribe: true },
  logging: {},
  extensions: { x: {} }
}
const DISCOVERED = {
  jsonrpc: "2.0",
  id: 1,
  result: { resultType: "complete", supportedVersions: ["2026-07-28"], capabilities: CAPABILITIES, ttlMs: 0 }
}
const META =
  '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",' +
  '"io.modelcontextprotocol/clientCapabilities":{"elicitation":{"form":{}}},' +
  '"io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"}'

let sessions = 0
const make = (answer: object = DISCOVERED) => {
  const [initialize, discovered] = [INITIALIZE, answer].map((message) => Bytes.fromUtf8(JSON.stringify(message)))
  const bridge = new LegacyClientBridge({
    initialize: initialize!,
    discovered: discovered!,
    name: "files",
    instant: String,
    random: () => String(++sessions)
  })
  return { bridge, ...Transcript.make(bridge), transcript: Transcript.make(bridge) }
}
const listen = (outputs: ReadonlyArray<string>) => {
  const asked = Transcript.messageOf(outputs.find((line) => line.includes("subscriptions/listen")))
  return asked["id"]
}
const acknowledged = (id: unknown) => ({
  jsonrpc: "2.0",
  method: "notifications/subscriptions/acknowledged",
  params: { notifications: {}, _meta: { "io.modelcontextprotocol/subscriptionId": id } }
})

describe("LegacyClientBridge", () => {
  it("answers initialize from the discovery, with the revision that the client offered", () => {
    const [opened] = Transcript.shown(make().bridge.opened())

    assert.deepStrictEqual(Transcript.messageOf(opened)["result"], {
      protocolVersion: "2025-06-18",
      capabilities: { tools: { listChanged: true }, resources: { subscribe: true }, logging: {} },
      serverInfo: { name: "files", version: "0" }
    })
  })

  it("adds what a modern request needs, and leaves every other byte (mcp §3.2)", () => {
    const { client, server } = make()

    assert.deepStrictEqual(
      client(
        '{"jsonrpc":"2.0", "id":1e0,"method":"tools/call","params":{"name":"a","arguments":{"n": 1.0, "big":12345678901234567890}}}'
      ),
      [
        `→ {"jsonrpc":"2.0", "id":1e0,"method":"tools/call","params":{${META}},"name":"a","arguments":{"n": 1.0, "big":12345678901234567890}}}`
      ]
    )
    assert.deepStrictEqual(server('{"jsonrpc":"2.0","id":1,"result":{"content":[], "x":1.0}}'), [
      '← {"jsonrpc":"2.0","id":1,"result":{"content":[], "x":1.0}}'
    ])
    assert.deepStrictEqual(client('{"jsonrpc":"2.0","id":0,"method":"tools/list"}'), [
      `→ {"params":{${META}}},"jsonrpc":"2.0","id":0,"method":"tools/list"}`
    ])
  })

  it("a question becomes a request to the client, its answer a retry with the state as it came", () => {
    const { client, server } = make()
    client('{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"a","_meta":{"progressToken":"p"}}}')
    const question = { method: "elicitation/create", params: { message: "?" } }
    const asked = server({
      jsonrpc: "2.0",
      id: 7,
      result: { resultType: "input_required", inputRequests: { "a b": question }, requestState: "é\u2028" }
    })
    const retried = client('{"jsonrpc":"2.0","id":1,"result":{"action":"accept","content":{"n": 1.0}}}')
    const retry = Transcript.messageOf(retried[0])
    const answered = server({ jsonrpc: "2.0", id: retry["id"], result: { content: [] } })

    assert.deepStrictEqual(asked, ['← {"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{"message":"?"}}'])
    assert.include(retried[0], '"inputResponses":{"a b":{"action":"accept","content":{"n": 1.0}}}')
    assert.include(retried[0], `"requestState":${JSON.stringify("é\u2028")}`)
    assert.include(retried[0], '"progressToken":"p"')
    assert.deepStrictEqual(answered, ['← {"jsonrpc":"2.0","id":7,"result":{"content":[]}}'])
  })

  it("a call that the client cancels while it is asked takes the question back", () => {
    const { client, server } = make()
    client('{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"a"}}')
    const inputRequests = { a: { method: "elicitation/create", params: {} } }
    server({ jsonrpc: "2.0", id: 7, result: { resultType: "input_required", inputRequests } })

    assert.deepStrictEqual(client('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}'), [
      '← {"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}'
    ])
    assert.deepStrictEqual(client('{"jsonrpc":"2.0","id":1,"result":{}}'), [])
  })

  it("what the client does not offer is not asked of it", () => {
    const { client, server } = make()
    client('{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"a"}}')
    const inputRequests = { a: { method: "elicitation/create", params: {} }, b: { method: "sampling/createMessage" } }
    const [refused, ...more] = server({
      jsonrpc: "2.0",
      id: 7,
      result: { resultType: "input_required", inputRequests }
    })

    assert.include(refused, '"code":-32603')
    assert.deepStrictEqual(more, [])
    assert.deepStrictEqual(client('{"jsonrpc":"2.0","id":1,"result":{}}'), [])
  })

  it("a round without questions is paced, and ten rounds are enough", () => {
    const { bridge, client, server, transcript } = make()
    client('{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"a"}}')
    let outputs = server({ jsonrpc: "2.0", id: 7, result: { resultType: "input_required", requestState: "s" } })
    let rounds = 0
    while (outputs.length === 0) {
      rounds++
      transcript.nowMs = bridge.deadlineMs() ?? Number.NaN
      const [retry] = transcript.timeout()
      outputs = transcript.server({
        jsonrpc: "2.0",
        id: Transcript.messageOf(retry)["id"],
        result: { resultType: "input_required", requestState: "s" }
      })
    }

    assert.strictEqual(rounds, 10)
    assert.match(outputs[0] ?? "", /^← .*"id":7.*again and again/)
  })

  it("one listen for all changes; it is replaced when a subscription changes it, and opened again when it ends", () => {
    const { client, transcript } = make()
    const first = listen(client('{"jsonrpc":"2.0","method":"notifications/initialized"}'))
    transcript.server(acknowledged(first))
    const subscribed = transcript.client(
      '{"jsonrpc":"2.0","id":"s","method":"resources/subscribe","params":{"uri":"a:b"}}'
    )
    const second = listen(subscribed)
    const confirmed = transcript.server(acknowledged(second))

    assert.include(subscribed[0], '"resourceSubscriptions":["a:b"]')
    assert.deepStrictEqual(confirmed, [
      `→ {"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${JSON.stringify(first)}}}`,
      '← {"jsonrpc":"2.0","id":"s","result":{}}'
    ])
    assert.deepStrictEqual(
      transcript.server({
        jsonrpc: "2.0",
        method: "notifications/tools/list_changed",
        params: { _meta: { "io.modelcontextprotocol/subscriptionId": second } }
      }),
      ['← {"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{}}}']
    )
    assert.deepStrictEqual(transcript.server({ jsonrpc: "2.0", id: second, result: { resultType: "complete" } }), [])
    transcript.nowMs = 1000
    const third = listen(transcript.timeout())
    assert.lengthOf(transcript.server(acknowledged(third)), 2)
  })

  it("every subscription is answered by a server that announces them and does not know listen", () => {
    const { client, server } = make()
    const subscribe = (id: string, uri: string) =>
      client({ jsonrpc: "2.0", id, method: "resources/subscribe", params: { uri } })
    const id = listen(subscribe("a", "a:a"))
    assert.deepStrictEqual(subscribe("b", "a:b"), [])

    const refused = server({ jsonrpc: "2.0", id, error: { code: -32601, message: "no" } })
    assert.deepStrictEqual(
      refused.map((line) => Transcript.messageOf(line)["id"]),
      ["a", "b"]
    )
    assert.isString(listen(subscribe("c", "a:a")))
  })

  it("ping, log level and roots are the bridge's own; a task is left out of a request", () => {
    const { client } = make()

    assert.deepStrictEqual(client('{"jsonrpc":"2.0","id":1,"method":"ping"}'), [
      '← {"jsonrpc":"2.0","id":1,"result":{}}'
    ])
    assert.deepStrictEqual(client('{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}'), [])
    client('{"jsonrpc":"2.0","id":2,"method":"logging/setLevel","params":{"level":"error"}}')
    const [call] = client('{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"a","task":{"ttl":1}}}')
    assert.include(call, '"io.modelcontextprotocol/logLevel":"error"')
    assert.notInclude(call, '"task"')
  })

  it("what no legacy client can read is cut out of results, and codes become those it knows", () => {
    const { client, server } = make()
    const ask = (id: number, method: string) => client({ jsonrpc: "2.0", id, method, params: { uri: "a:b" } })
    ask(1, "tools/list")
    ask(2, "tools/call")
    ask(3, "resources/read")
    ask(4, "tools/call")

    assert.deepStrictEqual(
      server(
        '{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a","outputSchema":{"type":"array"}},{"outputSchema":{"type":"object"}}]}}'
      ),
      ['← {"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"},{"outputSchema":{"type":"object"}}]}}']
    )
    assert.deepStrictEqual(server('{"jsonrpc":"2.0","id":2,"result":{"structuredContent":[1],"content":[]}}'), [
      '← {"jsonrpc":"2.0","id":2,"result":{"content":[]}}'
    ])
    assert.deepStrictEqual(server('{"jsonrpc":"2.0","id":3,"error":{"code":-32602,"message":"m"}}'), [
      '← {"jsonrpc":"2.0","id":3,"error":{"code":-32002,"message":"m"}}'
    ])
    assert.deepStrictEqual(server('{"jsonrpc":"2.0","id":4,"error":{"code":-32021,"message":"m"}}'), [
      '← {"jsonrpc":"2.0","id":4,"error":{"code":-32603,"message":"m"}}'
    ])
  })
})

describe("LegacyClientBridge before a server with the tasks extension (mcp §6.6)", () => {
  const EXTENSION = { extensions: { "io.modelcontextprotocol/tasks": {} } }
  const TASKS = { ...DISCOVERED, result: { ...DISCOVERED.result, capabilities: { tools: {}, ...EXTENSION } } }
  const facts = (status: string, more: object = {}) => ({
    taskId: "t",
    status,
    createdAt: "c",
    lastUpdatedAt: "u",
    ttlMs: 60_000,
    pollIntervalMs: 500,
    ...more
  })
  const legacyFacts = { taskId: "t", createdAt: "c", lastUpdatedAt: "u", ttl: 60_000, pollInterval: 500 }
  const RELATED = { "io.modelcontextprotocol/related-task": { taskId: "t" } }
  const started = () => {
    const made = make(TASKS)
    const ask = (id: unknown, method: string, params: object) => made.client({ jsonrpc: "2.0", id, method, params })
    const answer = (lines: ReadonlyArray<string>, result: object) =>
      made.server({ jsonrpc: "2.0", id: Transcript.messageOf(lines.at(-1))["id"], result })
    const call = ask(1, "tools/call", { name: "slow", task: { ttl: 60_000 } })
    return { ...made, answer, ask, call }
  }
  const resultOf = (lines: ReadonlyArray<string>) => Transcript.messageOf(lines.at(-1))["result"]

  it("offers tasks, and declares the extension only for calls that want one", () => {
    const { ask, bridge, call, server } = started()
    assert.deepInclude(Transcript.messageOf(Transcript.shown(bridge.opened())[0])["result"], {
      capabilities: { tools: {}, tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } } }
    })
    assert.match(call.join(), /clientCapabilities":.*"io.modelcontextprotocol\/tasks":\{\}/)
    assert.notInclude(call.join(), '"task"')
    assert.notInclude(ask(2, "tools/call", { name: "slow" }).join(), "tasks")
    ask(3, "tools/list", {})
    const list =
      '{"jsonrpc":"2.0","id":3,"result":{"tools":[ {"name":"a", "n":1.0},{"name":"b","execution":{"taskSupport":"forbidden"}} ]}}'
    assert.include(
      server(list).join(),
      '[ {"execution":{"taskSupport":"optional"},"name":"a", "n":1.0},{"name":"b","execution":{"taskSupport":"forbidden"}} ]'
    )
  })

  it("a task is told in the legacy words, listed, asked about and cancelled", () => {
    const { answer, ask, call } = started()
    const created = answer(call, { resultType: "task", ...facts("working") })
    assert.deepStrictEqual(resultOf(created), { task: { ...legacyFacts, status: "working" } })
    const got = answer(ask(2, "tasks/get", { taskId: "t" }), facts("working", { statusMessage: "m" }))
    assert.deepStrictEqual(resultOf(got), { ...legacyFacts, status: "working", statusMessage: "m" })
    assert.deepStrictEqual(resultOf(ask(3, "tasks/list", {})), {
      tasks: [{ ...legacyFacts, status: "working", statusMessage: "m" }]
    })
    const stopped = answer(ask(4, "tasks/cancel", { taskId: "t" }), { resultType: "complete" })
    assert.match(stopped.join(), /^→ .*"tasks\/get"/)
    assert.deepStrictEqual(resultOf(answer(stopped, facts("working"))), { ...legacyFacts, status: "cancelled" })
  })

  it("its result is waited for, and what the server asks meanwhile is asked of the client once", () => {
    const { answer, ask, call, client, timeout, transcript } = started()
    answer(call, { resultType: "task", ...facts("working") })
    const first = ask(2, "tasks/result", { taskId: "t" })
    assert.deepStrictEqual(answer(first, facts("working")), [])
    transcript.nowMs = 500
    const poll = transcript.timeout()
    assert.match(poll.join(), /^→ .*"tasks\/get"/)
    const inputRequests = { name: { method: "elicitation/create", params: { message: "?", requestedSchema: {} } } }
    const asked = Transcript.messageOf(answer(poll, facts("input_required", { inputRequests }))[0])
    assert.deepInclude(asked["params"], { message: "?", _meta: RELATED })
    transcript.nowMs = 1000
    assert.deepStrictEqual(answer(transcript.timeout(), facts("input_required", { inputRequests })), [])
    const update = client({ jsonrpc: "2.0", id: asked["id"], result: { action: "accept" } })
    assert.deepInclude(Transcript.messageOf(update[0])["params"], {
      taskId: "t",
      inputResponses: { name: { action: "accept" } }
    })
    transcript.nowMs = 1500
    const done = answer(transcript.timeout(), facts("completed", { result: { content: [], n: 1 } }))
    assert.deepStrictEqual(Transcript.messageOf(done[0]), {
      jsonrpc: "2.0",
      id: 2,
      result: { content: [], n: 1, _meta: RELATED }
    })
    assert.deepStrictEqual(timeout(), [])
  })

  it("a failed or cancelled task ends the wait with an error, and so does a client that leaves it", () => {
    const { answer, ask, call, client, transcript } = started()
    answer(call, { resultType: "task", ...facts("working") })
    const failed = answer(
      ask(2, "tasks/result", { taskId: "t" }),
      facts("failed", { error: { code: -32603, message: "m" } })
    )
    assert.deepStrictEqual(Transcript.messageOf(failed[0])["error"], { code: -32603, message: "m" })
    assert.match(answer(ask(3, "tasks/result", { taskId: "t" }), facts("cancelled")).join(), /cancelled/)
    answer(ask(4, "tasks/result", { taskId: "t" }), facts("working"))
    client({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 4 } })
    transcript.nowMs = 5000
    assert.deepStrictEqual(transcript.timeout(), [])
  })

  it("a call that the server answers at once is a task that is done", () => {
    const { answer, ask, call } = started()
    const created = answer(call, { resultType: "complete", content: [] })
    const { taskId } = (resultOf(created) as { task: { taskId: string } }).task
    assert.deepInclude(resultOf(ask(2, "tasks/get", { taskId })), { taskId, status: "completed" })
    assert.deepInclude(resultOf(ask(3, "tasks/result", { taskId })), {
      content: [],
      _meta: { "io.modelcontextprotocol/related-task": { taskId } }
    })
    assert.match(ask(4, "tasks/cancel", { taskId }).join(), /-32602/)
    assert.match(ask(5, "tasks/get", { taskId: "effect-pilot-done-99" }).join(), /-32602/)
    const other = started()
    other.answer(other.call, { resultType: "complete", content: [] })
    assert.match(other.ask(6, "tasks/result", { taskId }).join(), /-32602/, "of another session")
  })
})
