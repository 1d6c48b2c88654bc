/** Sessions that go on in another process (mcp §6.5), which dies here at every moment at which something is written. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Queue, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import type * as EdgeSession from "../../../../src/actors/mcp/edge/EdgeSession.ts"
import * as EdgeSessions from "../../../../src/actors/mcp/edge/EdgeSessions.ts"
import * as Instances from "../../../../src/actors/mcp/mount/Instances.ts"
import { MountBoard } from "../../../../src/actors/mcp/mount/MountBoard.ts"
import type { Crypto } from "../../../../src/core/crypto/Crypto.ts"
import * as PortableCrypto from "../../../../src/core/crypto/PortableCrypto.ts"
import * as Bytes from "../../../../src/core/data/Bytes.ts"
import * as StateFile from "../../../../src/core/storage/StateFile.ts"
import * as McpRig from "../../../support/McpRig.ts"
import * as ScriptedServer from "../../../support/ScriptedServer.ts"

const INITIALIZE =
  '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}}}'
const RESULT = '{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}}}}'
const INITIALIZED = '{"jsonrpc":"2.0","method":"notifications/initialized"}'
const call = (id: number, tool = "t") =>
  `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"${tool}","_meta":{"progressToken":"p${id}"}}}`
const progress = (id: number, value: number) =>
  `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p${id}","progress":${value}}}`
const answer = (id: number) => `{"jsonrpc":"2.0","id":${id},"result":{"n":${id}}}`

const NOBODY: ReadonlyArray<string> = []

/** A host, and a place where its sessions are kept. */
const station = Effect.fnUntraced(function* (rules: { readonly safe?: ReadonlyArray<string> } = {}) {
  const started = yield* Queue.unbounded<ScriptedServer.ScriptedServer>()
  const rig = yield* McpRig.make({
    services: [{ ...McpRig.service("files"), rules: { tools: [], transparent: true, identify: false, ...rules } }],
    spawn: () =>
      Effect.map(
        Effect.tap(ScriptedServer.make(), (server) => Queue.offer(started, server)),
        ({ child }) => child
      )
  })
  const clock = yield* Clock.Clock
  const nowMs = () => clock.currentTimeMillisUnsafe()
  const file = yield* StateFile.open(":memory:", { bytesMax: 16_777_216, nowMs })
  const scope = yield* Effect.scope
  let saves = 0
  /** A process; after `savesMax` writes, nothing that it does has any effect any more. */
  const live = Effect.fnUntraced(function* (savesMax = Number.POSITIVE_INFINITY, service = "files", others = NOBODY) {
    const own = yield* Scope.fork(scope, "sequential")
    let count = 0
    let isDead = false
    const state: StateFile.StateFile = {
      ...file,
      writer: (name) => {
        const writer = file.writer(name)
        return {
          save: (snapshot) => {
            if (count >= savesMax) isDead = true
            if (isDead) return true
            count++
            saves++
            return writer.save(snapshot)
          },
          remove: () => (isDead ? undefined : writer.remove())
        }
      }
    }
    const dial = Effect.flatMap(
      Effect.suspend(() => (isDead ? Effect.never : Effect.void)),
      () => rig.stream(2)
    )
    const board = new MountBoard()
    const at = (peer: string) => ({ peer, service })
    const sessions = yield* Instances.make([at("mcp-host"), ...others.map(at)], () => dial).pipe(
      Effect.flatMap((instances) => EdgeSessions.make({ ...instances, state, board })),
      Scope.provide(own)
    )
    const die = Effect.suspend(() => {
      isDead = true
      return Scope.close(own, Exit.void)
    })
    return { sessions, board, die, end: Scope.close(own, Exit.void), isDead: () => isDead }
  })
  return { rig, live, file, server: Queue.take(started), starts: Queue.size(started), saves: () => saves }
})

const post = (session: EdgeSession.EdgeSession, text: string) =>
  Effect.flatMap(session.post([Bytes.fromUtf8(text)]), (events) =>
    events === "Duplicate" ? Effect.die("a duplicate") : Effect.succeed(events ?? Stream.empty)
  )

