/** Sessions that go on in another process (mcp §6.5), which dies here at every moment at which something is written. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Queue, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import type * as EdgeSession from "../../../../src/actors/mcp/edge/EdgeSession.ts"
import * as EdgeSessions from "../../../../src/actors/mcp/edge/EdgeSessions.ts"
import * as Instances from "../../../../src/actors/mcp/mount/Instances.ts"
import { MountBoard } from "../../../../src/actors/mcp/mount/MountBoard.ts"
import { CannotReach } from "../../../../src/actors/mcp/mount/ShimFailure.ts"
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
const LIST = '{"jsonrpc":"2.0","id":2,"method":"tools/list"}'
const LISTED = '{"jsonrpc":"2.0","id":2,"result":{"tools":[]}}'
const answer = (id: number) => `{"jsonrpc":"2.0","id":${id},"result":{"n":${id}}}`

const NOBODY: ReadonlyArray<string> = []
const OTHER = ["other-host"]

interface Rules {
  readonly safe?: ReadonlyArray<string>
}

/** A host with the service, and the servers that it starts. */
const hosting = Effect.fnUntraced(function* (rules: Rules) {
  const started = yield* Queue.unbounded<ScriptedServer.ScriptedServer>()
  const rig = yield* McpRig.make({
    services: [{ ...McpRig.service("files"), rules: { tools: [], transparent: true, identify: false, ...rules } }],
    spawn: () =>
      Effect.map(
        Effect.tap(ScriptedServer.make(), (server) => Queue.offer(started, server)),
        ({ child }) => child
      )
  })
  return { rig, server: Queue.take(started), starts: Queue.size(started) }
})

/** A host, another one with the same service, and a place where sessions are kept. */
const station = Effect.fnUntraced(function* (rules: Rules = {}) {
  const host = yield* hosting(rules)
  const { rig } = host
  const other = yield* hosting(rules)
  /** Hosts that cannot be reached. */
  const down = new Set<string>()
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
    const dial = ({ peer }: { readonly peer: string }) =>
      Effect.suspend(() => {
        if (isDead) return Effect.never
        if (down.has(peer)) return new CannotReach({ kind: "unreachable", detail: `no ${peer}`, isFinal: false })
        return (peer === "mcp-host" ? rig : other.rig).stream(2)
      })
    const board = new MountBoard()
    const at = (peer: string) => ({ peer, service })
    const sessions = yield* Instances.make([at("mcp-host"), ...others.map(at)], dial).pipe(
      Effect.flatMap((instances) => EdgeSessions.make({ ...instances, state, board })),
      Scope.provide(own)
    )
    const die = Effect.suspend(() => {
      isDead = true
      return Scope.close(own, Exit.void)
    })
    return { sessions, board, die, end: Scope.close(own, Exit.void), isDead: () => isDead }
  })
  return { ...host, down, other, live, file, saves: () => saves }
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
  { server }: Pick<Effect.Success<ReturnType<typeof station>>, "server">,
  sessions: EdgeSessions.EdgeSessions
) {
  const made = (yield* sessions.open) ?? assert.fail("no room")
  const opening = yield* post(made.session, INITIALIZE)
  const running = yield* eventually(server)
  yield* running.line
  yield* running.write(`${RESULT}\n`)
  yield* Stream.runDrain(opening)
  yield* say(made.session, INITIALIZED)
  yield* running.line
  return { ...made, running }
})

/** A call, 1, and a list, 2, have reached the server. */
const busy = Effect.fnUntraced(function* (session: EdgeSession.EdgeSession, running: ScriptedServer.ScriptedServer) {
  yield* say(session, call(1))
  yield* say(session, LIST)
  yield* running.line
  yield* running.line
})

/** A server in the place of that one is opened as it was, and asked for the list again, but not called. */
const openedAnew = Effect.fnUntraced(function* (next: ScriptedServer.ScriptedServer) {
  assert.strictEqual(yield* next.line, INITIALIZE)
  yield* next.write(`${RESULT}\n`)
  assert.strictEqual(yield* next.line, INITIALIZED)
  assert.strictEqual(yield* next.line, LIST)
  yield* next.write(`${LISTED}\n`)
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
      yield* busy(session, running)
      yield* first.die
      yield* host.rig.restartKeeper

      const second = yield* host.live()
      const again = known(second.sessions, id)
      yield* openedAnew(yield* eventually(host.server))
      const texts = yield* Effect.forEach([1, 2], (n) => textOf(again, n))
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
      assert.match(yield* textOf(known(second.sessions, id), 1), /"n":1/)
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

  test("a session of one peer is taken up by a mount of that peer and others, and by no mount without it", () =>
    Effect.gen(function* () {
      const host = yield* station()
      const first = yield* host.live()
      const { id, running } = yield* opened(host, first.sessions)
      yield* first.die

      const second = yield* host.live(Number.POSITIVE_INFINITY, "files", OTHER)
      yield* say(known(second.sessions, id), call(1))
      assert.strictEqual(yield* eventually(running.line), call(1))
      yield* second.die
      const without = yield* host.live(Number.POSITIVE_INFINITY, "other", OTHER)
      assert.isUndefined(without.sessions.find(id))
      assert.deepStrictEqual(host.file.subjects(), [])
    }))
})

