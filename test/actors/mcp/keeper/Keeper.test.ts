import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Queue, Result, type Scope } from "effect"
import { TestClock } from "effect/testing"
import * as FrameStream from "../../../../src/actors/mcp/FrameStream.ts"
import { STDIO_MESSAGE_BYTES_MAX } from "../../../../src/protocol/relay/RelayControl.ts"
import { Frame } from "../../../../src/protocol/relay/RelayFrame.ts"
import * as Address from "../../../../src/protocol/wire/Address.ts"
import * as DuplexPair from "../../../support/DuplexPair.ts"
import * as McpRig from "../../../support/McpRig.ts"
import * as ScriptedServer from "../../../support/ScriptedServer.ts"

const station = Effect.gen(function* () {
  const started = yield* Queue.unbounded<ScriptedServer.ScriptedServer>()
  const rig = yield* McpRig.make({
    services: [
      McpRig.service("files"),
      McpRig.service("other"),
      { ...McpRig.service("roomy"), rules: { tools: [], transparent: true, identify: false, sessions: 20 } }
    ],
    spawn: () =>
      Effect.map(
        Effect.tap(ScriptedServer.make(), (server) => Queue.offer(started, server)),
        ({ child }) => child
      )
  })
  return { rig, server: Queue.take(started), starts: Queue.size(started) }
})

const KEY = "k".repeat(43)
const hello = (changes: object = {}) =>
  Frame.Hello({ hello: { v: 1, session: "0".repeat(32), resumeKey: KEY, rx: 0, service: "files", ...changes } })
const data = (seq: number, text: string) =>
  Frame.Data({ seq, last: true, rel: undefined, payload: new TextEncoder().encode(text) })
const call = (id: number) => `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"t"}}`

/** A stream that has said HELLO, and the answer. */
const greeted = Effect.fnUntraced(function* (rig: McpRig.McpRig, node: number, changes: object = {}) {
  const stream = FrameStream.make(yield* rig.stream(node))
  yield* stream.send(hello(changes))
  return { stream, answer: yield* stream.next }
})

/** What the answer is: the reason of a BYE, or whether a WELCOME resumed. */
const kind = (frame: Frame): string | boolean | undefined =>
  frame._tag === "Bye" ? frame.bye.reason : frame._tag === "Welcome" ? frame.welcome.resumed : undefined

const test = (name: string, body: () => Effect.Effect<void, unknown, Scope.Scope>) => it.effect(name, body)

