import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Queue, type Scope } from "effect"
import { TestClock } from "effect/testing"
import type { Remembered } from "../../../src/actors/mcp/keeper/ApprovalFile.ts"
import * as Approvals from "../../../src/actors/mcp/keeper/Approvals.ts"
import type { Crypto } from "../../../src/core/crypto/Crypto.ts"
import * as PortableCrypto from "../../../src/core/crypto/PortableCrypto.ts"
import * as ToolPin from "../../../src/protocol/mcp/ToolPin.ts"
import type * as AuditChain from "../../../src/protocol/relay/AuditChain.ts"
import type * as Policy from "../../../src/protocol/relay/Policy.ts"
import * as McpRig from "../../support/McpRig.ts"
import * as ScriptedServer from "../../support/ScriptedServer.ts"

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest()

/** A host whose one service has calls of `write_*` approved, and the desk where that is done. */
const station = Effect.fnUntraced(function* (
  rules: Partial<Policy.Rules> = {},
  before: ReadonlyArray<Remembered> = [],
  save: Approvals.Options["save"] = () => Effect.void
) {
  const recorded: Array<AuditChain.Call> = []
  const started = yield* Queue.unbounded<ScriptedServer.ScriptedServer>()
  const asked = yield* Queue.unbounded<Approvals.Waiting>()
  let count = 0
  const desk = yield* Approvals.make({
    remembered: before,
    save,
    randomBytes: () => Uint8Array.of(0, 0, 0, ++count),
    asked: (question) => Effect.asVoid(Queue.offer(asked, question))
  })
  const rig = yield* McpRig.make({
    services: [
      {
        ...McpRig.service("files"),
        rules: { tools: [], transparent: false, identify: false, ask: ["write_*"], ...rules }
      }
    ],
    audit: { sha256, record: (entry) => recorded.push(entry), time: () => "now" },
    approvals: desk,
    caller: ({ node }) => Effect.succeed({ node_id: node, hostname: `peer-${node}`, fingerprint: `F${node}` }),
    spawn: () =>
      Effect.map(
        Effect.tap(ScriptedServer.make(), (server) => Queue.offer(started, server)),
        ({ child }) => child
      )
  })
  const client = (node = 2) =>
    Effect.map(rig.client("files", node), (duplex) => ({
      write: (text: string) => duplex.write(new TextEncoder().encode(`${text}\n`)),
      line: ScriptedServer.lines(duplex),
      end: duplex.end
    }))
  /** A server that has been asked for its tools by the keeper, and answered. */
  const listed = Effect.fnUntraced(function* (tools: string = WRITE) {
    const server = yield* Queue.take(started)
    yield* answerList(server, tools)
    return server
  })
  return { recorded, rig, client, desk, asked: Queue.take(asked), server: Queue.take(started), listed }
})