describe("EdgeSessions of several peers", () => {
  const OTHERS = [Number.POSITIVE_INFINITY, "files", OTHER] as const

  /** A session at the second of the two: the first cannot be reached when it begins. */
  const away = Effect.fnUntraced(function* (rules: Rules = {}) {
    const host = yield* station(rules)
    host.down.add("mcp-host")
    const first = yield* host.live(...OTHERS)
    return { host, first, ...(yield* opened(host.other, first.sessions)) }
  })

  test("killed, the next process goes on at the peer that has the session, whichever it would begin with", () =>
    Effect.gen(function* () {
      const { first, host, id, running, session } = yield* away()
      const reader = new Reader()
      yield* Effect.forkChild(reader.read(yield* post(session, call(1)), first.isDead))
      yield* running.line
      yield* running.write(`${progress(1, 1)}\n`)
      while (reader.messages.length < 1) yield* Effect.yieldNow
      yield* first.die
      yield* running.write(`${progress(1, 2)}\n${answer(1)}\n`)
      host.down.clear()

      const second = yield* host.live(...OTHERS)
      const again = known(second.sessions, id)
      yield* eventually(reader.read(again.listen(reader.lastEventId) ?? Stream.empty, () => false))
      assert.deepStrictEqual(reader.messages, [progress(1, 1), progress(1, 2), answer(1)])
      yield* say(again, call(2))
      assert.strictEqual(yield* eventually(running.line), call(2))
      assert.deepStrictEqual([yield* host.starts, yield* host.other.starts], [0, 0])
    }))

  test("its peer is gone when the next process starts: another is used, and what was asked ends as it does without a restart", () =>
    Effect.gen(function* () {
      const { first, host, id, running, session } = yield* away()
      yield* busy(session, running)
      yield* first.die
      host.down.clear()
      host.down.add("other-host")

      const second = yield* host.live(...OTHERS)
      const again = known(second.sessions, id)
      yield* openedAnew(yield* eventually(host.server))
      const texts = yield* Effect.forEach([1, 2], (n) => textOf(again, n))
      assert.include(texts[0], '"code":-31002')
      assert.include(
        texts[0],
        "The connection to files on other-host was lost during this request. other-host cannot be"
      )
      assert.match(texts[1] ?? "", /"tools":\[\]/)
    }))

  test("a server that hung while nobody served its client is left by the next process", () =>
    Effect.gen(function* () {
      const { first, host, id, running, session } = yield* away()
      yield* say(session, call(1))
      yield* running.line
      yield* first.die
      host.down.clear()

      const second = yield* host.live(...OTHERS)
      const next = yield* eventually(host.server)
      assert.strictEqual(yield* next.line, INITIALIZE)
      assert.include(yield* textOf(known(second.sessions, id), 1), "other-host answers, but its server does not work")
    }))

  test("killed at any write while it goes to another peer: each request ends once, and no call runs twice", () =>
    Effect.gen(function* () {
      /** A call and a list are under way when their peer is lost; the process dies after so many writes from then on. */
      const story = (savesMax: number) =>
        Effect.scoped(
          Effect.gen(function* () {
            const { first, host, id, running } = yield* away()
            yield* first.end
            // Only what is written from here on counts, so the calls are made by a process of their own.
            const before = yield* host.live(...OTHERS)
            yield* say(known(before.sessions, id), call(1))
            yield* say(known(before.sessions, id), LIST)
            yield* eventually(running.line)
            yield* running.line
            yield* before.end
            host.down.clear()
            host.down.add("other-host")
            yield* host.other.rig.cut

            const second = yield* host.live(savesMax, "files", OTHER)
            const heard: Array<string> = []
            const serve = Effect.gen(function* () {
              while (true) {
                const next = yield* host.server
                yield* Effect.forkScoped(
                  Effect.ignore(
                    Effect.gen(function* () {
                      while (true) {
                        const line = yield* next.line
                        heard.push(line)
                        if (line === INITIALIZE) yield* next.write(`${RESULT}\n`)
                        const asked = JSON.parse(line).id
                        if (asked === 2) yield* next.write(`${LISTED}\n`)
                      }
                    })
                  )
                )
              }
            })
            yield* Effect.forkScoped(serve)
            const isAnswered = Effect.gen(function* () {
              while (!second.isDead()) {
                const texts = yield* Effect.forEach([1, 2], (n) =>
                  Effect.timeoutOption(textOf(known(second.sessions, id), n), "1 second")
                )
                if (texts.every(({ _tag }) => _tag === "Some")) return
              }
            })
            yield* eventually(isAnswered)
            const isDone = !second.isDead()
            yield* second.die

            const third = yield* host.live(...OTHERS)
            const texts = yield* Effect.forEach([1, 2], (n) => eventually(textOf(known(third.sessions, id), n)))
            const ends = texts.map((text) => text.match(/"(result|error)":/g)?.length)
            assert.deepStrictEqual(ends, [1, 1], `after ${savesMax} writes: ${texts.join()}`)
            assert.include(texts[0], '"code":-31002', `after ${savesMax} writes`)
            assert.match(texts[1] ?? "", /"tools":\[\]/, `after ${savesMax} writes`)
            assert.isFalse(
              heard.some((line) => line.includes("tools/call")),
              `the call ran twice after ${savesMax} writes`
            )
            return isDone
          })
        )
      let writes = 0
      while (!(yield* story(writes))) writes++
      assert.isAtLeast(writes, 4)
    }))
})

/** What the stream of a call has said, to its end. */
const textOf = (session: EdgeSession.EdgeSession, n: number) =>
  Effect.map(Stream.runCollect(session.listen(firstId(n)) ?? Stream.empty), (events) =>
    events.map(Bytes.toUtf8).join("")
  )

/** The first event id of a call's stream: each post has one, and two opened the session. */
const firstId = (n: number): string => `${n + 2}-0`
