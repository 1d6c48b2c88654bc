import { assert, describe, it } from "@effect/vitest"
import * as JsonRpcPeek from "../../../src/protocol/relay/JsonRpcPeek.ts"
import { Repeats } from "../../../src/protocol/relay/Repeats.ts"
import { SafeCalls } from "../../../src/protocol/relay/SafeCalls.ts"

const bytes = (text: string) => new TextEncoder().encode(text)
const call = (args = "{}") => bytes(`{"id":1,"method":"tools/call","params":{"name":"t","arguments":${args}}}`)
const isSafe = (safe: SafeCalls, tool: string, args?: string) => safe.isSafe(call(args), "tools/call", tool)

describe("SafeCalls", () => {
  it("lists and reads are safe, an opening and a subscription are not (mcp §6.3)", () => {
    const safe = new SafeCalls()
    const methods = ["tools/list", "resources/read", "prompts/get", "completion/complete", "ping", "server/discover"]
    for (const method of methods) assert.isTrue(safe.isSafe(call(), method, undefined), method)
    for (const method of ["initialize", "resources/subscribe", "tasks/cancel", "future/method"]) {
      assert.isFalse(safe.isSafe(call(), method, undefined), method)
    }
  })

  it("a tool is safe only if its owner names it, and a denial alone names none", () => {
    const safe = new SafeCalls()
    assert.isFalse(isSafe(safe, "read_file"))
    safe.configure({ safe: ["read_*", "!read_mail", "write(path=tmp/*)"] })
    assert.isTrue(isSafe(safe, "read_file"))
    assert.isFalse(isSafe(safe, "read_mail"))
    assert.isTrue(isSafe(safe, "write", '{"path":"tmp/a"}'))
    assert.isFalse(isSafe(safe, "write", '{"path":"tmp/../a"}'))
    safe.configure({ safe: ["!write_*"] })
    assert.isFalse(isSafe(safe, "read_file"))
    safe.configure({ safe: ["read_*", "!((("] })
    assert.isFalse(isSafe(safe, "read_file"))
  })

  it("what a server claims counts only if the owner says so, and as it was last claimed", () => {
    const list = (hints: string) => bytes(`{"id":1,"result":{"tools":[{"name":"t","annotations":${hints}}]}}`)
    const wary = new SafeCalls()
    wary.listed(list('{"readOnlyHint":true}'))
    assert.isFalse(isSafe(wary, "t"))

    const trusting = new SafeCalls()
    trusting.configure({ trustHints: true })
    for (const [hints, expected] of [
      ['{"readOnlyHint":true}', true],
      ['{"idempotentHint":true}', true],
      ['{"readOnlyHint":"yes"}', false],
      ["{}", false]
    ] as const) {
      trusting.listed(list(hints))
      assert.strictEqual(isSafe(trusting, "t"), expected, hints)
    }
  })
})

describe("Repeats", () => {
  const envelope = { _tag: "Request", id: "1", method: "tools/call", target: "t", progressToken: undefined } as const
  const forgotten = (message: Uint8Array | undefined, lost = 0) =>
    [{ id: "1", method: "tools/call", at: 0, lost, message }] as const

  it("before the keeper says what is safe every call is kept, and none is sent again unless it is (mcp §6.3)", () => {
    const repeats = new Repeats()
    const message = call()
    assert.strictEqual(repeats.kept(message, envelope), message)
    assert.strictEqual(repeats.kept(message, JsonRpcPeek.Envelope.Other()), undefined)
    repeats.welcomed({})
    assert.strictEqual(repeats.kept(message, envelope), undefined)
    assert.deepStrictEqual(repeats.sort(forgotten(message)), { again: [], lost: forgotten(message) })
  })

  it("a call goes to at most three keepers", () => {
    const repeats = new Repeats()
    const message = call()
    repeats.welcomed({ safe: ["t"] })
    assert.deepStrictEqual(repeats.sort(forgotten(message, 1)).again, [{ bytes: message, lost: 2 }])
    assert.deepStrictEqual(repeats.sort(forgotten(message, 2)).again, [])
  })
})
