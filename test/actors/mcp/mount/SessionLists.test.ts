import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, FileSystem, Latch, Layer, Queue, Scope } from "effect"
import { TestClock } from "effect/testing"
import type { Moves } from "../../../../src/actors/mcp/mount/Instances.ts"
import type { ListFile } from "../../../../src/actors/mcp/mount/ListFile.ts"
import * as PinGuard from "../../../../src/actors/mcp/mount/PinGuard.ts"
import * as PinTable from "../../../../src/actors/mcp/mount/PinTable.ts"
import * as SessionLists from "../../../../src/actors/mcp/mount/SessionLists.ts"
import type { Target } from "../../../../src/actors/mcp/Target.ts"
import type { Crypto } from "../../../../src/core/crypto/Crypto.ts"
import * as PortableCrypto from "../../../../src/core/crypto/PortableCrypto.ts"
import * as Bytes from "../../../../src/core/data/Bytes.ts"
import * as FileLock from "../../../../src/core/storage/FileLock.ts"
import * as JsonRpcPeek from "../../../../src/protocol/relay/JsonRpcPeek.ts"
import type { Known } from "../../../../src/protocol/relay/KnownAnswers.ts"
import * as McpRig from "../../../support/McpRig.ts"
import { NO_MOVES } from "../../../support/NoMoves.ts"
import * as ScriptedServer from "../../../support/ScriptedServer.ts"