/** Posts without reading what comes. */
const say = (session: EdgeSession.EdgeSession, text: string) => Effect.asVoid(post(session, text))

/** Reads a stream as a client does, until it ends: the messages, and the id of the last. */
class Reader {
  readonly messages: Array<string> = []
  lastEventId = ""

  read(events: Stream.Stream<Uint8Array>, isCut: () => boolean): Effect.Effect<void> {
    return Stream.runForEach(events, (event) =>
      Effect.sync(() => {
        if (isCut()) return
        const text = Bytes.toUtf8Lossy(event)
        this.lastEventId = /^id: (.*)$/m.exec(text)?.[1] ?? this.lastEventId
        const data = /^data: (.+)$/m.exec(text)?.[1]
        if (data !== undefined) this.messages.push(data)
      })
    )
  }
}

/** Opens a session; the server is a legacy one. */
const opened = Effect.fnUntraced(function* (
  { server }: Effect.Success<ReturnType<typeof station>>,
  sessions: EdgeSessions.EdgeSessions
) {
  const made = (yield* sessions.open) ?? assert.fail("no room")
  const opening = yield* post(made.session, INITIALIZE)
  const running = yield* server
  yield* running.line
  yield* running.write(`${RESULT}\n`)
  yield* Stream.runDrain(opening)
  yield* say(made.session, INITIALIZED)
  yield* running.line
  return { ...made, running }
})

const test = (name: string, body: () => Effect.Effect<void, unknown, Crypto | Scope.Scope>) =>
  it.effect(name, () => Effect.scoped(Effect.provide(body(), PortableCrypto.layer)))

/** Waits for what takes some dialling. */
const eventually = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
    while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust("100 millis")
    return yield* Fiber.join(fiber)
  })

const known = (sessions: EdgeSessions.EdgeSessions, id: string) =>
  sessions.find(id) ?? assert.fail("the session is not known")