describe("Keeper", () => {
  test("a stranger cannot tell a service that exists from one that does not (mcp §8, rule 2)", () =>
    Effect.gen(function* () {
      const { rig, starts } = yield* station
      const answers = yield* Effect.forEach([{}, { service: "nothing" }], (changes) => greeted(rig, 99, changes))

      assert.deepStrictEqual(answers[0]?.answer, Frame.Bye({ bye: { reason: "denied" } }))
      assert.deepStrictEqual(answers[1]?.answer, answers[0]?.answer)
      assert.strictEqual(yield* starts, 0)
    }))

  test("a session is resumed only with its key, by its peer, for its service (mcp §6.2)", () =>
    Effect.gen(function* () {
      const { rig } = yield* station
      assert.isFalse(kind((yield* greeted(rig, 2)).answer))

      assert.strictEqual(kind((yield* greeted(rig, 2, { resumeKey: "x".repeat(43) })).answer), "denied")
      assert.strictEqual(kind((yield* greeted(rig, 2, { service: "other" })).answer), "denied")
      assert.isFalse(kind((yield* greeted(rig, 3)).answer))
      assert.isTrue(kind((yield* greeted(rig, 2)).answer))
    }))

  test("a HELLO from a state that the keeper has not gives a newer epoch (mcp §6.2)", () =>
    Effect.gen(function* () {
      const { rig } = yield* station
      const { answer } = yield* greeted(rig, 2, { rx: 5, epoch: 3 })
      assert.deepInclude(answer._tag === "Welcome" ? answer.welcome : {}, { resumed: false, epoch: 4, rx: 0 })
      const again = yield* greeted(rig, 2, { rx: 7, epoch: 4 })
      assert.deepInclude(again.answer._tag === "Welcome" ? again.answer.welcome : {}, { resumed: false, epoch: 5 })
    }))

  test("a newer stream displaces the older one (mcp §6.2)", () =>
    Effect.gen(function* () {
      const { rig } = yield* station
      const first = yield* greeted(rig, 2)
      yield* greeted(rig, 2)

      const frames = yield* readAll(first.stream)
      assert.deepStrictEqual(frames.at(-1), Frame.Bye({ bye: { reason: "displaced" } }))
    }))

  test("an older stream that takes nothing any more does not hold up the newer one", () =>
    Effect.gen(function* () {
      const { rig } = yield* station
      const pair = yield* DuplexPair.make()
      let isTaking = true
      const duplex = {
        ...pair.right,
        write: (bytes: Uint8Array) => (isTaking ? pair.right.write(bytes) : Effect.never)
      }
      yield* Effect.forkScoped(rig.keeper().serve({ duplex, remote: Address.make(0, 2) }))
      const stream = FrameStream.make(pair.left)
      yield* stream.send(hello())
      yield* stream.next
      isTaking = false

      assert.isTrue(kind((yield* greeted(rig, 2)).answer))
    }))

  test("another version of the relay is told so (mcp §6.2)", () =>
    Effect.gen(function* () {
      const { rig } = yield* station
      assert.strictEqual(kind((yield* greeted(rig, 2, { v: 2 })).answer), "version")
    }))

  test("a stream that says nothing, garbage, or the wrong thing first is closed", () =>
    Effect.gen(function* () {
      const { rig } = yield* station
      const openings = [new Uint8Array(0), Uint8Array.of(0xff, 0xff, 0xff, 0xff, 1), new TextEncoder().encode("{}\n")]
      for (const opening of openings) {
        const duplex = yield* rig.stream(2)
        if (opening.length > 0) yield* duplex.write(opening)
        yield* TestClock.adjust("11 seconds")
        assert.isTrue(Result.isFailure(yield* Effect.result(duplex.read)))
      }
      const stream = FrameStream.make(yield* rig.stream(2))
      yield* stream.send(data(1, call(1)))
      assert.isTrue(Result.isFailure(yield* Effect.result(stream.next)))
    }))

  test("a peer has 4 sessions of a service, of which an unused one gives way (mcp §6.4)", () =>
    Effect.gen(function* () {
      const { rig } = yield* station
      const sessions = yield* Effect.forEach([1, 2, 3, 4], (index) =>
        greeted(rig, 2, { session: String(index).repeat(32) })
      )
      assert.strictEqual(kind((yield* greeted(rig, 2, { session: "5".repeat(32) })).answer), "overloaded")
      assert.isFalse(kind((yield* greeted(rig, 3, { session: "5".repeat(32) })).answer))
      yield* sessions[0]?.stream.end ?? Effect.void
      yield* TestClock.adjust("100 millis")
      assert.isFalse(kind((yield* greeted(rig, 2, { session: "6".repeat(32) })).answer))
    }))

  test("of one peer 16 streams are looked at, 256 wait for their turn, and more are refused (mcp §6.4)", () =>
    Effect.gen(function* () {
      const { rig } = yield* station
      for (let count = 0; count < 16; count++) yield* rig.stream(4)
      const seventeenth = yield* Effect.forkChild(greeted(rig, 4, { session: "7".repeat(32) }))
      yield* TestClock.adjust("1 second")
      assert.isUndefined(seventeenth.pollUnsafe())
      assert.isFalse(kind((yield* greeted(rig, 3, { session: "7".repeat(32) })).answer))

      for (let count = 0; count < 255; count++) yield* rig.stream(4)
      yield* TestClock.adjust("1 second")
      const last = yield* rig.stream(4)
      assert.isTrue(Result.isFailure(yield* Effect.result(last.read)))

      // Those before it have said nothing.
      yield* TestClock.adjust("10 seconds")
      assert.isFalse(kind((yield* Fiber.join(seventeenth)).answer))
    }))

  test("an owner may give each peer more sessions, which then may also start faster (mcp §6.4)", () =>
    Effect.gen(function* () {
      const { rig, server } = yield* station
      const id = (index: number) => index.toString(16).padStart(32, "0")
      const open = (index: number) => greeted(rig, 2, { session: id(index), service: "roomy" })
      for (let index = 1; index <= 20; index++) {
        const { answer, stream } = yield* open(index)
        assert.isFalse(kind(answer))
        yield* stream.send(data(1, call(1)))
        yield* server
      }
      assert.strictEqual(kind((yield* open(21)).answer), "overloaded")
      // What the owner gave for one service takes nothing from the others.
      assert.isFalse(kind((yield* greeted(rig, 2, { session: id(22) })).answer))
    }))

  test("a server that dies as soon as it is started is not started without end (mcp §6.4)", () =>
    Effect.gen(function* () {
      const { rig, server } = yield* station
      const { stream } = yield* greeted(rig, 2)
      let overloaded = 0
      for (let id = 1; id <= 20; id++) {
        yield* stream.send(data(id, call(id)))
        if (id <= 16) {
          const running = yield* server
          yield* running.line
          yield* running.die
        }
        if ((yield* nextPayload(stream)).includes("-31007")) overloaded++
      }

      assert.strictEqual(overloaded, 4)
    }))

  test("messages that are no messages are dropped, and those over the limit answered (mcp §6.8)", () =>
    Effect.gen(function* () {
      const { rig, server } = yield* station
      const { stream } = yield* greeted(rig, 2)
      yield* stream.send(data(1, "not json"))
      yield* stream.send(data(2, '{"id":1,"id":2,"method":"x"}'))
      yield* stream.send(data(3, call(3)))
      const running = yield* server
      assert.strictEqual(yield* running.line, call(3))
      const text = (sizeBytes: number) => `{"result":"${"x".repeat(sizeBytes)}","id":3}`
      yield* running.write(`${text(STDIO_MESSAGE_BYTES_MAX)}\n`)

      // The client of this session takes 16 MiB, so it gets what a stdio client could not.
      const frame = yield* Effect.repeat(stream.next, { until: ({ _tag }) => _tag === "Data" })
      assert.strictEqual(frame._tag === "Data" ? frame.payload.length : 0, 65_536)
    }))

  test("plain lines are served on a service's own port, and only there (mcp §6.2)", () =>
    Effect.gen(function* () {
      const { rig, server } = yield* station
      const duplex = yield* rig.stream(2, "files")
      yield* duplex.write(new TextEncoder().encode(`${call(1)}\n`))
      const running = yield* server
      assert.strictEqual(yield* running.line, call(1))
      yield* running.write('{"id":1,"result":{}}\n')
      assert.strictEqual(yield* ScriptedServer.lines(duplex), '{"id":1,"result":{}}')
      assert.strictEqual((yield* rig.keeper().status).length, 1)
      yield* duplex.end
      yield* running.stopped

      const stranger = yield* rig.stream(99, "files")
      yield* stranger.write(new TextEncoder().encode(`${call(1)}\n`))
      assert.isTrue(Result.isFailure(yield* Effect.result(stranger.read)))
    }))

  test("the last line of a client or a server counts without its newline (mcp §2.1)", () =>
    Effect.gen(function* () {
      const { rig, server } = yield* station
      const duplex = yield* rig.stream(2, "files")
      yield* duplex.write(new TextEncoder().encode(call(1)))
      yield* duplex.end
      const running = yield* server
      assert.strictEqual(yield* running.line, call(1))
      yield* running.write('{"jsonrpc":"2.0","id":1,"result":{}}')
      yield* running.close

      assert.strictEqual(yield* ScriptedServer.lines(duplex), '{"jsonrpc":"2.0","id":1,"result":{}}')
      yield* TestClock.adjust("1 second")
    }))

  test("credit that a client grants is never exceeded (mcp §6.8)", () =>
    Effect.gen(function* () {
      const { rig, server } = yield* station
      const { stream } = yield* greeted(rig, 2, { limits: { frame: 1024, message: 1_048_576, window: 65_536 } })
      yield* stream.send(data(1, call(1)))
      const running = yield* server
      yield* running.line
      yield* running.write(`{"id":1,"result":"${"x".repeat(200_000)}"}\n`)
      yield* TestClock.adjust("1 second")

      const frames = yield* readNow(stream)
      const payloads = frames.flatMap((frame) => (frame._tag === "Data" ? [frame.payload.length] : []))
      assert.strictEqual(
        payloads.reduce((sum, sizeBytes) => sum + sizeBytes, 0),
        65_536
      )
      assert.isTrue(payloads.every((sizeBytes) => sizeBytes <= 1024))
    }))
})

/** The payload of the next DATA frame. */
const nextPayload = (stream: FrameStream.FrameStream): Effect.Effect<string, FrameStream.StreamLost> =>
  Effect.flatMap(stream.next, (frame) =>
    frame._tag === "Data" ? Effect.succeed(new TextDecoder().decode(frame.payload)) : nextPayload(stream)
  )

/** Every frame until the stream ends. */
const readAll = (stream: FrameStream.FrameStream): Effect.Effect<ReadonlyArray<Frame>> =>
  Effect.gen(function* () {
    const frames: Array<Frame> = []
    yield* Effect.ignore(Effect.forever(Effect.map(stream.read, (more) => frames.push(...more))))
    return frames
  })

/** Every frame that is there. */
const readNow = (stream: FrameStream.FrameStream): Effect.Effect<ReadonlyArray<Frame>> =>
  Effect.gen(function* () {
    const frames: Array<Frame> = []
    const reading = yield* Effect.forkChild(
      Effect.ignore(Effect.forever(Effect.map(stream.read, (more) => frames.push(...more))))
    )
    yield* TestClock.adjust("1 second")
    reading.interruptUnsafe()
    return frames
  })
