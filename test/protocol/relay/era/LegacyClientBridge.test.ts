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

const make = () => {
  const [initialize, discovered] = [INITIALIZE, DISCOVERED].map((message) => Bytes.fromUtf8(JSON.stringify(message)))
  const bridge = new LegacyClientBridge({ initialize: initialize!, discovered: discovered!, name: "files" })
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