describe("EdgeSessions", () => {
  test("a planned end: the keeper keeps the server, the next process gives the answer that came meanwhile", () =>
    Effect.gen(function* () {
      const host = yield* station()
      const first = yield* host.live()
      const { id, running, session } = yield* opened(host, first.sessions)
      const reader = new Reader()
      const reading = yield* Effect.forkChild(reader.read(yield* post(session, call(1)), () => false))
      yield* running.line
      yield* running.write(`${progress(1, 1)}\n`)
      while (reader.messages.length < 1) yield* Effect.yieldNow
      yield* first.end
      yield* Fiber.interrupt(reading)
      yield* running.write(`${progress(1, 2)}\n${answer(1)}\n`)

      const second = yield* host.live()
      const again = known(second.sessions, id)
      yield* reader.read(again.listen(reader.lastEventId) ?? Stream.empty, () => false)

      assert.deepStrictEqual(reader.messages, [progress(1, 1), progress(1, 2), answer(1)])
      assert.strictEqual(again.revision(), "2025-11-25")
      const next = yield* post(again, call(2))
      assert.strictEqual(yield* running.line, call(2))
      yield* running.write(`${answer(2)}\n`)
      assert.match((yield* Stream.runCollect(next)).map(Bytes.toUtf8).join(""), /"n":2/)
      assert.strictEqual(yield* host.starts, 0)
      yield* second.sessions.close(id)
      yield* running.stopped
      assert.deepStrictEqual(host.file.subjects(), [])
    }))

  test("killed at any write: what the client was promised comes, each message once and in order (mcp §6.5)", () =>
    Effect.gen(function* () {
      /** Two calls, the second of which begins while the first is worked on; the process dies after so many writes. */
      const story = (savesMax: number) =>
        Effect.scoped(
          Effect.gen(function* () {
            const host = yield* station()
            const first = yield* host.live()
            const { id, running, session } = yield* opened(host, first.sessions)
            yield* first.end
            const before = host.saves()
            const second = yield* host.live(savesMax)
            const readers = [new Reader(), new Reader()]
            const heard: Array<string> = []
            const isCut = second.isDead
            /** Posts whose response had begun. */
            const promised = new Set<number>()
            const ask = (n: number) =>
              Effect.gen(function* () {
                const events = yield* post(known(second.sessions, id), call(n))
                if (isCut()) return
                promised.add(n)
                yield* readers[n - 1]?.read(events, isCut) ?? Effect.void
              })
            const hear = Effect.gen(function* () {
              while (true) {
                const line = yield* running.line
                heard.push(line)
                const n = JSON.parse(line).id
                if (typeof n !== "number") continue
                yield* running.write(`${progress(n, 1)}\n`)
                yield* running.write(`${progress(n, 2)}\n${answer(n)}\n`)
              }
            })
            yield* Effect.forkScoped(hear)
            const asking = yield* Effect.forkScoped(Effect.all([ask(1), ask(2)], { concurrency: 2 }))
            while (!isCut() && asking.pollUnsafe() === undefined) yield* Effect.yieldNow
            const isDone = !isCut()
            yield* second.die
            yield* Fiber.interrupt(asking)

            const third = yield* host.live()
            const again = known(third.sessions, id)
            for (const n of promised) {
              const reader = readers[n - 1] ?? assert.fail()
              // A client that has seen no event was at least told the stream's first id.
              const from = reader.lastEventId === "" ? firstId(n) : reader.lastEventId
              yield* reader.read(again.listen(from) ?? Stream.empty, () => false)
              assert.deepStrictEqual(
                reader.messages,
                [progress(n, 1), progress(n, 2), answer(n)],
                `call ${n} after ${savesMax} writes`
              )
            }
            const calls = heard.filter((line) => line.includes("tools/call"))
            assert.strictEqual(new Set(calls).size, calls.length, `a call ran twice after ${savesMax} writes`)
            assert.strictEqual(yield* host.starts, 0)
            assert.isTrue(session !== undefined && before > 0)
            return isDone
          })
        )
      let writes = 0
      while (!(yield* story(writes))) writes++
      // Opening the session again, two calls, six messages of the server.
      assert.isAtLeast(writes, 8)
    }))

  test("the keeper restarts as well: a list runs again, another call ends with -31002, the server is opened again", () =>
    Effect.gen(function* () {
      const host = yield* station()
      const first = yield* host.live()
      const { id, running, session } = yield* opened(host, first.sessions)
      yield* say(session, call(1))
      yield* say(session, '{"jsonrpc":"2.0","id":2,"method":"tools/list"}')
      yield* running.line
      yield* running.line
      yield* first.die
      yield* host.rig.restartKeeper

      const second = yield* host.live()
      const again = known(second.sessions, id)
      const next = yield* eventually(host.server)
      assert.strictEqual(yield* next.line, INITIALIZE)
      yield* next.write(`${RESULT}\n`)
      assert.strictEqual(yield* next.line, INITIALIZED)
      assert.include(yield* next.line, "tools/list")
      yield* next.write('{"jsonrpc":"2.0","id":2,"result":{"tools":[]}}\n')
      const texts = yield* Effect.forEach([1, 2], (n) =>
        Effect.map(Stream.runCollect(again.listen(firstId(n)) ?? Stream.empty), (events) =>
          events.map(Bytes.toUtf8).join("")
        )
      )
      assert.match(texts[0] ?? "", /"id":1,"error":\{"code":-31002/)
      assert.match(texts[1] ?? "", /"tools":\[\]/)
    }))

  test("killed while its server is being opened again: the next process opens it, and the call runs", () =>
    Effect.gen(function* () {
      const host = yield* station({ safe: ["t"] })
      const first = yield* host.live()
      const { id, running, session } = yield* opened(host, first.sessions)
      yield* say(session, call(1))
      yield* running.line
      yield* host.rig.restartKeeper
      const half = yield* eventually(host.server)
      assert.strictEqual(yield* half.line, INITIALIZE)
      yield* first.die

      const second = yield* host.live()
      const next = yield* eventually(host.server)
      assert.strictEqual(yield* next.line, INITIALIZE)
      yield* next.write(`${RESULT}\n`)
      assert.strictEqual(yield* next.line, INITIALIZED)
      assert.strictEqual(yield* next.line, call(1))
      yield* next.write(`${answer(1)}\n`)
      const events = yield* Stream.runCollect(known(second.sessions, id).listen(firstId(1)) ?? Stream.empty)
      assert.match(events.map(Bytes.toUtf8).join(""), /"n":1/)
    }))

  test("progress of ours goes on above what the client has seen (mcp §6.7)", () =>
    Effect.gen(function* () {
      const host = yield* station()
      const first = yield* host.live()
      const { id, running, session } = yield* opened(host, first.sessions)
      const reader = new Reader()
      yield* Effect.forkChild(reader.read(yield* post(session, call(1)), first.isDead))
      yield* running.line
      yield* running.write(`${progress(1, 5)}\n`)
      while (reader.messages.length < 1) yield* Effect.yieldNow
      yield* first.die

      const second = yield* host.live()
      const more = yield* Effect.forkChild(
        reader.read(known(second.sessions, id).listen(reader.lastEventId) ?? Stream.empty, () => false)
      )
      yield* TestClock.adjust("16 seconds")
      while (reader.messages.length < 2) yield* Effect.yieldNow
      assert.strictEqual(JSON.parse(reader.messages[1] ?? "").params.progress, 5.000001)
      yield* running.write(`${answer(1)}\n`)
      yield* Fiber.join(more)
    }))

  test("a session that goes on says whether its server works, without a word of its client", () =>
    Effect.gen(function* () {
      const host = yield* station()
      const first = yield* host.live()
      const { running } = yield* opened(host, first.sessions)
      yield* first.die

      const second = yield* host.live()
      const asking = yield* Effect.forkChild(second.board.ask)
      const question = JSON.parse(yield* eventually(running.line))
      assert.strictEqual(question.method, "tools/list")
      yield* running.write(`{"jsonrpc":"2.0","id":${JSON.stringify(question.id)},"result":{"tools":[{"name":"t"}]}}\n`)
      yield* Fiber.join(asking)
      assert.deepInclude(second.board.sessions()[0]?.sign, { verdict: "healthy", tools: 1 })
    }))

  test("what cannot go on is forgotten: a session never opened, one of another service, one too old", () =>
    Effect.gen(function* () {
      const host = yield* station()
      const first = yield* host.live()
      const made = (yield* first.sessions.open) ?? assert.fail("no room")
      yield* say(made.session, INITIALIZE)
      yield* Effect.flatMap(host.server, ({ line }) => line)
      yield* first.die
      assert.strictEqual(host.file.subjects().length, 1)
      const second = yield* host.live()
      assert.isUndefined(second.sessions.find(made.id))
      assert.deepStrictEqual(host.file.subjects(), [])

      const { id } = yield* opened(host, second.sessions)
      yield* second.end
      yield* TestClock.adjust("16 minutes")
      const third = yield* host.live()
      assert.isUndefined(third.sessions.find(id))
      assert.deepStrictEqual(host.file.subjects(), [])

      yield* opened(host, third.sessions)
      yield* third.end
      yield* host.live(Number.POSITIVE_INFINITY, "other")
      assert.deepStrictEqual(host.file.subjects(), [])
    }))

  test("with several peers no session is kept, and one of a single peer is not taken up", () =>
    Effect.gen(function* () {
      const host = yield* station()
      const several = host.live(Number.POSITIVE_INFINITY, "files", ["other-host"])
      const first = yield* host.live()
      const { id } = yield* opened(host, first.sessions)
      yield* first.end
      assert.strictEqual(host.file.subjects().length, 1)

      const second = yield* several
      assert.isUndefined(second.sessions.find(id))
      const made = yield* opened(host, second.sessions)
      yield* second.end
      assert.deepStrictEqual(host.file.subjects(), [])
      const third = yield* several
      assert.isUndefined(third.sessions.find(made.id))
    }))
})

/** The first event id of a call's stream: each post has one, and two opened the session. */
const firstId = (n: number): string => `${n + 2}-0`
