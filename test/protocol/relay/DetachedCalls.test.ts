import { assert, describe, it } from "@effect/vitest"
import { DetachedCalls } from "../../../src/protocol/relay/DetachedCalls.ts"
import { TOOL } from "../../../src/protocol/relay/DetachTool.ts"
import * as Transcript from "./era/Transcript.ts"

const make = (afterMs: number | null = 50_000) => {
  let count = 0
  const calls = new DetachedCalls({
    afterMs: afterMs ?? undefined,
    random: () => `h${++count}`,
    instant: (atMs) => `at ${atMs}`
  })
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
    assert.match(
      fetch(3, "h1", { cancel: true }).join(),
      new RegExp(`^→ .*"requestId":${NUMBER},"reason":"Its client stopped.*← .*"id":3`)
    )
    assert.match(fetch(4, "h1").join(), /no such handle/)
    call(5)
    assert.match(cancel(5).join(), /"requestId":"dev.effect-pilot\/call-2"/)
  })

  it("whoever waits for a result is told when the call is stopped by its handle, or ends after its 24 hours", () => {
    const { at, call, fetch } = make()
    call(1)
    at(50_000)
    fetch(2, "h1")

    const stopped = fetch(3, "h1", { cancel: true }).join()
    assert.match(stopped, /"id":2,.*The call is cancelled.*"isError":true/)
    assert.match(stopped, /"id":3,.*The call is cancelled.*"isError":false/)
    call(4)
    at(100_000)
    at(100_000 + 86_399_000)
    fetch(5, "h2")
    assert.match(at(100_000 + 86_400_000).join(), /"requestId".*"id":5,.*A call may take 24 hours.*"isError":true/)
  })

  it("lists that a client gave up leave no mark: the next one still has the tool", () => {
    const { transcript } = make()
    for (let id = 0; id < 300; id++) {
      transcript.client({ jsonrpc: "2.0", id, method: "tools/list" })
      transcript.client({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: id } })
    }

    transcript.client({ jsonrpc: "2.0", id: "last", method: "tools/list" })
    assert.include(transcript.server({ jsonrpc: "2.0", id: "last", result: { tools: [] } }).join(), TOOL)
  })

  it("steps of a call reach a client that uses the token of an earlier one again, which is done", () => {
    const { at, call, transcript } = make()
    const step = { jsonrpc: "2.0", method: "notifications/progress", params: { progressToken: "t", progress: 1 } }
    call(1, "slow", {}, { progressToken: "t" })
    at(50_000)
    assert.deepStrictEqual(transcript.server(step), [])
    transcript.server(`{"jsonrpc":"2.0","id":${NUMBER},"result":{}}`)

    call(2, "slow", {}, { progressToken: "t" })
    assert.lengthOf(transcript.server(step), 1)
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

  it("a legacy call that wants a task of its own kind is left alone", () => {
    const { calls, transcript } = make()
    const params = { name: "slow", task: { ttl: 60_000 } }
    const sent = transcript.client({ jsonrpc: "2.0", id: 1, method: "tools/call", params })
    assert.match(sent.join(), /^→ .*"id":1,/)
    assert.isUndefined(calls.deadlineMs())
  })

  it("the owner's word counts when it comes, for calls that wait already; without one, nothing is touched any more", () => {
    const told = make(null)
    told.call(1)
    assert.isUndefined(told.calls.deadlineMs())
    told.calls.configure(2000)
    assert.strictEqual(told.calls.deadlineMs(), 2000)
    assert.match(told.at(2000).join(), /Still running, handle h1/)

    const untold = make(null)
    untold.call(1)
    untold.calls.configure(undefined)
    assert.isFalse(untold.calls.isThrough)
    assert.deepStrictEqual(untold.transcript.server(`{"jsonrpc":"2.0","id":${NUMBER},"result":{}}`), [
      '← {"jsonrpc":"2.0","id":1,"result":{}}'
    ])
    assert.isTrue(untold.calls.isThrough)
    assert.match(untold.call(2).join(), /^→ .*"id":2,/)
  })
})

