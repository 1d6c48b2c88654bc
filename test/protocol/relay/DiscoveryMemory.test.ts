import { assert, describe, it } from "@effect/vitest"
import { DiscoveryMemory } from "../../../src/protocol/relay/DiscoveryMemory.ts"

const bytes = (text: string) => new TextEncoder().encode(text)
const text = (message: Uint8Array | undefined) =>
  message === undefined ? undefined : new TextDecoder().decode(message)
const request = (capabilities = "{}") =>
  bytes(
    `{"id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/clientCapabilities":${capabilities}}}}`
  )
const FILES = { name: "files" }

const known = (answer = '{"id":1,"result":{"x":1.0}}') => {
  const memory = new DiscoveryMemory<{ readonly name: string }>()
  memory.note(FILES, 2, request(), bytes(answer), 0)
  return memory
}

describe("DiscoveryMemory", () => {
  it("answers with the id of the request and every other byte as it was (mcp §6.4)", () => {
    assert.strictEqual(text(known().recall(FILES, 2, request(), '"a"', 1)), '{"id":"a","result":{"x":1.0}}')
  })

  it("keeps an answer for one peer, one kind of client and one service (mcp §6.9)", () => {
    const memory = known()
    assert.strictEqual(memory.recall(FILES, 3, request(), "1", 1), undefined)
    assert.strictEqual(memory.recall(FILES, 2, request('{"roots":{}}'), "1", 1), undefined)
    assert.strictEqual(memory.recall({ name: "files" }, 2, request(), "1", 1), undefined)
  })

  it("forgets with time, and when a server of the service dies", () => {
    assert.isDefined(known().recall(FILES, 2, request(), "1", 299_999))
    assert.strictEqual(known().recall(FILES, 2, request(), "1", 300_000), undefined)
    const memory = known()
    memory.forget("other")
    assert.isDefined(memory.recall(FILES, 2, request(), "1", 1))
    memory.forget("files")
    assert.strictEqual(memory.recall(FILES, 2, request(), "1", 1), undefined)
  })

  it("keeps the refusal of a legacy server, and no passing failure (mcp §1.2)", () => {
    const isKept = (code: number) =>
      known(`{"id":1,"error":{"code":${code},"message":""}}`).recall(FILES, 2, request(), "1", 1) !== undefined
    assert.deepStrictEqual([-32601, -32022, -32603, -31001].map(isKept), [true, true, false, false])
  })

  it("keeps a bounded number of answers of bounded size", () => {
    const memory = known(`{"id":1,"result":"${"x".repeat(70_000)}"}`)
    assert.strictEqual(memory.recall(FILES, 2, request(), "1", 1), undefined)
    for (let node = 0; node < 300; node++) memory.note(FILES, node, request(), bytes('{"id":1,"result":{}}'), 0)
    assert.strictEqual(memory.recall(FILES, 43, request(), "1", 1), undefined)
    assert.isDefined(memory.recall(FILES, 44, request(), "1", 1))
  })
})