/** A host with one service, and what a node that uses it has on disk. */
const station = Effect.gen(function* () {
  const started = yield* Queue.unbounded<ScriptedServer.ScriptedServer>()
  const rig = yield* McpRig.make({
    services: [McpRig.service("files")],
    spawn: () =>
      Effect.map(
        Effect.tap(ScriptedServer.make(), (server) => Queue.offer(started, server)),
        ({ child }) => child
      )
  })
  let disk: ReadonlyArray<Known> = []
  const kept = Latch.makeUnsafe(false)
  const file: ListFile = {
    load: Effect.sync(() => disk),
    save: (known) =>
      Effect.sync(() => {
        disk = known
        kept.openUnsafe()
      })
  }
  /** Waits until the disk holds what is looked for: sessions save by the way. */
  const saved = Effect.fnUntraced(function* (isThere: (text: string) => boolean) {
    while (!isThere(JSON.stringify(disk))) {
      kept.closeUnsafe()
      yield* kept.await
    }
  })
  const client = Effect.fnUntraced(function* (pins?: PinGuard.PinGuard, isEager = false) {
    const duplex = yield* rig.client("files", 2, pins, undefined, undefined, file, isEager)
    const line = ScriptedServer.lines(duplex)
    const ask = (message: object) =>
      duplex.write(new TextEncoder().encode(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`))
    return { ask, hear: Effect.map(line, (text) => JSON.parse(text)), end: duplex.end }
  })
  return { client, saved, rig, server: Queue.take(started), starts: Queue.size(started) }
})

const INITIALIZE = {
  id: 0,
  method: "initialize",
  params: { protocolVersion: "2025-11-25", capabilities: { roots: {} }, clientInfo: { name: "c", version: "1" } }
}
const INITIALIZED = { method: "notifications/initialized" }
const OPENED = {
  protocolVersion: "2025-11-25",
  capabilities: { tools: { listChanged: true } },
  serverInfo: { name: "s" }
}
const tool = (name: string) => ({ name, inputSchema: { type: "object" } })
const AS_OF = { "dev.effect-pilot/asOf": "1970-01-01T00:00:00.000Z" }

const scripted = (server: ScriptedServer.ScriptedServer) => ({
  heard: Effect.map(server.line, (text) => JSON.parse(text)),
  say: (message: object) => server.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`)
})

/** A client that opens, lists two pages and leaves. */
const firstLife = Effect.fnUntraced(function* ({ client, saved, server }: Effect.Success<typeof station>) {
  const { ask, end, hear } = yield* client()
  yield* ask(INITIALIZE)
  const { heard, say } = scripted(yield* server)
  yield* heard
  yield* say({ id: 0, result: OPENED })
  yield* hear
  yield* ask(INITIALIZED)
  yield* ask({ id: 1, method: "tools/list" })
  yield* heard
  yield* heard
  yield* say({ id: 1, result: { tools: [tool("a")], nextCursor: "next" } })
  yield* hear
  yield* ask({ id: 2, method: "tools/list", params: { cursor: "next" } })
  yield* heard
  yield* say({ id: 2, result: { tools: [tool("b")] } })
  yield* hear
  yield* end
  yield* saved((text) => text.includes('\\"b\\"'))
})

/** A client that starts while the host cannot be reached, and is shown what is known. */
const secondLife = Effect.fnUntraced(function* ({ client, rig }: Effect.Success<typeof station>) {
  yield* rig.connect(false)
  const { ask, hear } = yield* client()
  yield* ask(INITIALIZE)
  assert.deepStrictEqual(yield* hear, { jsonrpc: "2.0", id: 0, result: { _meta: AS_OF, ...OPENED } })
  yield* ask(INITIALIZED)
  yield* ask({ id: "l", method: "tools/list" })
  assert.deepStrictEqual(yield* hear, {
    jsonrpc: "2.0",
    id: "l",
    result: { _meta: AS_OF, tools: [tool("a"), tool("b")] }
  })
  return { ask, hear }
})

/** The host is back, and its server is asked for what the client was shown; `pages` is what it says. */
const comeBack = Effect.fnUntraced(function* (
  { rig, server }: Effect.Success<typeof station>,
  pages: ReadonlyArray<object>
) {
  yield* rig.connect(true)
  yield* TestClock.adjust("10 seconds")
  const { heard, say } = scripted(yield* server)
  assert.deepInclude(yield* heard, { method: "initialize" })
  yield* say({ id: 0, result: OPENED })
  assert.deepInclude(yield* heard, INITIALIZED)
  for (const page of pages) {
    const question = yield* heard
    assert.strictEqual(question.method, "tools/list")
    yield* say({ id: question.id, result: page })
  }
  return { heard, say }
})

const test = (name: string, body: () => Effect.Effect<void, unknown, Crypto | Scope.Scope>) =>
  it.effect(name, () => Effect.provide(Effect.scoped(body()), PortableCrypto.layer))

describe("what a mount remembers of a service (mcp §6.9)", () => {
  test("a client's start is answered from memory while the host cannot be reached; calls end with -31001", () =>
    Effect.gen(function* () {
      const host = yield* station
      yield* firstLife(host)
      const { ask, hear } = yield* secondLife(host)
      yield* ask({ id: 7, method: "tools/call", params: { name: "a" } })
      yield* TestClock.adjust("15 seconds")
      const failed = yield* hear

      assert.deepStrictEqual([failed.id, failed.error.code, failed.error.data.delivered], [7, -31001, false])
      yield* ask({ id: 8, method: "prompts/list" })
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* hear).error.code, -31001)
      yield* ask({ id: 9, method: "tools/list" })
      assert.deepInclude((yield* hear).result, { tools: [tool("a"), tool("b")] })
    }))

  test("when it is back and lists something else, the client hears of it once, and its calls go on", () =>
    Effect.gen(function* () {
      const host = yield* station
      yield* firstLife(host)
      const { ask, hear } = yield* secondLife(host)
      yield* ask({ id: 7, method: "tools/call", params: { name: "a" } })
      const { heard, say } = yield* comeBack(host, [])
      // The call was there before the question about the list.
      const call = yield* heard
      const question = yield* heard
      yield* say({ id: question.id, result: { tools: [tool("c")] } })
      yield* say({ id: call.id, result: { content: [] } })

      assert.deepStrictEqual([call.id, question.method], [7, "tools/list"])
      assert.deepInclude(yield* hear, { method: "notifications/tools/list_changed" })
      assert.deepInclude(yield* hear, { id: 7 })
      yield* host.saved((text) => text.includes('\\"c\\"'))
    }))

  test("when it lists the same, in another order and in pages, nobody hears anything", () =>
    Effect.gen(function* () {
      const host = yield* station
      yield* firstLife(host)
      const { ask, hear } = yield* secondLife(host)
      const { heard, say } = yield* comeBack(host, [{ tools: [tool("b")], nextCursor: "n" }, { tools: [tool("a")] }])
      yield* ask({ id: 9, method: "ping" })
      yield* heard
      yield* say({ id: 9, result: {} })
      assert.deepInclude(yield* hear, { id: 9 })
    }))

  test("a list that the server has called old is not shown again, and a keeper that forgot is asked anew", () =>
    Effect.gen(function* () {
      const host = yield* station
      yield* firstLife(host)
      const { hear } = yield* secondLife(host)
      const { say } = yield* comeBack(host, [{ tools: [tool("a"), tool("b")] }])
      yield* host.rig.restartKeeper
      yield* TestClock.adjust("1 second")
      const second = scripted(yield* host.server)
      assert.deepInclude(yield* second.heard, { method: "initialize" })
      yield* second.say({ id: 0, result: OPENED })
      yield* second.heard
      const question = yield* second.heard
      yield* second.say({ id: question.id, result: { tools: [tool("d")] } })
      assert.deepInclude(yield* hear, { method: "notifications/tools/list_changed" })
      yield* second.say({ method: "notifications/tools/list_changed" })
      yield* hear

      yield* host.saved((text) => !text.includes("tools/list"))
      assert.isDefined(say)
    }))

  it.live("pins hold for what is shown from memory (mcp §6.9)", () =>
    Effect.gen(function* () {
      const host = yield* station
      yield* firstLife(host)
      yield* host.rig.connect(false)
      const path = `${yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()}/mcp-pins.json`
      const target = { peer: "mcp-host", service: "files" }
      const approved = { sha256: "of another definition", text: "" }
      yield* PinTable.save(path, [{ ...target, peerKey: "key", tool: "a", approved }])
      const pins = yield* PinGuard.make({ path, target, mode: "hold", peerKey: Effect.succeed("key") })
      const { ask, hear } = yield* host.client(pins)
      yield* ask(INITIALIZE)
      yield* hear
      yield* ask({ id: 1, method: "tools/list" })
      assert.deepInclude((yield* hear).result, { tools: [tool("b")] })
    }).pipe(Effect.scoped, Effect.provide(Layer.mergeAll(PortableCrypto.layer, NodeServices.layer, FileLock.layer)))
  )

  for (const [name, tools] of [
    ["is the same", ["a", "b"]],
    ["is another", ["c"]]
  ] as const) {
    test(`a front is told at once although the host is there, and hears when the list ${name}`, () =>
      Effect.gen(function* () {
        const host = yield* station
        yield* firstLife(host)
        const { ask, hear } = yield* host.client(undefined, true)
        yield* ask(INITIALIZE)
        assert.deepStrictEqual((yield* hear).result, { _meta: AS_OF, ...OPENED })
        yield* ask(INITIALIZED)
        // The connection is there before it lists.
        yield* TestClock.adjust("5 seconds")
        yield* ask({ id: 1, method: "tools/list" })
        assert.deepStrictEqual((yield* hear).result, { _meta: AS_OF, tools: [tool("a"), tool("b")] })

        const { heard, say } = scripted(yield* host.server)
        assert.deepInclude(yield* heard, { method: "initialize" })
        yield* say({ id: 0, result: OPENED })
        assert.deepInclude(yield* heard, INITIALIZED)
        const question = yield* heard
        yield* say({ id: question.id, result: { tools: tools.map(tool) } })
        if (tools.length === 1) assert.deepInclude(yield* hear, { method: "notifications/tools/list_changed" })
        // From now on the server says what it has.
        yield* ask({ id: 2, method: "tools/list" })
        const again = yield* heard
        assert.strictEqual(again.id, 2)
        yield* say({ id: 2, result: { tools: tools.map(tool) } })
        assert.deepStrictEqual(yield* hear, { jsonrpc: "2.0", id: 2, result: { tools: tools.map(tool) } })
      }))
  }

  test("nothing is shown to a client that can do something else", () =>
    Effect.gen(function* () {
      const host = yield* station
      yield* firstLife(host)
      yield* host.rig.connect(false)
      const { ask, hear } = yield* host.client()
      yield* ask({ ...INITIALIZE, params: { ...INITIALIZE.params, capabilities: { sampling: {} } } })
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* hear).error.code, -31001)
    }))
})