describe("DetachedCalls, for a client of the tasks extension (mcp §1.6)", () => {
  const capabilities = { extensions: { "io.modelcontextprotocol/tasks": {} }, elicitation: { form: {} } }
  const tasks = (more: object = {}) => {
    const made = make()
    const _meta = Transcript.meta(capabilities)
    const about = (id: unknown, method: string, params: object) =>
      made.transcript.client({ jsonrpc: "2.0", id, method, params: { ...params, _meta } })
    made.call(1, "slow", { n: 1 }, { ..._meta, progressToken: "t", ...more })
    const created = Transcript.messageOf(made.at(50_000)[0])
    return { ...made, about, created, taskId: "effect-pilot-task-h1" }
  }
  const resultOf = (lines: ReadonlyArray<string>) => Transcript.messageOf(lines[0])["result"]

  it("a long call becomes a task, which tells how it stands and in the end the result", () => {
    const { about, created, taskId, transcript } = tasks()
    assert.deepStrictEqual(created["result"], {
      resultType: "task",
      taskId,
      status: "working",
      createdAt: "at 0",
      lastUpdatedAt: "at 0",
      ttlMs: 86_450_000,
      pollIntervalMs: 2000
    })
    const progress = { progressToken: "t", progress: 1, message: "step 1" }
    assert.deepStrictEqual(
      transcript.server({ jsonrpc: "2.0", method: "notifications/progress", params: progress }),
      []
    )
    assert.deepInclude(resultOf(about(2, "tasks/get", { taskId })), {
      resultType: "complete",
      status: "working",
      statusMessage: "step 1"
    })
    assert.deepStrictEqual(
      transcript.server(`{"jsonrpc":"2.0","id":${NUMBER},"result":{"resultType":"complete","n": 1.0}}`),
      []
    )
    assert.match(
      about(3, "tasks/get", { taskId }).join(),
      /"status":"completed",.*"result":\{"resultType":"complete","n": 1.0\}/
    )
    assert.deepInclude(resultOf(about(4, "tasks/get", { taskId })), { ttlMs: 650_000 })
    assert.deepStrictEqual(resultOf(about(5, "tasks/cancel", { taskId })), { resultType: "complete" })
    transcript.nowMs = 650_000
    transcript.timeout()
    assert.match(about(6, "tasks/get", { taskId }).join(), /-32602/)
  })

  it("an error of the server is told as one; a result that is an error is a result", () => {
    const failed = tasks()
    failed.transcript.server(`{"jsonrpc":"2.0","id":${NUMBER},"error":{"code":-32603,"message":"broken"}}`)
    assert.match(
      failed.about(2, "tasks/get", { taskId: failed.taskId }).join(),
      /"status":"failed","statusMessage":"broken",.*"error":\{"code":-32603,"message":"broken"\}/
    )
    const isError = tasks()
    isError.transcript.server(`{"jsonrpc":"2.0","id":${NUMBER},"result":{"isError":true}}`)
    assert.match(isError.about(2, "tasks/get", { taskId: isError.taskId }).join(), /"status":"completed"/)
  })

  it("what the server asks is passed on under a name of its own each round, and the request is sent again", () => {
    const { about, taskId, transcript } = tasks()
    const asks = (id: string, state: string) =>
      transcript.server(
        `{"jsonrpc":"2.0","id":${id},"result":{"resultType":"input_required","inputRequests":{"name":{"method":"elicitation/create"},"age":{"method":"elicitation/create"}},"requestState":${state}}}`
      )
    assert.deepStrictEqual(asks(NUMBER, '"s1"'), [])
    const question = { method: "elicitation/create" }
    assert.deepInclude(resultOf(about(2, "tasks/get", { taskId })), {
      status: "input_required",
      inputRequests: { "1.name": question, "1.age": question }
    })
    const answer = { action: "accept", content: { a: 1 } }
    const part = about(3, "tasks/update", { taskId, inputResponses: { "1.name": answer, other: answer } })
    assert.deepStrictEqual(
      part.map((line) => line.slice(0, 1)),
      ["←"]
    )
    assert.deepInclude(resultOf(about(4, "tasks/get", { taskId })), { inputRequests: { "1.age": question } })
    const [again, done] = about(5, "tasks/update", { taskId, inputResponses: { "1.age": answer, "1.name": {} } })
    assert.deepStrictEqual(resultOf([done ?? ""]), { resultType: "complete" })
    assert.deepInclude(Transcript.messageOf(again), { id: "dev.effect-pilot/call-2", method: "tools/call" })
    assert.deepInclude(Transcript.messageOf(again)["params"], {
      name: "slow",
      inputResponses: { name: answer, age: answer },
      requestState: "s1"
    })
    asks('"dev.effect-pilot/call-2"', '"s2"')
    assert.match(about(6, "tasks/get", { taskId }).join(), /"2.name"/)
  })

  it("a server that asks for nothing is sent the request again after a pause, ten times at most", () => {
    const { about, at, calls, taskId, transcript } = tasks()
    const asks = (round: number) =>
      transcript.server(
        `{"jsonrpc":"2.0","id":"dev.effect-pilot/call-${round}","result":{"resultType":"input_required","requestState":"s"}}`
      )
    for (let round = 1; round <= 10; round++) {
      asks(round)
      assert.deepInclude(resultOf(about(round, "tasks/get", { taskId })), { status: "working" })
      assert.match(at(calls.deadlineMs() ?? 0).join(), /^→ .*"requestState":"s"/)
    }
    asks(11)
    assert.match(about(20, "tasks/get", { taskId }).join(), /"status":"completed".*foreground/)
  })

  it("a cancelled task says so, and its late answer is dropped; only clients of the extension may ask", () => {
    const { about, taskId, transcript } = tasks()
    const [stopped, done] = about(2, "tasks/cancel", { taskId })
    assert.match(stopped ?? "", new RegExp(`^→ .*"requestId":${NUMBER},"reason":"Its client stopped the call."`))
    assert.deepStrictEqual(resultOf([done ?? ""]), { resultType: "complete" })
    assert.deepStrictEqual(transcript.server(`{"jsonrpc":"2.0","id":${NUMBER},"result":{}}`), [])
    assert.deepInclude(resultOf(about(3, "tasks/get", { taskId })), { status: "cancelled" })
    const bare = { jsonrpc: "2.0", id: 4, method: "tasks/get", params: { taskId, _meta: Transcript.meta({}) } }
    assert.match(transcript.client(bare).join(), /-32021.*io\.modelcontextprotocol\/tasks/)
    assert.match(about(5, "tasks/get", { taskId: "other" }).join(), /^→ .*"other"/)
  })

  it("a task that the server makes of the call stands behind ours", () => {
    const { about, taskId, transcript } = tasks()
    transcript.server(
      `{"jsonrpc":"2.0","id":${NUMBER},"result":{"resultType":"task","taskId":"theirs","status":"working"}}`
    )
    assert.match(about(2, "tasks/get", { taskId }).join(), /^→ .*"taskId":"theirs"/)
    const told = '{"jsonrpc":"2.0","id":2,"result":{"taskId":"theirs","status":"completed","result":{}}}'
    assert.deepInclude(resultOf(transcript.server(told)), { taskId, status: "completed" })
    assert.match(about(3, "tasks/cancel", { taskId }).join(), /^→ .*"tasks\/cancel".*"theirs"/)
  })

  it("discovery offers the extension, and the list stays as it is", () => {
    const { about, transcript } = tasks()
    about(2, "server/discover", {})
    const discovered = transcript.server('{"jsonrpc":"2.0","id":2,"result":{"capabilities":{"tools":{}}}}')
    assert.deepInclude(resultOf(discovered), {
      capabilities: { extensions: { "io.modelcontextprotocol/tasks": {} }, tools: {} }
    })
    about(3, "tools/list", {})
    const list = '{"jsonrpc":"2.0","id":3,"result":{"tools":[{"name":"a","outputSchema":{}}]}}'
    assert.deepStrictEqual(transcript.server(list), [`← ${list}`])
  })
})
