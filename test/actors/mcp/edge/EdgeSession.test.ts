import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as EdgeSession from "../../../../src/actors/mcp/edge/EdgeSession.ts"
import * as Bytes from "../../../../src/core/data/Bytes.ts"
import * as DuplexPair from "../../../../src/core/net/DuplexPair.ts"

const bytes = Bytes.fromUtf8
const TARGET = { peer: "mcp-host", service: "files" }

/** A session, and the server's end of it. */
const make = Effect.gen(function* () {
  const [near, server] = yield* DuplexPair.make
  const session = yield* EdgeSession.make(near, TARGET)
  const say = (line: string) => server.write(bytes(`${line}\n`))
  const ask = (line: string) =>
    Effect.flatMap(session.post([bytes(line)]), (events) =>
      events === undefined || events === "Duplicate" ? Effect.die("no events") : Effect.succeed(events)
    )
  const heard = Effect.map(server.read, Bytes.toUtf8)
  return { session, server, say, ask, heard }
})

const textOf = (events: Stream.Stream<Uint8Array>) =>
  Effect.map(Stream.runCollect(events), (chunks) => chunks.map(Bytes.toUtf8).join(""))

describe("EdgeSession", () => {
  it.effect(
    "each answer and each step of progress finds its request; the rest goes to the common stream (mcp §6.5)",
    () =>
      Effect.gen(function* () {
        const { ask, say, session } = yield* make
        const first = yield* ask('{"jsonrpc":"2.0","id":1,"method":"a","params":{"_meta":{"progressToken":"t"}}}')
        const second = yield* ask('{"jsonrpc":"2.0","id":"1","method":"b"}')
        yield* say('{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"t","progress":1}}')
        yield* say('{"jsonrpc":"2.0","method":"notifications/message","params":{}}')
        yield* say('{"jsonrpc":"2.0","id":"1","result":"second"}')
        yield* say('{"jsonrpc":"2.0","id":1,"result":"first"}')

        const one = yield* textOf(first)
        const two = yield* textOf(second)
        const common = session.listen(undefined) ?? Stream.empty
        const rest = (yield* Stream.runCollect(Stream.take(common, 1))).map(Bytes.toUtf8).join("")

        assert.match(
          one,
          /^event: message\nid: 1-1\ndata: \{.*"progress":1\}\}\n\nevent: message\nid: 1-2\ndata: .*"first"\}\n\n$/
        )
        assert.match(two, /^event: message\nid: 2-1\ndata: .*"second"\}\n\n$/)
        assert.include(rest, "notifications/message")
      })
  )

  it.effect("an id that still waits is refused; so is an event id of nobody", () =>
    Effect.gen(function* () {
      const { session } = yield* make
      const once = yield* session.post([bytes('{"jsonrpc":"2.0","id":1,"method":"a"}')])
      assert.isDefined(once)
      assert.strictEqual(yield* session.post([bytes('{"jsonrpc":"2.0","id":1,"method":"a"}')]), "Duplicate")
      for (const wrong of ["", "x", "9-1", "-1-1", "1"]) assert.isUndefined(session.listen(wrong))
    })
  )

  it.effect("when the server's side ends, each call has an answer", () =>
    Effect.gen(function* () {
      const { ask, server, session } = yield* make
      const events = yield* ask('{"jsonrpc":"2.0","id":7,"method":"tools/call"}')
      yield* server.end
      assert.include(yield* textOf(events), '"id":7,"error":{"code":-31002')
      yield* session.ended
    })
  )

  it.effect("when it is closed from here, each call has an answer, and no stream goes on", () =>
    Effect.gen(function* () {
      const life = yield* Scope.make()
      const { ask, session } = yield* Scope.provide(make, life)
      const events = yield* Effect.forkChild(textOf(yield* ask('{"jsonrpc":"2.0","id":7,"method":"tools/call"}')))
      const common = yield* Effect.forkChild(Stream.runDrain(session.listen(undefined) ?? Stream.empty), {
        startImmediately: true
      })
      yield* Scope.close(life, Exit.void)

      assert.include(yield* Fiber.join(events), '"id":7,"error":{"code":-31002')
      yield* Fiber.join(common)
      yield* session.ended
    })
  )

  it.effect("a question that no client comes for is refused after ten seconds (mcp §6.5)", () =>
    Effect.gen(function* () {
      const { heard, say } = yield* make
      yield* say('{"jsonrpc":"2.0","id":"q","method":"roots/list"}')
      const answer = yield* Effect.forkChild(heard, { startImmediately: true })
      yield* Effect.yieldNow
      yield* TestClock.adjust("10 seconds")
      assert.match((yield* Fiber.join(answer)) ?? "", /"id":"q","error":\{"code":-32601/)
    })
  )

  it.effect("a client that is gone loses its session after a quarter of an hour, a listening one does not", () =>
    Effect.gen(function* () {
      const { session } = yield* make
      const ended = yield* Deferred.make<void>()
      yield* Effect.forkScoped(Effect.andThen(session.ended, Deferred.succeed(ended, undefined)))
      const listening = yield* Effect.forkChild(Stream.runDrain(session.listen(undefined) ?? Stream.empty), {
        startImmediately: true
      })
      yield* TestClock.adjust("20 minutes")
      assert.isFalse(yield* Deferred.isDone(ended))
      yield* Fiber.interrupt(listening)
      yield* TestClock.adjust("14 minutes")
      assert.isFalse(yield* Deferred.isDone(ended))
      yield* TestClock.adjust("3 minutes")
      assert.isTrue(yield* Deferred.isDone(ended))
    })
  )
})
