import { assert, describe, it } from "@effect/vitest"
import { DetachedCalls, TOOL } from "../../../src/protocol/relay/DetachedCalls.ts"
import * as Transcript from "./era/Transcript.ts"

const make = () => {
  let count = 0
  const calls = new DetachedCalls({ afterMs: 50_000, random: () => `h${++count}` })
  const transcript = Transcript.make(calls)
  const call = (id: unknown, name = "slow", args: object = {}, _meta: object = { progressToken: id }) =>
    transcript.client({ jsonrpc: "2.0", id, method: "tools/call", params: { name, arguments: args, _meta } })
  const fetch = (id: unknown, handle: string, more: object = {}) => call(id, TOOL, { handle, ...more }, {})
  const at = (nowMs: number) => {
    transcript.nowMs = nowMs
    return transcript.timeout()
  }
  return { at, call, calls, fetch, transcript }
}
const NUMBER = '"dev.effect-pilot/call-1"'

describe("DetachedCalls", () => {
  it("a call that ends in time is answered as it is, under the client's id", () => {
    const { at, call, calls, transcript } = make()
    const [sent] = call("a")

    assert.deepStrictEqual(Transcript.messageOf(sent)["id"], "dev.effect-pilot/call-1")
    assert.strictEqual(calls.deadlineMs(), 50_000)
    assert.deepStrictEqual(transcript.server(`{"jsonrpc":"2.0","id":${NUMBER},"result":{"n": 1.0}}`), [
      '← {"jsonrpc":"2.0","id":"a","result":{"n": 1.0}}'
    ])
    assert.isUndefined(calls.deadlineMs())
    assert.deepStrictEqual(at(50_000), [])
  })

  it("a longer one is answered with a handle, and its result is fetched, more than once, for ten minutes", () => {
    const { at, call, calls, fetch, transcript } = make()
    call(7)
    const [detached] = at(50_000)
    assert.match(detached ?? "", /^← .*"id":7,.*Still running, handle h1\..*"isError":false/)
    assert.deepStrictEqual(
      transcript.server({
        jsonrpc: "2.0",
        method: "notifications/progress",
        params: { progressToken: 7, progress: 1 }
      }),
      []
    )

    assert.deepStrictEqual(fetch(8, "h1"), [])
    assert.match(at(100_000).join(), /"id":8,.*Still running, handle h1/)
    assert.deepStrictEqual(fetch(9, "h1"), [])
    assert.deepStrictEqual(transcript.server(`{"jsonrpc":"2.0","id":${NUMBER},"result":{"n": 1.0}}`), [
      '← {"jsonrpc":"2.0","id":9,"result":{"n": 1.0}}'
    ])
    assert.deepStrictEqual(fetch(10, "h1"), ['← {"jsonrpc":"2.0","id":10,"result":{"n": 1.0}}'])
    assert.strictEqual(calls.deadlineMs(), 700_000)
    assert.deepStrictEqual(at(700_000), [])
    assert.match(fetch(11, "h1").join(), /no such handle.*"isError":true/)
  })

  it("giving up a fetch leaves the call alone; cancelling it by its handle, or in time, does not", () => {
    const { at, call, fetch, transcript } = make()
    const cancel = (requestId: unknown) =>
      transcript.client({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId } })
    call(1)
    at(50_000)
    fetch(2, "h1")

    assert.deepStrictEqual(cancel(2), [])
    assert.match(fetch(3, "h1", { cancel: true }).join(), new RegExp(`^→ .*"requestId":${NUMBER}.*← .*"id":3`))
    assert.match(fetch(4, "h1").join(), /no such handle/)
    call(5)
    assert.match(cancel(5).join(), /"requestId":"dev.effect-pilot\/call-2"/)
  })

  it("64 are detached at most; the others wait as without it", () => {
    const { at, call, calls } = make()
    for (let id = 0; id < 65; id++) call(id)

    assert.lengthOf(at(50_000), 64)
    assert.strictEqual(calls.deadlineMs(), 50_000 + 86_400_000)
    assert.lengthOf(at(50_001), 0)
    const cancelled = at(50_000 + 86_400_000)
    assert.lengthOf(
      cancelled.filter((line) => line.startsWith("→") && line.includes("cancelled")),
      64
    )
    assert.lengthOf(
      cancelled.filter((line) => line.startsWith("←")),
      1
    )
  })

  it("lists gain the tool at their end and lose output schemas; the rest stays as it came", () => {
    const { transcript } = make()
    const list = (id: number, result: string) => {
      transcript.client({ jsonrpc: "2.0", id, method: "tools/list" })
      return transcript.server(`{"jsonrpc":"2.0","id":${id},"result":${result}}`).join()
    }

    const [first] = [list(1, '{"tools":[ {"name":"a","outputSchema":{}, "n":1.0} ]}')]
    assert.include(first, '[ {"name":"a", "n":1.0},{"name":"pilot_fetch_result"')
    assert.include(list(2, '{"tools":[]}'), '"tools":[{"name":"pilot_fetch_result"')
    assert.strictEqual(
      list(3, '{"tools":[],"nextCursor":"c"}'),
      '← {"jsonrpc":"2.0","id":3,"result":{"tools":[],"nextCursor":"c"}}'
    )
  })

  it("a modern client's answer is marked; a question that comes too late is told as what it is", () => {
    const { at, call, fetch, transcript } = make()
    call(1, "slow", {}, Transcript.meta())

    assert.match(at(50_000).join(), /"resultType":"complete"/)
    transcript.server(`{"jsonrpc":"2.0","id":${NUMBER},"result":{"resultType":"input_required"}}`)
    assert.match(fetch(2, "h1").join(), /foreground.*"isError":true/)
  })
})
