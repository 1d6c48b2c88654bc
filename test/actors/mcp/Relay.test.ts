import { assert, describe, it } from "@effect/vitest"
import { type Duration, Effect, Fiber, Queue, type Scope } from "effect"
import { TestClock } from "effect/testing"
import type { Crypto } from "../../../src/core/crypto/Crypto.ts"
import * as PortableCrypto from "../../../src/core/crypto/PortableCrypto.ts"
import * as Json from "../../../src/core/data/Json.ts"
import type { Duplex } from "../../../src/core/net/Duplex.ts"
import type * as DuplexPair from "../../support/DuplexPair.ts"
import * as Recordings from "../../support/McpRecordings.ts"
import * as McpRig from "../../support/McpRig.ts"
import * as ScriptedServer from "../../support/ScriptedServer.ts"

/** A rig whose servers the test drives: each start appears in `started`. */
const station = Effect.fnUntraced(function* (
  options: { readonly pieceBytes?: number; readonly capacity?: number } = {}
) {
  const started = yield* Queue.unbounded<ScriptedServer.ScriptedServer>()
  const rig = yield* McpRig.make({
    ...options,
    services: [McpRig.service("files"), McpRig.service("other")],
    spawn: () =>
      Effect.tap(ScriptedServer.make(options), (server) => Queue.offer(started, server)).pipe(
        Effect.map(({ child }) => child)
      )
  })
  return { rig, server: Queue.take(started), starts: Queue.size(started) }
})

/** A client in the hands of the test. */
const clientOf = (duplex: Duplex<DuplexPair.Cut>) => ({
  write: (text: string) => duplex.write(new TextEncoder().encode(text)),
  line: ScriptedServer.lines(duplex),
  end: duplex.end
})

const open = (rig: McpRig.McpRig, service = "files", node = 2) => Effect.map(rig.client(service, node), clientOf)

/** Lets every fiber run, and time pass. */
const pass = (duration: Duration.Input) => TestClock.adjust(duration)

const errorIn = (line: string) => {
  const error = Json.member(Json.parseObject(line) ?? {}, "error")
  return Json.isObject(error)
    ? { code: error["code"], data: error["data"], message: String(error["message"]) }
    : undefined
}

const test = (name: string, body: () => Effect.Effect<void, unknown, Crypto | Scope.Scope>) =>
  it.effect(name, () => Effect.provide(body(), PortableCrypto.layer))

const INITIALIZE = '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}'
const INITIALIZED = '{"jsonrpc":"2.0","method":"notifications/initialized"}'
const INITIALIZE_RESULT =
  '{"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}}},"jsonrpc":"2.0","id":0}'
const call = (id: number | string) => `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"t"}}`
const result = (id: number | string) => `{"result":{},"jsonrpc":"2.0","id":${id}}`