/** The lists of a session that may be at `near` or at `far`, where it is told to be, with a disk as slow as the test wants. */
const wandering = Effect.fnUntraced(function* (disk: (peer: string) => ListFile) {
  const at = { peer: "near", service: "files" }
  const others = (): ReadonlyArray<Target> => [{ ...at, peer: at.peer === "near" ? "far" : "near" }]
  const moves: Moves = {
    ...NO_MOVES,
    others,
    stay: ({ peer }) => {
      at.peer = peer
    }
  }
  const lists = yield* SessionLists.make({ target: at, fileOf: ({ peer }) => disk(peer), moves, isWhole: true })
  const peeked = (message: object) => {
    const bytes = Bytes.fromUtf8(JSON.stringify({ jsonrpc: "2.0", ...message }))
    const envelope = Effect.runSync(Effect.fromResult(JsonRpcPeek.peek(bytes)))
    return [bytes, envelope] as const
  }
  const ask = (message: object) => lists.asked(...peeked(message))
  const hear = (message: object) => lists.received(...peeked(message))
  return { at, ask, hear, lists }
})

const known = (name: string): ReadonlyArray<Known> => [
  { client: "c", answers: { "tools/list": { isError: false, raw: `{"tools":[{"name":"${name}"}]}`, asOfMs: 0 } } }
]

