import { assert, describe, it } from "@effect/vitest"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Json from "../../../src/core/data/Json.ts"
import * as JsonRpcPeek from "../../../src/protocol/relay/JsonRpcPeek.ts"
import { ListMemory } from "../../../src/protocol/relay/ListMemory.ts"
import * as Transcript from "./era/Transcript.ts"

const bytesOf = (message: object) => Bytes.fromUtf8(JSON.stringify({ jsonrpc: "2.0", ...message }))
const shown = (bytes: Uint8Array | undefined) =>
  bytes === undefined ? undefined : Json.parseObject(Bytes.toUtf8Lossy(bytes))
const all = (messages: ReadonlyArray<Uint8Array>) => messages.map(shown)

const BEGUN = "notifications/subscriptions/acknowledged"
const SAID = { ...Transcript.meta(), "io.modelcontextprotocol/clientCapabilities": {} }

const make = (isWhole = true) => {
  let nowMs = 999
  const instant = (atMs: number) => `at ${atMs}`
  const memory = new ListMemory({ hash: (text) => text, nowMs: () => ++nowMs, instant, isWhole })
  const ask = (id: unknown, method: string, capabilities: object = {}, params: object = {}) => {
    const message = bytesOf({ id, method, params: { ...params, _meta: Transcript.meta(capabilities) } })
    const request = JsonRpcPeek.request(message)
    if (request === undefined) throw new Error("no request")
    const known = memory.recall(message, request)
    if (known === undefined) memory.asked(message, request)
    return shown(known)
  }
  const answer = (id: unknown, more: object) => memory.answered(bytesOf({ id, ...more }), JSON.stringify(id))
  const list = (id: unknown, tools: ReadonlyArray<object>, capabilities: object = {}) => {
    ask(id, "tools/list", capabilities)
    answer(id, { result: { resultType: "complete", tools, ttlMs: 60_000, cacheScope: "private" } })
  }
  return { answer, ask, list, memory }
}