/** The keeper asks for the tools itself, in a way that no client can imitate. */
const answerList = Effect.fnUntraced(function* (server: ScriptedServer.ScriptedServer, tools: string) {
  const { id, method } = JSON.parse(yield* server.line)
  assert.strictEqual(method, "tools/list")
  yield* server.write(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{"tools":[${tools}]}}\n`)
})

const WRITE = '{"name":"write_file","inputSchema":{"type":"object"}}'
const hashOf = (tool: string) => sha256(Buffer.from(ToolPin.of(JSON.parse(tool))?.canonical ?? "")).toString("hex")
const call = (id: number, tool: string, args = "{}") =>
  `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"${tool}","arguments":${args}}}`
const answer = (id: number) => `{"jsonrpc":"2.0","id":${id},"result":{}}`
const cancel = (id: number) => `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${id}}}`
const textOf = (line: string) => {
  const { result } = JSON.parse(line)
  assert.isTrue(result.isError)
  return result.content[0].text as string
}

const test = (name: string, body: () => Effect.Effect<void, unknown, Crypto | Scope.Scope>) =>
  it.effect(name, () => Effect.provide(body(), PortableCrypto.layer))

describe("calls that wait for a person (mcp §6.10)", () => {
  test("an allowed one goes on as it came, while the session went on meanwhile", () =>
    Effect.gen(function* () {
      const { asked, client, desk, listed, recorded } = yield* station()
      const { line, write } = yield* client()
      const text = call(1, "write_file", '{"path": "a", "x":1.0}')
      yield* write(text)
      const server = yield* listed()
      const question = yield* asked
      assert.deepInclude(question, {
        service: "files",
        node: 2,
        peer: "peer-2",
        fingerprint: "F2",
        peerKey: "key-2",
        tool: "write_file",
        parameters: '{"path": "a", "x":1.0}',
        definitionHash: hashOf(WRITE)
      })
      yield* write(call(2, "read_file"))
      assert.strictEqual(yield* server.line, call(2, "read_file"))

      yield* desk.decide(question.id, "allow")
      assert.strictEqual(yield* server.line, text)
      yield* server.write(`${answer(1)}\n${answer(2)}\n`)
      assert.strictEqual(yield* line, answer(1))
      assert.strictEqual(yield* line, answer(2))
      assert.deepInclude(recorded[0], { decision: "approved", approval: question.id, definitionHash: hashOf(WRITE) })
      assert.deepStrictEqual(desk.remembered(), [])
    }))

  test("each call of a batch has a question of its own; what needs nobody does not wait, and each has its own end", () =>
    Effect.gen(function* () {
      const { asked, client, desk, recorded, server } = yield* station()
      const { line, write } = yield* client()
      const [first, second, third] = [call(1, "write_file"), call(2, "read_file"), call(3, "write_file", '{"n":3}')]
      yield* write(`[${first}, ${second},${third},${call(4, "write_file", '{"n":4}')}]`)
      const running = yield* server
      const heard = yield* Queue.unbounded<string>()
      yield* Effect.forkScoped(
        Effect.forever(
          Effect.flatMap(running.line, (text) => {
            const { id, method } = JSON.parse(text)
            return method === "tools/list"
              ? running.write(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{"tools":[${WRITE}]}}\n`)
              : Queue.offer(heard, text)
          })
        )
      )
      assert.strictEqual(yield* Queue.take(heard), second)
      const questions = [yield* asked, yield* asked, yield* asked]
      assert.sameMembers(
        questions.map(({ parameters }) => parameters),
        ["{}", '{"n":3}', '{"n":4}']
      )
      const idOf = (parameters: string) => questions.find((one) => one.parameters === parameters)?.id ?? ""
      yield* desk.decide(idOf('{"n":3}'), "deny")
      assert.include(textOf(yield* line), "did not allow this call")
      yield* write(`[${cancel(4)},{"jsonrpc":"2.0","method":"notifications/progress","params":{}}]`)
      yield* desk.decide(idOf("{}"), "allow")
      while ((yield* Queue.take(heard)) !== first) {}
      yield* running.write(`${answer(1)}\n${answer(2)}\n`)
      assert.deepStrictEqual([yield* line, yield* line], [answer(1), answer(2)])
      assert.lengthOf(desk.waiting(), 0)
      const ends = recorded.map(({ decision, id, outcome }) => `${id} ${outcome} ${decision}`)
      assert.sameMembers(ends, ["3 denied refused", "4 cancelled asking", "1 ok approved", "2 ok allow"])
    }))

  test("a denied one is a result that a model can read, and the server never hears of it", () =>
    Effect.gen(function* () {
      const { asked, client, desk, listed, recorded } = yield* station()
      const { line, write } = yield* client()
      yield* write(call(1, "write_file"))
      const server = yield* listed()
      const { id } = yield* asked
      yield* desk.decide(id, "deny")
      assert.include(textOf(yield* line), "did not allow this call")
      yield* write(call(2, "read_file"))
      assert.strictEqual(yield* server.line, call(2, "read_file"))
      assert.deepInclude(recorded[0], { outcome: "denied", decision: "refused", approval: id })

      const twice = yield* Effect.flip(desk.decide(id, "allow"))
      assert.strictEqual(twice.message, `The question ${id} has been denied already.`)
      const unknown = yield* Effect.flip(desk.decide("ffffffff", "allow"))
      assert.deepInclude(unknown, { reason: "NotWaiting", message: "There is no question ffffffff." })
    }))

  test("one without an answer is denied when its time is over", () =>
    Effect.gen(function* () {
      const { asked, client, desk, listed, recorded } = yield* station()
      const { line, write } = yield* client()
      yield* write(call(1, "write_file"))
      yield* listed()
      const { id } = yield* asked
      yield* TestClock.adjust("599 seconds")
      assert.lengthOf(desk.waiting(), 1)
      yield* TestClock.adjust("2 seconds")
      assert.include(textOf(yield* line), "did not answer in time")
      assert.deepInclude(recorded[0], { outcome: "denied", decision: "expired", approval: id })
      const late = yield* Effect.flip(desk.decide(id, "allow"))
      assert.strictEqual(late.message, `The question ${id} was not answered in time.`)
    }))

  test("the owner's own time counts, and signs of life go on until then", () =>
    Effect.gen(function* () {
      const { asked, client, listed } = yield* station({ askMs: 40_000 })
      const { line, write } = yield* client()
      yield* write(
        '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write_file","_meta":{"progressToken":7}}}'
      )
      yield* listed()
      yield* asked
      yield* TestClock.adjust("16 seconds")
      assert.strictEqual(JSON.parse(yield* line).params.progressToken, 7)
      yield* TestClock.adjust("16 seconds")
      assert.strictEqual(JSON.parse(yield* line).params.progressToken, 7)
      yield* TestClock.adjust("10 seconds")
      assert.include(textOf(yield* line), "did not answer in time")
    }))

  test("a call that its client gives up takes the question along", () =>
    Effect.gen(function* () {
      const { asked, client, desk, listed, recorded } = yield* station()
      const { write } = yield* client()
      yield* write(call(1, "write_file"))
      const server = yield* listed()
      const { id } = yield* asked
      yield* write(cancel(1))
      yield* write(call(2, "read_file"))
      assert.strictEqual(yield* server.line, call(2, "read_file"))
      assert.lengthOf(desk.waiting(), 0)
      assert.deepInclude(recorded[0], { id: "1", outcome: "cancelled", decision: "asking" })
      const gone = yield* Effect.flip(desk.decide(id, "always"))
      assert.strictEqual(gone.message, `The question ${id} was taken back by its caller.`)
    }))

  test("the end of the session takes its questions along", () =>
    Effect.gen(function* () {
      const { asked, client, desk, listed, recorded, rig } = yield* station()
      const { write } = yield* client()
      yield* write(call(1, "write_file"))
      yield* listed()
      yield* asked
      rig.allowed.delete(2)
      yield* rig.keeper().recheck
      yield* TestClock.adjust("2 seconds")
      assert.lengthOf(desk.waiting(), 0)
      assert.deepInclude(recorded[0], { outcome: "cancelled", decision: "asking" })
    }))

  test("what is allowed for good holds for that key and definition, also after a restart, until it is revoked", () =>
    Effect.gen(function* () {
      let kept: ReadonlyArray<Remembered> = []
      const keep = (next: ReadonlyArray<Remembered>) =>
        Effect.sync(() => {
          kept = next
        })
      const first = yield* station({}, [], keep)
      const { write } = yield* first.client()
      yield* write(call(1, "write_file"))
      const server = yield* first.listed()
      const { id } = yield* first.asked
      yield* write(call(9, "write_file", '{"another":1}'))
      yield* first.asked
      yield* first.desk.decide(id, "always")
      const both = [yield* server.line, yield* server.line].map((text) => JSON.parse(text).id)
      assert.sameMembers(both, [1, 9])
      assert.strictEqual(kept[0]?.definitionHash, hashOf(WRITE))
      yield* write(call(2, "write_file"))
      assert.strictEqual(yield* server.line, call(2, "write_file"))

      const second = yield* station({}, kept)
      const again = yield* second.client()
      yield* again.write(call(1, "write_file"))
      const next = yield* second.listed()
      assert.strictEqual(yield* next.line, call(1, "write_file"))
      const other = yield* second.client(3)
      yield* other.write(call(1, "write_file"))
      yield* second.listed()
      assert.strictEqual((yield* second.asked).node, 3)

      yield* next.write('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n')
      yield* again.line
      yield* again.write(call(3, "write_file"))
      yield* answerList(next, '{"name":"write_file","description":"and more"}')
      assert.strictEqual((yield* second.asked).node, 2)

      yield* second.desk.revoke(id)
      assert.lengthOf(second.desk.remembered(), 0)
      assert.strictEqual((yield* Effect.flip(second.desk.revoke(id))).reason, "Unknown")
    }))

  test("a tool that is denied for good is not asked about again", () =>
    Effect.gen(function* () {
      const { asked, client, desk, listed, recorded } = yield* station()
      const { line, write } = yield* client()
      yield* write(call(1, "write_file"))
      yield* listed()
      yield* desk.decide((yield* asked).id, "never")
      yield* line
      yield* write(call(2, "write_file"))
      assert.include(textOf(yield* line), "does not allow calls of this tool")
      assert.lengthOf(desk.waiting(), 0)
      assert.strictEqual(recorded[1]?.decision, "never")
    }))

  test("nothing is remembered of a tool that the server does not list, or if it cannot be written", () =>
    Effect.gen(function* () {
      const { asked, client, desk, listed } = yield* station({}, [], () => Effect.fail({ message: "disk full" }))
      const { write } = yield* client()
      yield* write(call(1, "write_other"))
      const server = yield* listed()
      const { id } = yield* asked
      assert.strictEqual((yield* Effect.flip(desk.decide(id, "always"))).reason, "NoDefinition")
      yield* write(call(2, "write_file"))
      const second = yield* asked
      assert.strictEqual((yield* Effect.flip(desk.decide(second.id, "always"))).reason, "NotKept")
      assert.lengthOf(desk.waiting(), 2)
      yield* desk.decide(second.id, "allow")
      assert.strictEqual(yield* server.line, call(2, "write_file"))
    }))

  test("a peer's questions are bounded, and another's are not affected", () =>
    Effect.gen(function* () {
      const { asked, client, desk, listed } = yield* station()
      const { line, write } = yield* client()
      yield* write(call(0, "write_file"))
      yield* listed()
      yield* asked
      for (let id = 1; id <= Approvals.WAITING_PER_PEER; id++) yield* write(call(id, "write_file"))
      assert.include(textOf(yield* line), "too many others wait")
      assert.lengthOf(desk.waiting(), Approvals.WAITING_PER_PEER)
      const other = yield* client(3)
      yield* other.write(call(1, "write_file"))
      yield* listed()
      while ((yield* asked).node !== 3) {}
    }))

  test("what a person could not see whole is not approved: doubled or endless arguments, no name", () =>
    Effect.gen(function* () {
      const { client, desk, recorded, server } = yield* station()
      const { line, write } = yield* client()
      yield* write(
        '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write_a","arguments":{},"arguments":{}}}'
      )
      yield* answerList(yield* server, WRITE)
      assert.include(textOf(yield* line), "two readers could see two calls")
      yield* write(call(2, "write_file", `{"text":"${"x".repeat(70_000)}"}`))
      assert.include(textOf(yield* line), "too long to be shown")
      yield* write('{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"arguments":{}}}')
      assert.include(textOf(yield* line), "does not allow this tool")
      assert.lengthOf(desk.waiting(), 0)
      assert.deepStrictEqual(
        recorded.map(({ decision }) => decision),
        ["unasked", "unasked", "tool"]
      )
    }))

  test("a pattern that cannot be read has every tool asked about", () =>
    Effect.gen(function* () {
      const { asked, client, listed } = yield* station({ ask: ["write_*", "read("] })
      const { write } = yield* client()
      yield* write(call(1, "read_file"))
      yield* listed()
      assert.strictEqual((yield* asked).tool, "read_file")
    }))

  test("an id that waits, or is ours, is not taken a second time", () =>
    Effect.gen(function* () {
      const { asked, client, listed } = yield* station()
      const { line, write } = yield* client()
      yield* write(call(1, "write_file"))
      yield* listed()
      yield* asked
      yield* write(call(1, "read_file"))
      assert.strictEqual(JSON.parse(yield* line).error.code, -32600)
      yield* write('{"jsonrpc":"2.0","id":"dev.effect-pilot.list.1.0","method":"tools/list"}')
      assert.strictEqual(JSON.parse(yield* line).error.code, -32600)
    }))

  test("a keeper that is killed while a question waits: the call has an end, and the old question no answer", () =>
    Effect.gen(function* () {
      const { asked, client, desk, listed, rig } = yield* station()
      const { line, write } = yield* client()
      yield* write(call(1, "write_file"))
      yield* listed()
      const { id } = yield* asked
      const reading = yield* Effect.forkChild(line)
      yield* rig.restartKeeper
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(JSON.parse(yield* Fiber.join(reading)).error.code, -31002)
      assert.strictEqual((yield* Effect.flip(desk.decide(id, "allow"))).reason, "NotWaiting")
    }))

  test("a call of a safe tool that was approved goes to the next server without another question", () =>
    Effect.gen(function* () {
      const { asked, client, desk, listed, recorded, server } = yield* station({ safe: ["write_*"] })
      const { line, write } = yield* client()
      yield* write(call(1, "write_file"))
      const first = yield* listed()
      yield* desk.decide((yield* asked).id, "allow")
      yield* first.line
      yield* first.die
      const second = yield* server
      assert.strictEqual(yield* second.line, call(1, "write_file"))
      yield* second.write(`${answer(1)}\n`)
      assert.strictEqual(yield* line, answer(1))
      assert.deepInclude(recorded[0], { outcome: "ok", decision: "approved", seq: 1, epoch: 1 })
    }))
})
