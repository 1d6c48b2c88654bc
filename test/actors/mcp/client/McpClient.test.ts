import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Queue, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as McpClient from "../../../../src/actors/mcp/client/McpClient.ts"
import * as McpServer from "../../../../src/api/McpServer.ts"
import * as Json from "../../../../src/core/data/Json.ts"
import type { Duplex } from "../../../../src/core/net/Duplex.ts"
import * as DuplexPair from "../../../../src/core/net/DuplexPair.ts"
import { LineSplitter } from "../../../../src/protocol/relay/LineSplitter.ts"
import { MESSAGE_BYTES_MAX } from "../../../../src/protocol/relay/RelayControl.ts"

const SELF = { name: "test", version: "1" }
const TEXT = new TextDecoder()
const UTF8 = new TextEncoder()

/** The server's end: what the client wrote, message by message, and answers as texts. */
const serverOf = Effect.fnUntraced(function* (stream: Duplex) {
  const asked = yield* Queue.unbounded<Json.JsonObject>()
  const lines = new LineSplitter(1 << 20)
  yield* Effect.gen(function* () {
    while (true) {
      for (const line of lines.push(yield* stream.read)) {
        if (line._tag === "Whole") yield* Queue.offer(asked, Json.parseObject(TEXT.decode(line.bytes)) ?? {})
      }
    }
  }).pipe(Effect.ignore, Effect.forkScoped)
  const say = (message: Json.JsonObject) =>
    stream.write(UTF8.encode(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`))
  return {
    next: Queue.take(asked),
    say,
    answer: (request: Json.JsonObject, result: Json.JsonObject) => say({ id: Json.member(request, "id"), result }),
    refuse: (request: Json.JsonObject, error: Json.JsonObject) => say({ id: Json.member(request, "id"), error }),
    hangUp: stream.end
  }
})

const METHOD_NOT_FOUND = { code: -32601, message: "no such method" }

/** A client that has opened a legacy server. */
const legacy = Effect.fnUntraced(function* (
  capabilities: Json.JsonObject = {},
  change: (stream: Duplex) => Duplex = (stream) => stream
) {
  const [plain, far] = yield* DuplexPair.make
  const near = change(plain)
  const server = yield* serverOf(far)
  const opening = yield* Effect.forkChild(McpClient.make(near, SELF))
  yield* server.refuse(yield* server.next, METHOD_NOT_FOUND)
  const initialize = yield* server.next
  const result = { protocolVersion: "2025-06-18", capabilities, serverInfo: { name: "old", version: "3" } }
  yield* server.answer(initialize, result)
  const initialized = yield* server.next
  return { server, initialize, initialized, client: yield* Fiber.join(opening) }
})

/** A client that has opened a modern server. */
const modern = Effect.gen(function* () {
  const [near, far] = yield* DuplexPair.make
  const server = yield* serverOf(far)
  const opening = yield* Effect.forkChild(McpClient.make(near, SELF))
  const discover = yield* server.next
  yield* server.answer(discover, { supportedVersions: ["2026-07-28"], capabilities: { tools: {} } })
  return { server, discover, client: yield* Fiber.join(opening) }
})

describe("McpClient", () => {
  it.effect("a request whose time is over ends, whether the server takes anything any more or not", () =>
    Effect.gen(function* () {
      let isTaking = true
      const { client } = yield* legacy({}, (stream) => ({
        ...stream,
        write: (bytes) => (isTaking ? stream.write(bytes) : Effect.never)
      }))
      isTaking = false
      const asked = yield* Effect.forkChild(Effect.timeoutOption(client.request("ping", {}), "5 seconds"))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(asked))._tag, "None")
    })
  )

  it.effect("opens a legacy server after it refused discovery, and sends its requests without an envelope", () =>
    Effect.gen(function* () {
      const { client, initialize, initialized, server } = yield* legacy()
      assert.strictEqual(Json.string(initialize, "method"), "initialize")
      assert.strictEqual(Json.string(initialized, "method"), "notifications/initialized")
      assert.deepStrictEqual([client.era.kind, client.era.revision], ["legacy", "2025-06-18"])

      yield* Effect.forkChild(client.request("tools/list", {}))
      assert.deepStrictEqual(Json.member(yield* server.next, "params"), {})
    })
  )

  it.effect("opens a server that keeps silent on what it does not know", () =>
    Effect.gen(function* () {
      const [near, far] = yield* DuplexPair.make
      const server = yield* serverOf(far)
      const opening = yield* Effect.forkChild(McpClient.make(near, SELF))
      yield* server.next
      yield* TestClock.adjust("5 seconds")
      const given = yield* server.next
      assert.strictEqual(Json.string(given, "method"), "notifications/cancelled")
      yield* server.answer(yield* server.next, { protocolVersion: "2024-11-05" })
      assert.strictEqual((yield* Fiber.join(opening)).era.revision, "2024-11-05")
    })
  )

  it.effect("gives a modern server revision and capabilities with every request", () =>
    Effect.gen(function* () {
      const { client, server } = yield* modern
      assert.strictEqual(client.era.kind, "modern")
      yield* Effect.forkChild(client.request("tools/call", { name: "x", arguments: {} }))
      const request = yield* server.next
      assert.deepStrictEqual(Json.member(request, "params"), {
        name: "x",
        arguments: {},
        _meta: {
          "io.modelcontextprotocol/protocolVersion": "2026-07-28",
          "io.modelcontextprotocol/clientCapabilities": {},
          "io.modelcontextprotocol/clientInfo": SELF
        }
      })
    })
  )

  it.effect("an unknown revision is a protocol error; an error of the bridge is not taken for a legacy server", () =>
    Effect.gen(function* () {
      const [near, far] = yield* DuplexPair.make
      const server = yield* serverOf(far)
      const opening = yield* Effect.forkChild(Effect.flip(McpClient.make(near, SELF)))
      yield* server.refuse(yield* server.next, METHOD_NOT_FOUND)
      yield* server.answer(yield* server.next, { protocolVersion: "1999-01-01" })
      assert.strictEqual((yield* Fiber.join(opening)).reason, "Protocol")

      const [near2, far2] = yield* DuplexPair.make
      const bridge = yield* serverOf(far2)
      const reaching = yield* Effect.forkChild(Effect.flip(McpClient.make(near2, SELF)))
      const data = { retryable: true, delivered: false }
      yield* bridge.refuse(yield* bridge.next, { code: -31001, message: "The peer does not answer.", data })
      const error = yield* Fiber.join(reaching)
      assert.deepStrictEqual([error.reason, error.code, error.retryable, error.delivered], ["Rpc", -31001, true, false])
    })
  )

  it.effect("hands a call its steps and its result, and tells a tool that failed from a call that failed", () =>
    Effect.gen(function* () {
      const { client, server } = yield* legacy()
      const mcp = McpServer.fromClient(client)
      const updates = yield* Effect.forkChild(Stream.runCollect(mcp.watch("slow", { n: 1 })))
      const request = yield* server.next
      const meta = objectOf(Json.member(objectOf(Json.member(request, "params")), "_meta"))
      assert.deepStrictEqual(meta, { progressToken: Json.member(request, "id") })
      for (const progress of [1, 2]) {
        yield* server.say({
          method: "notifications/progress",
          params: { progressToken: Json.member(request, "id"), progress, total: 2, message: `step ${progress}` }
        })
      }
      yield* server.answer(request, { content: [{ type: "text", text: "done" }], structuredContent: { rows: 3 } })
      const told = yield* Fiber.join(updates)
      assert.deepStrictEqual(
        told.map((update) => (update._tag === "Progress" ? update.progress.message : update.result.structured)),
        ["step 1", "step 2", { rows: 3 }]
      )

      const failing = yield* Effect.forkChild(Effect.flip(mcp.call("bad")))
      yield* server.answer(yield* server.next, { isError: true, content: [{ type: "text", text: "no such file" }] })
      const failed = yield* Fiber.join(failing)
      assert.deepInclude(failed, { _tag: "ToolFailed", tool: "bad", message: "no such file" })
    })
  )

  it.effect("an interrupted call is cancelled at the server, and its late answer is ignored", () =>
    Effect.gen(function* () {
      const { client, server } = yield* legacy()
      const call = yield* Effect.forkChild(client.request("tools/call", { name: "hang" }))
      const request = yield* server.next
      yield* Fiber.interrupt(call)
      const cancelled = yield* server.next
      assert.deepInclude(cancelled, {
        method: "notifications/cancelled",
        params: { requestId: Json.member(request, "id") }
      })
      yield* server.answer(request, { content: [] })

      const next = yield* Effect.forkChild(client.request("ping", {}))
      yield* server.answer(yield* server.next, { ok: true })
      assert.deepStrictEqual(yield* Fiber.join(next), { ok: true })
    })
  )

  it.effect("a server that hangs up ends every call, and later ones at once", () =>
    Effect.gen(function* () {
      const { client, server } = yield* legacy()
      const call = yield* Effect.forkChild(Effect.flip(client.request("tools/call", { name: "x" })))
      yield* server.next
      yield* server.hangUp
      assert.deepInclude(yield* Fiber.join(call), { reason: "Closed", delivered: true })
      assert.deepInclude(yield* Effect.flip(client.request("ping", {})), { reason: "Closed", delivered: false })
    })
  )

  it.effect("answers a ping and refuses what it does not offer", () =>
    Effect.gen(function* () {
      const { server } = yield* legacy()
      yield* server.say({ id: "p", method: "ping" })
      assert.deepStrictEqual(yield* server.next, { jsonrpc: "2.0", id: "p", result: {} })
      yield* server.say({ id: 9, method: "sampling/createMessage", params: {} })
      assert.strictEqual(Json.integer(objectOf(Json.member(yield* server.next, "error")), "code"), -32601)
    })
  )

  it.effect("joins the pages of a list, and refuses one without end", () =>
    Effect.gen(function* () {
      const { client, server } = yield* legacy()
      const tools = yield* Effect.forkChild(McpServer.fromClient(client).tools)
      yield* server.answer(yield* server.next, { tools: [{ name: "a" }], nextCursor: "2" })
      const second = yield* server.next
      assert.deepInclude(Json.member(second, "params"), { cursor: "2" })
      yield* server.answer(second, { tools: [{ name: "b" }] })
      assert.deepStrictEqual(
        (yield* Fiber.join(tools)).map(({ name }) => name),
        ["a", "b"]
      )

      const endless = yield* Effect.forkChild(Effect.flip(client.list("tools/list", "tools")))
      const serving = Effect.flatMap(server.next, (request) =>
        server.answer(request, { tools: [], nextCursor: "again" })
      )
      yield* Effect.forkChild(Effect.forever(serving))
      assert.strictEqual((yield* Fiber.join(endless)).reason, "Protocol")
    })
  )

  it.effect("says which input a modern server asks for", () =>
    Effect.gen(function* () {
      const { client, server } = yield* modern
      const call = yield* Effect.forkChild(Effect.flip(client.request("tools/call", { name: "ask" })))
      const inputRequests = { who: { method: "elicitation/create", params: {} } }
      yield* server.answer(yield* server.next, { resultType: "input_required", inputRequests })
      const error = yield* Fiber.join(call)
      assert.strictEqual(error.reason, "InputRequired")
      assert.include(error.message, "who")
    })
  )

  it.effect(
    "answers a legacy server's questions as the program does, side by side, and stops when they are withdrawn",
    () =>
      Effect.gen(function* () {
        const [near, far] = yield* DuplexPair.make
        const server = yield* serverOf(far)
        const slow = yield* Deferred.make<void>()
        const opening = yield* Effect.forkChild(
          McpClient.make(near, SELF, {
            "elicitation/create": (params) =>
              Json.string(params, "message") === "slow"
                ? Effect.onInterrupt(Effect.never, () => Deferred.succeed(slow, undefined))
                : Effect.succeed({ action: "accept", content: { name: "me" } }),
            "roots/list": () => Effect.fail({ message: "no roots today" })
          })
        )
        yield* server.refuse(yield* server.next, METHOD_NOT_FOUND)
        const initialize = yield* server.next
        const offered = Json.member(Json.member(initialize, "params") as Json.JsonObject, "capabilities")
        assert.deepStrictEqual(offered, { elicitation: {}, roots: {} })
        yield* server.answer(initialize, { protocolVersion: "2025-06-18", capabilities: {} })
        yield* server.next
        yield* Fiber.join(opening)

        yield* server.say({ id: "slow", method: "elicitation/create", params: { message: "slow" } })
        yield* server.say({ id: 7, method: "elicitation/create", params: { message: "who?" } })
        assert.deepInclude(yield* server.next, { id: 7, result: { action: "accept", content: { name: "me" } } })
        yield* server.say({ id: 8, method: "roots/list" })
        assert.deepInclude(yield* server.next, { id: 8, error: { code: -32603, message: "no roots today" } })
        yield* server.say({ id: 9, method: "sampling/createMessage", params: {} })
        assert.deepInclude(yield* server.next, {
          id: 9,
          error: { code: -32601, message: "this client offers no sampling/createMessage" }
        })
        yield* server.say({ method: "notifications/cancelled", params: { requestId: "slow" } })
        yield* Deferred.await(slow)
      })
  )

  it.effect("an answer that is too large to be read is an error, and the next call works", () =>
    Effect.gen(function* () {
      const { client, server } = yield* legacy()
      const call = yield* Effect.forkChild(Effect.flip(client.request("tools/call", { name: "big" })))
      yield* server.answer(yield* server.next, { text: "x".repeat(MESSAGE_BYTES_MAX) })
      assert.deepInclude(yield* Fiber.join(call), { reason: "Protocol", delivered: true, retryable: false })

      const next = yield* Effect.forkChild(client.request("tools/call", { name: "small" }))
      yield* server.answer(yield* server.next, { n: 1 })
      assert.deepStrictEqual(yield* Fiber.join(next), { n: 1 })
    })
  )

  it.effect("a program whose answer breaks leaves no server waiting", () =>
    Effect.gen(function* () {
      const [near, far] = yield* DuplexPair.make
      const server = yield* serverOf(far)
      const answers = { "elicitation/create": () => Effect.die(new Error("a defect of the program")) }
      const opening = yield* Effect.forkChild(McpClient.make(near, SELF, answers))
      yield* server.refuse(yield* server.next, METHOD_NOT_FOUND)
      const result = { protocolVersion: "2025-06-18", capabilities: {}, serverInfo: { name: "old", version: "3" } }
      yield* server.answer(yield* server.next, result)
      yield* server.next
      yield* Fiber.join(opening)

      yield* server.say({ id: 7, method: "elicitation/create", params: { message: "who?" } })
      assert.deepInclude(yield* server.next, {
        id: 7,
        error: { code: -32603, message: "this client could not answer" }
      })
    })
  )

  it.effect("makes a modern call again with answers and the server's state, until it has no questions (mcp §1.5)", () =>
    Effect.gen(function* () {
      const [near, far] = yield* DuplexPair.make
      const server = yield* serverOf(far)
      const opening = yield* Effect.forkChild(
        McpClient.make(near, SELF, {
          "elicitation/create": ({ message }) => Effect.succeed({ action: "accept", content: { told: message } })
        })
      )
      yield* server.answer(yield* server.next, { supportedVersions: ["2026-07-28"], capabilities: { tools: {} } })
      const client = yield* Fiber.join(opening)
      const call = yield* Effect.forkChild(client.request("tools/call", { name: "x", arguments: {} }))
      const first = yield* server.next
      const inputRequests = { who: { method: "elicitation/create", params: { message: "name?" } } }
      yield* server.answer(first, { resultType: "input_required", inputRequests, requestState: "opaque=" })

      const second = yield* server.next
      assert.notStrictEqual(Json.member(second, "id"), Json.member(first, "id"))
      assert.deepInclude(Json.member(second, "params"), {
        name: "x",
        inputResponses: { who: { action: "accept", content: { told: "name?" } } },
        requestState: "opaque="
      })
      yield* server.answer(second, { resultType: "input_required", requestState: "wait" })
      yield* TestClock.adjust("1 second")
      const third = yield* server.next
      assert.deepInclude(Json.member(third, "params"), { requestState: "wait" })
      yield* server.answer(third, { resultType: "complete", content: [] })

      assert.deepStrictEqual(yield* Fiber.join(call), { resultType: "complete", content: [] })
    })
  )

  it.effect("a question that the program does not answer ends the call, and one without end does, too", () =>
    Effect.gen(function* () {
      const { client, server } = yield* modern
      const sampling = { ask: { method: "sampling/createMessage", params: {} } }
      const call = yield* Effect.forkChild(Effect.flip(client.request("tools/call", { name: "x" })))
      yield* server.answer(yield* server.next, { resultType: "input_required", inputRequests: sampling })
      assert.deepInclude(yield* Fiber.join(call), { reason: "InputRequired", message: "the server asks for ask" })

      const endless = yield* Effect.forkChild(Effect.flip(client.request("tools/call", { name: "x" })))
      for (let round = 0; round <= 10; round++) {
        yield* server.answer(yield* server.next, { resultType: "input_required", requestState: "again" })
        yield* TestClock.adjust("2 minutes")
      }
      assert.deepInclude(yield* Fiber.join(endless), {
        reason: "InputRequired",
        message: "the server asks for another round"
      })
    })
  )
})

const objectOf = (value: Json.Json | undefined): Json.JsonObject => (Json.isObject(value) ? value : {})