describe("ListMemory", () => {
  it("answers nothing while the service is there; then a modern list, good for this once", () => {
    const { ask, list, memory } = make()
    list(1, [{ name: "a", n: 1 }])
    assert.isUndefined(ask(2, "tools/list"))
    memory.isAway = true
    assert.deepStrictEqual(ask(3, "tools/list"), {
      jsonrpc: "2.0",
      id: 3,
      result: {
        _meta: { "dev.effect-pilot/asOf": "at 1001" },
        resultType: "complete",
        tools: [{ name: "a", n: 1 }],
        ttlMs: 0,
        cacheScope: "private"
      }
    })
    assert.isUndefined(ask(4, "tools/list", {}, { cursor: "c" }))
    assert.isUndefined(ask(5, "tools/list", { sampling: {} }))
    assert.isUndefined(ask(6, "tools/call"))
  })

  it("an answer to a question of ours is none for the client, however the server spells its id", () => {
    const { ask, list, memory } = make()
    list(1, [{ name: "a" }])
    memory.isAway = true
    ask(2, "tools/list")
    const [question] = all(memory.returned(false))
    const id = JSON.stringify(question?.["id"]).replaceAll("/", "\\/")
    assert.notStrictEqual(id, JSON.stringify(question?.["id"]))
    assert.strictEqual(memory.answered(Bytes.fromUtf8(`{"id":${id},"result":{"tools":[]}}`), id), "Ours")
  })

  it("keeps how a server refuses to be opened, and no passing failure", () => {
    const { answer, ask, memory } = make()
    ask(1, "server/discover")
    answer(1, { error: { code: -32601, message: "what?" } })
    ask(2, "prompts/list")
    answer(2, { error: { code: -32601, message: "what?" } })
    ask(3, "resources/list")
    answer(3, { error: { code: -31001, message: "away" } })
    memory.isAway = true
    assert.deepStrictEqual(ask(4, "server/discover"), {
      jsonrpc: "2.0",
      id: 4,
      error: { code: -32601, message: "what?" }
    })
    assert.isUndefined(ask(5, "prompts/list"))
    assert.isUndefined(ask(6, "resources/list"))
  })

  it("a modern client hears of a difference on the listens that want it, as soon as they have begun", () => {
    const { answer, ask, list, memory } = make()
    list(1, [{ name: "a" }])
    memory.isAway = true
    ask(2, "tools/list")
    ask("l1", "subscriptions/listen", {}, { notifications: { toolsListChanged: true } })
    ask("l2", "subscriptions/listen", {}, { notifications: { promptsListChanged: true } })
    const [question] = all(memory.returned(false))
    assert.deepInclude(question, { method: "tools/list", params: { _meta: SAID } })
    assert.lengthOf(memory.returned(false), 0)
    assert.strictEqual(answer(question?.["id"], { result: { tools: [{ name: "b" }] } }), "Ours")
    assert.lengthOf(memory.take().toClient, 0)
    const begun = (id: string) => ({
      method: "notifications/subscriptions/acknowledged",
      params: { _meta: { "io.modelcontextprotocol/subscriptionId": id } }
    })
    assert.lengthOf(memory.notified(bytesOf(begun("l2")), begun("l2").method), 0)
    assert.deepStrictEqual(all(memory.notified(bytesOf(begun("l1")), begun("l1").method)), [
      {
        jsonrpc: "2.0",
        method: "notifications/tools/list_changed",
        params: { _meta: { "io.modelcontextprotocol/subscriptionId": "l1" } }
      }
    ])
  })

  it("a client that may have seen less hears of it, although the list is the same", () => {
    const { answer, ask, list, memory } = make(false)
    list(1, [{ name: "a" }])
    memory.isAway = true
    ask("l", "subscriptions/listen", {}, { notifications: { toolsListChanged: true } })
    memory.notified(
      bytesOf({ method: BEGUN, params: { _meta: { "io.modelcontextprotocol/subscriptionId": "l" } } }),
      BEGUN
    )
    ask(2, "tools/list")
    const [question] = all(memory.returned(false))
    answer(question?.["id"], { result: { tools: [{ name: "a" }] } })
    assert.lengthOf(memory.take().toClient, 1)
  })

  it("a list that the client asked for itself needs no news, and an order is no difference", () => {
    const { answer, ask, list, memory } = make()
    list(1, [{ name: "a" }, { name: "b" }])
    memory.isAway = true
    ask(2, "tools/list")
    const [question] = all(memory.returned(false))
    list(3, [{ name: "c" }])
    answer(question?.["id"], { result: { tools: [{ name: "c" }] } })
    assert.lengthOf(memory.take().toClient, 0)
    const [again] = all(memory.returned(true))
    answer(again?.["id"], { result: { tools: [{ name: "c" }] } })
    assert.lengthOf(memory.take().toClient, 0)
  })

  it("what the server calls changed is known no more, whatever is learned from before", () => {
    const { ask, list, memory } = make()
    list(1, [{ name: "a" }])
    list(2, [{ name: "a" }], { sampling: {} })
    const before = memory.save()
    memory.notified(bytesOf({ method: "notifications/tools/list_changed" }), "notifications/tools/list_changed")
    assert.isTrue(memory.isChanged)
    memory.learn(before)
    memory.isAway = true
    assert.isUndefined(ask(3, "tools/list"))
    assert.deepStrictEqual(
      memory.save().map(({ answers }) => answers),
      [{}, {}]
    )
  })

  it("tells four kinds of clients apart, the last ones; a broken or endless list is not kept", () => {
    const { answer, ask, list, memory } = make()
    for (let kind = 0; kind < 6; kind++) list(kind, [{ name: `t${kind}` }], { kind })
    assert.deepStrictEqual(
      memory.save().map(({ answers }) => Json.parseObject(answers["tools/list"]?.raw ?? "{}")?.["tools"]),
      [[{ name: "t5" }], [{ name: "t4" }], [{ name: "t3" }], [{ name: "t2" }]]
    )
    ask(7, "tools/list", { kind: 5 })
    answer(7, { result: { tools: "none" } })
    list(8, [{ name: "x".repeat(1_048_576) }], { kind: 4 })
    memory.isAway = true
    assert.isUndefined(ask(9, "tools/list", { kind: 5 }))
    assert.isUndefined(ask(10, "tools/list", { kind: 4 }))
    assert.isDefined(ask(11, "tools/list", { kind: 3 }))
  })
})