describe("the relay between Shim and Keeper", () => {
  for (const recording of Recordings.stdio) {
    test(`passes the recorded session ${recording.id} on, byte for byte (mcp §3.2)`, () =>
      Effect.gen(function* () {
        const { rig, server } = yield* station({ pieceBytes: 100 })
        const client = yield* open(rig)
        let running: ScriptedServer.ScriptedServer | undefined

        for (const { dir, msg } of recording.steps) {
          if (msg === undefined) continue
          const text = JSON.stringify(msg)
          if (dir === "c2s") yield* client.write(`${text}\n`)
          running ??= yield* server
          if (dir === "s2c") yield* running.write(`${text}\n`)
          assert.strictEqual(yield* dir === "c2s" ? running.line : client.line, text)
        }
      }))
  }

  test("bytes that a JSON library would change arrive as they were (mcp §3.2)", () =>
    Effect.gen(function* () {
      const { rig, server } = yield* station({ pieceBytes: 7 })
      const client = yield* open(rig)
      const odd = '{ "id":9007199254740993,"method":"tools/call","params":{"a":1.0,"b":1e400,"c":"\\u0041𝄞\u2028"} }'
      yield* client.write(`${odd}\r\n\n`)
      const running = yield* server
      assert.strictEqual(yield* running.line, odd)
      yield* running.write('{"id":9007199254740993,"result":{"x":1.10}}\n')
      assert.strictEqual(yield* client.line, '{"id":9007199254740993,"result":{"x":1.10}}')
    }))

  test("a server is started by the first request, and by nothing else (mcp §6.4)", () =>
    Effect.gen(function* () {
      const { rig, server, starts } = yield* station()
      const client = yield* open(rig)
      yield* client.write(`${INITIALIZED}\n${result(1)}\n`)
      yield* pass("100 millis")
      assert.strictEqual(yield* starts, 0)

      yield* client.write(`${call(1)}\n`)
      assert.strictEqual(yield* (yield* server).line, call(1))
    }))

  test("a call that asked for progress hears every 15 s that it is waited for, also over five silent minutes (mcp §6.7)", () =>
    Effect.gen(function* () {
      const { rig, server } = yield* station()
      const client = yield* open(rig)
      const asks = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","_meta":{"progressToken":"p"}}}'
      yield* client.write(`${asks}\n`)
      const running = yield* server
      assert.strictEqual(yield* running.line, asks)
      let last = 0
      for (let sign = 0; sign < 20; sign++) {
        yield* pass("15 seconds")
        const { method, params } = JSON.parse(yield* client.line)
        assert.strictEqual(method, "notifications/progress")
        assert.deepInclude(params, { progressToken: "p", message: "waiting for files on mcp-host" })
        assert.isAbove(params.progress, last)
        last = params.progress
      }
      const step = '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":1}}'
      yield* running.write(`${step}\n${result(1)}\n`)
      assert.strictEqual(yield* client.line, step)
      assert.strictEqual(yield* client.line, result(1))

      yield* client.write(`${call(2)}\n`)
      assert.strictEqual(yield* running.line, call(2))
      yield* pass("5 minutes")
      yield* running.write(`${result(2)}\n`)
      assert.strictEqual(yield* client.line, result(2))
    }))

  test("calls wait for a peer that comes back, and end with -31001 if it does not (mcp §6.2)", () =>
    Effect.gen(function* () {
      const { rig, server } = yield* station()
      yield* rig.connect(false)
      const client = yield* open(rig)
      yield* client.write(`${call(1)}\n`)
      yield* pass("3 seconds")
      yield* rig.connect(true)
      yield* pass("8 seconds")
      const running = yield* server
      assert.strictEqual(yield* running.line, call(1))

      yield* rig.connect(false)
      yield* client.write(`${call(2)}\n`)
      yield* pass("30 seconds")

      const [first, second] = [errorIn(yield* client.line), errorIn(yield* client.line)]
      assert.deepStrictEqual([first?.code, second?.code], [-31002, -31001])
      assert.deepStrictEqual(first?.data, { retryable: false, delivered: true, service: "files", peer: "mcp-host" })
      assert.deepStrictEqual(second?.data, { retryable: true, delivered: false, service: "files", peer: "mcp-host" })
      assert.include(second?.message, "mcp-host does not answer.")
    }))

  test("a call whose path dies without a word ends with -31002 before clients give up (mcp §6.2)", () =>
    Effect.gen(function* () {
      const { rig, server } = yield* station()
      const client = yield* open(rig)
      yield* client.write(`${call(1)}\n`)
      yield* (yield* server).line
      yield* pass("1 second")
      yield* rig.stall
      yield* pass("45 seconds")

      assert.strictEqual(errorIn(yield* client.line)?.code, -31002)
    }))

  test("a call that runs while the stream is cut gets its answer on the next (mcp §6.2)", () =>
    Effect.gen(function* () {
      const { rig, server } = yield* station()
      const client = yield* open(rig)
      yield* client.write(`${call(1)}\n`)
      const running = yield* server
      yield* running.line
      yield* rig.connect(false)
      yield* running.write(`${result(1)}\n`)
      yield* pass("1 second")
      yield* rig.connect(true)
      yield* pass("5 seconds")

      assert.strictEqual(yield* client.line, result(1))
    }))

  test("after the server's death a new one hears the opening again before the next call (mcp §6.3)", () =>
    Effect.gen(function* () {
      const { rig, server } = yield* station()
      const client = yield* open(rig)
      const first = yield* opened(client, server)
      yield* client.write(`${call(1)}\n`)
      yield* first.line
      yield* first.die
      assert.strictEqual(errorIn(yield* client.line)?.code, -31002)

      yield* client.write(`${call(2)}\n`)
      const second = yield* server
      assert.strictEqual(yield* second.line, INITIALIZE)
      yield* second.write(`${INITIALIZE_RESULT}\n`)
      assert.strictEqual(yield* second.line, INITIALIZED)
      assert.strictEqual(yield* second.line, call(2))
      yield* second.write(`${result(2)}\n`)
      assert.strictEqual(yield* client.line, result(2))
    }))

  test("a server that comes back as another one ends the session (mcp §6.3)", () =>
    Effect.gen(function* () {
      const { rig, server } = yield* station()
      const client = yield* open(rig)
      const first = yield* opened(client, server)
      yield* first.die
      yield* client.write(`${call(2)}\n`)
      const second = yield* server
      yield* second.line
      yield* second.write('{"result":{"protocolVersion":"2024-11-05","capabilities":{}},"jsonrpc":"2.0","id":0}\n')
      yield* pass("5 seconds")

      assert.deepInclude(errorIn(yield* client.line), { code: -31002 })
    }))

  test("a restarted keeper is told the opening by the shim, and calls in flight end with -31002 (mcp §6.3)", () =>
    Effect.gen(function* () {
      const { rig, server } = yield* station()
      const client = yield* open(rig)
      yield* opened(client, server)
      yield* client.write(`${call(1)}\n`)
      yield* pass("100 millis")
      yield* rig.restartKeeper
      yield* pass("1 second")
      assert.strictEqual(errorIn(yield* client.line)?.code, -31002)

      yield* client.write(`${call(2)}\n`)
      const second = yield* server
      assert.strictEqual(yield* second.line, INITIALIZE)
      yield* second.write(`${INITIALIZE_RESULT}\n`)
      assert.strictEqual(yield* second.line, INITIALIZED)
      assert.strictEqual(yield* second.line, call(2))
    }))

  test("an answer meant for a dead server does not reach the next one", () =>
    Effect.gen(function* () {
      const { rig, server } = yield* station()
      const client = yield* open(rig)
      const first = yield* opened(client, server)
      yield* first.write('{"jsonrpc":"2.0","id":7,"method":"sampling/createMessage"}\n')
      yield* client.line
      yield* first.die
      yield* client.write(`${call(1)}\n`)
      const second = yield* server
      yield* second.line
      yield* second.write(`${INITIALIZE_RESULT}\n`)
      yield* second.line
      yield* second.line
      yield* client.write(`${result(7)}\n${call(2)}\n`)

      assert.strictEqual(yield* second.line, call(2))
    }))

  test("when the client closes, running calls are cancelled and the server is stopped (mcp §6.2)", () =>
    Effect.gen(function* () {
      const { rig, server } = yield* station()
      const client = yield* open(rig)
      yield* client.write(`${call('"a"')}\n`)
      const running = yield* server
      yield* running.line
      yield* client.end
      yield* pass("15 seconds")

      assert.deepInclude(Json.parseObject(yield* running.line), {
        method: "notifications/cancelled",
        params: { requestId: "a" }
      })
      yield* running.stopped
      assert.deepStrictEqual(yield* rig.keeper().status, [])
    }))

  test("a client that closes at once after its request still gets the answer", () =>
    Effect.gen(function* () {
      const { rig, server } = yield* station()
      const client = yield* open(rig)
      yield* client.write(`${call(1)}`)
      yield* client.end
      const running = yield* server
      yield* running.line
      yield* running.write(`${result(1)}\n`)

      assert.strictEqual(yield* client.line, result(1))
    }))

  test("the 257th unanswered request is refused with -31007 (mcp §6.8)", () =>
    Effect.gen(function* () {
      const { rig, server } = yield* station({ capacity: 1000 })
      const client = yield* open(rig)
      for (let id = 0; id < 257; id++) yield* client.write(`${call(id)}\n`)
      yield* server

      const refused = yield* client.line
      assert.strictEqual(errorIn(refused)?.code, -31007)
      assert.include(refused, '"id":256')
    }))

  test("a client that reads nothing stops the server's output, and nothing is lost (mcp §6.8)", () =>
    Effect.gen(function* () {
      const { rig, server } = yield* station({ capacity: 2 })
      const client = yield* open(rig)
      yield* client.write(`${call(1)}\n`)
      const running = yield* server
      yield* running.line
      const big = (index: number) =>
        `{"jsonrpc":"2.0","method":"notifications/message","params":{"n":${index},"x":"${"x".repeat(500_000)}"}}`
      let written = 0
      const writing = yield* Effect.forkChild(
        Effect.forEach(
          Array.from({ length: 100 }, (_, index) => index),
          (index) =>
            Effect.andThen(
              running.write(`${big(index)}\n`),
              Effect.sync(() => written++)
            )
        )
      )
      yield* pass("5 seconds")
      // 4 MiB of credit, 16 MiB unconfirmed, and what the pipes between hold: never all of the 50 MB.
      assert.isBelow(written, 60)

      for (let index = 0; index < 100; index++) {
        const line = yield* Effect.raceFirst(client.line, Effect.forever(pass("20 millis")))
        assert.isTrue(line === big(index), `message ${index}`)
      }
      yield* Fiber.join(writing)
    }))

  test("a peer that is no longer allowed loses its sessions (security rule 3)", () =>
    Effect.gen(function* () {
      const { rig, server } = yield* station()
      const client = yield* open(rig)
      yield* client.write(`${call(1)}\n`)
      const running = yield* server
      yield* running.line
      rig.allowed.delete(2)
      yield* rig.keeper().recheck
      yield* pass("2 seconds")

      assert.strictEqual(errorIn(yield* client.line)?.code, -31002)
      yield* client.write(`${call(2)}\n`)
      yield* pass("10 seconds")
      assert.strictEqual(errorIn(yield* client.line)?.code, -31003)
      yield* running.stopped
    }))

  test("a session without a stream is given up after its linger (mcp §6.2)", () =>
    Effect.gen(function* () {
      const { rig, server } = yield* station()
      const client = yield* open(rig)
      const running = yield* opened(client, server)
      yield* rig.connect(false)
      yield* pass("299 seconds")
      assert.strictEqual((yield* rig.keeper().status).length, 1)
      yield* pass("2 seconds")

      assert.deepStrictEqual(yield* rig.keeper().status, [])
      yield* running.stopped
    }))
})

/** Opens a legacy session. */
const opened = Effect.fnUntraced(function* (
  client: ReturnType<typeof clientOf>,
  server: Effect.Effect<ScriptedServer.ScriptedServer>
) {
  yield* client.write(`${INITIALIZE}\n`)
  const running = yield* server
  yield* running.line
  yield* running.write(`${INITIALIZE_RESULT}\n`)
  yield* client.line
  yield* client.write(`${INITIALIZED}\n`)
  yield* running.line
  return running
})