describe("what a mount of several instances remembers of each", () => {
  test("a file that is read slowly is nothing to an instance that the session has gone to meanwhile", () =>
    Effect.gen(function* () {
      const slow = yield* Deferred.make<ReadonlyArray<Known>>()
      const saved = yield* Queue.unbounded<readonly [string, ReadonlyArray<Known>]>()
      const { ask, at, hear, lists } = yield* wandering((peer) => ({
        load: peer === "near" ? Deferred.await(slow) : Effect.succeed([]),
        save: (clients) => Effect.asVoid(Queue.offer(saved, [peer, clients] as const))
      }))
      const leaving = yield* Effect.forkChild(lists.leave, { startImmediately: true })
      at.peer = "far"
      lists.returned(true)
      ask(INITIALIZE)
      hear({ id: 0, result: OPENED })
      yield* Deferred.succeed(slow, known("of near"))
      yield* Fiber.join(leaving)

      assert.isUndefined(ask({ id: 1, method: "tools/list" }), "it can be reached: its server is asked")
      assert.strictEqual(at.peer, "far", "where the connection is")
      hear({ id: 1, result: { tools: [tool("of far")] } })
      const [peer, clients] = yield* Queue.take(saved)
      assert.strictEqual(peer, "far")
      assert.notInclude(JSON.stringify(clients), "of near")
    }))

  test("a session that ends while it saves saves once more", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const saved: Array<string> = []
      const scope = yield* Scope.make()
      const { ask, hear } = yield* Scope.provide(
        wandering(() => ({
          load: Effect.succeed([]),
          save: (clients) =>
            Effect.suspend(() => {
              if (!Deferred.isDoneUnsafe(begun)) return Effect.andThen(Deferred.succeed(begun, undefined), Effect.never)
              saved.push(JSON.stringify(clients))
              return Effect.void
            })
        })),
        scope
      )
      ask(INITIALIZE)
      hear({ id: 0, result: OPENED })
      yield* Deferred.await(begun)
      yield* Scope.close(scope, Exit.void)

      assert.lengthOf(saved, 1)
      assert.include(saved[0], "serverInfo")
    }))
})
