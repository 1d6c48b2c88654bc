import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Result, Stream } from "effect"
import { NodeRules } from "../../src/actors/layers/PolicyLayer.ts"
import * as Events from "../../src/api/Events.ts"
import * as Files from "../../src/api/Files.ts"
import * as Mcp from "../../src/api/Mcp.ts"
import * as Messages from "../../src/api/Messages.ts"
import * as Pilot from "../../src/api/Pilot.ts"
import { Port } from "../../src/protocol/wire/Address.ts"
import * as SimNet from "../../src/testing/SimNet.ts"
import { HOME, type SimNode } from "../../src/testing/SimNode.ts"
import * as VirtualFileSystem from "../../src/testing/VirtualFileSystem.ts"
import * as Kitchen from "../support/Kitchen.ts"
import { text } from "../support/PolicyRig.ts"
import { PATIENCE_MS } from "./Patience.ts"

const PORT = Port(4000)

const diskOf = ({ machine }: SimNode) => VirtualFileSystem.make(machine.disk, () => true)
const write = (node: SimNode, content: string) =>
  Effect.orDie(diskOf(node).writeFileString(`${HOME}/policy.jsonc`, content))
const enforce = (node: SimNode, rules: ReadonlyArray<object>, others: object = {}) =>
  Effect.andThen(
    write(node, text(rules, others)),
    node.run(Effect.orDie(Effect.flatMap(NodeRules, ({ policy }) => policy.reload)))
  )
const deny = (...what: ReadonlyArray<string>) => [{ effect: "deny", who: ["name:alice"], what }]

/** What is in the log of a node, a line each: its kind and some facts. */
const logOf = Effect.fnUntraced(function* (node: SimNode) {
  yield* node.run(Effect.flatMap(NodeRules, ({ audit }) => audit.sealed))
  const written = yield* Effect.orDie(diskOf(node).readFileString(`${HOME}/audit/audit-000000000001.jsonl`))
  return written
    .trimEnd()
    .split("\n")
    .map((line): Readonly<Record<string, unknown>> => JSON.parse(line))
})

const attempt = Effect.result(Effect.scoped(Effect.timeout(Pilot.dial("bob", PORT), "5 seconds")))
const dial = (node: SimNode) => node.run(attempt)
const message = (node: SimNode) =>
  node.run(
    Effect.match(Messages.send("bob", { text: "hello" }), {
      onFailure: (error) => error.message,
      onSuccess: ({ ack }) => ack ?? ""
    })
  )

describe("a policy, in the simulator", { timeout: PATIENCE_MS }, () => {
  it.effect("is asked at every door of the callee, by the caller's key, and what it denies is in the log", () =>
    SimNet.run({ seed: 5401 }, (net) =>
      Effect.gen(function* () {
        const alice = yield* net.node("alice")
        const bob = yield* net.node("bob")
        const carol = yield* net.node("carol")
        yield* net.trust(alice, bob)
        yield* net.trust(carol, bob)
        // Who has used a name has pinned it; rules about names are about those.
        yield* bob.run(Effect.forEach(["alice", "carol"], (name) => Messages.send(name, { text: "hi" })))
        yield* bob.run(Stream.runDrain(Pilot.listen(PORT))).pipe(Effect.forkScoped)
        const disk = diskOf(alice)
        yield* Effect.orDie(disk.makeDirectory("/data"))
        yield* Effect.orDie(disk.writeFileString("/data/a.txt", "aaaa"))
        yield* Effect.orDie(diskOf(bob).makeDirectory("/data/report", { recursive: true }))
        yield* Effect.orDie(diskOf(bob).writeFileString("/data/report/q.txt", "q"))
        yield* bob.run(Files.share("/data/report", { allow: ["carol"] }))

        assert.isTrue(Result.isSuccess(yield* dial(alice)))
        assert.match(yield* message(alice), /^ACK/)

        yield* enforce(bob, deny("messages"))
        assert.match(yield* message(alice), /the policy of this node denies it/)
        assert.match(yield* message(carol), /^ACK/)
        assert.isTrue(Result.isSuccess(yield* dial(alice)))

        yield* enforce(bob, deny("files/push"))
        const pushed = yield* alice.run(Effect.flip(Files.send("bob", "/data/a.txt")))
        assert.match(pushed.message, /the policy of this node denies it/)
        assert.match(yield* message(alice), /^ACK/)

        yield* enforce(bob, deny("port/4000"))
        assert.isTrue(Result.isFailure(yield* dial(alice)))
        assert.isTrue(Result.isSuccess(yield* dial(carol)))

        const granted = { effect: "allow", who: ["name:alice"], what: ["files/pull/report"], name: "reports" }
        assert.strictEqual((yield* alice.run(Effect.flip(Files.get("bob", "report/q.txt", "/got")))).reason, "NotFound")
        yield* enforce(bob, [granted])
        assert.deepStrictEqual(yield* alice.run(Files.list("bob")), [{ name: "report", kind: "directory", bytes: 0 }])
        yield* alice.run(Files.get("bob", "report/q.txt", "/got"))
        yield* enforce(bob, [granted, ...deny("files/pull/report/q.txt")])
        assert.deepStrictEqual(
          (yield* alice.run(Effect.flip(Files.get("bob", "report/q.txt", "/got2")))).reason,
          "NotFound"
        )

        const heard: Array<string> = []
        const listening = yield* alice
          .run(
            Events.subscribe("data.**", { from: "bob" }).pipe(
              Stream.runForEach(({ topic }) => Effect.sync(() => heard.push(topic)))
            )
          )
          .pipe(Effect.forkScoped)
        yield* enforce(bob, deny("events/subscribe/data.secret.**"))
        yield* net.sleep("5 seconds")
        for (const topic of ["data.a", "data.secret.b", "data.c"]) yield* bob.run(Events.publish(topic, "x"))
        yield* net.sleep("2 seconds")
        assert.deepStrictEqual(heard, ["data.a", "data.c"])
        yield* Fiber.interrupt(listening)

        const log = yield* logOf(bob)
        const denied = log.filter(({ kind }) => kind === "policy.denied").map(({ what }) => what)
        assert.includeMembers(denied, ["messages", "files/push", "port/4000"])
        const row = log.find(({ kind }) => kind === "policy.denied")
        assert.match(String(row?.["key"]), /^[0-9A-Z]{4}(-[0-9A-Z]{4}){7}$/)
        assert.strictEqual(row?.["rule"], "rule 1")
        assert.include(
          log.filter(({ kind }) => kind === "policy.granted").map(({ rule }) => rule),
          "reports"
        )
        const closed = log.find(({ kind, localPort }) => kind === "connection.closed" && localPort === 1001)
        assert.isAbove(Number(closed?.["bytesReceived"]), 0)
        for (const kind of ["trust.added", "message.stored", "file.pulled", "policy.loaded", "checkpoint"])
          assert.isTrue(
            log.some((line) => line["kind"] === kind),
            kind
          )
      })
    )
  )

  it.effect("limits what each peer may do, and frees what is over", () =>
    SimNet.run({ seed: 5402 }, (net) =>
      Effect.gen(function* () {
        const alice = yield* net.node("alice")
        const bob = yield* net.node("bob")
        yield* net.trust(alice, bob)
        yield* bob.run(Stream.runDrain(Pilot.listen(PORT))).pipe(Effect.forkScoped)
        const limit = (what: string, bounds: object) => ({
          effect: "limit",
          who: ["trusted"],
          what: [what],
          limit: bounds
        })
        yield* enforce(bob, [limit("messages", { requestsPerMinute: 2 }), limit("port/4000", { concurrent: 1 })])

        assert.match(yield* message(alice), /^ACK/)
        assert.match(yield* message(alice), /^ACK/)
        assert.match(yield* message(alice), /allows no more of it now; try again in 30 s/)
        yield* net.sleep("31 seconds")
        assert.match(yield* message(alice), /^ACK/)

        const second = yield* alice.run(Effect.scoped(Effect.andThen(Pilot.dial("bob", PORT), attempt)))
        assert.isTrue(Result.isFailure(second))
        yield* net.sleep("1 minute")
        assert.isTrue(Result.isSuccess(yield* dial(alice)))
      })
    )
  )

  it.effect("is asked for each session and call of an MCP server, and hides the tools that it denies", () =>
    SimNet.run({ seed: 5404 }, (net) =>
      Effect.gen(function* () {
        const host = yield* net.node("host")
        const user = yield* net.node("user")
        yield* net.trust(user, host)
        const log = yield* Kitchen.Log.make
        yield* host.run(
          Effect.provideService(Mcp.expose("kitchen", Kitchen.source, { allow: ["user"] }), Kitchen.Log, log)
        )
        const server = yield* user.run(Mcp.connect("host/kitchen"))
        const add = (a: number) =>
          user.run(Effect.match(server.call("add", { a, b: 1 }), { onFailure: String, onSuccess: ({ text }) => text }))
        const rule = (effect: string, what: string, others: object = {}) => ({
          effect,
          who: ["trusted"],
          what: [what],
          ...others
        })
        assert.strictEqual(yield* add(1), '{"sum":2}')

        yield* enforce(host, [rule("deny", "mcp/kitchen/add(a=7)")])
        assert.strictEqual(yield* add(1), '{"sum":2}')
        assert.match(yield* add(7), /the policy of this node denies it/)
        yield* enforce(host, [rule("deny", "mcp/kitchen/add")])
        assert.match(yield* add(1), /the policy of this node denies it/)
        const tools = yield* user.run(server.tools)
        assert.notInclude(
          tools.map(({ name }) => name),
          "add"
        )
        yield* enforce(host, [rule("limit", "mcp/kitchen/*", { limit: { requestsPerMinute: 1 } })])
        assert.strictEqual(yield* add(1), '{"sum":2}')
        assert.match(yield* add(1), /allows no more of it now/)
        yield* enforce(host, [rule("deny", "mcp/kitchen")])
        assert.isTrue(Result.isFailure(yield* user.run(Effect.result(Mcp.connect("host/kitchen")))))
      })
    )
  )

  it.effect("stays in force while its file is half-written, wrong or gone, and the next whole one counts", () =>
    SimNet.run({ seed: 5403 }, (net) =>
      Effect.gen(function* () {
        const alice = yield* net.node("alice")
        const bob = yield* net.node("bob")
        yield* net.trust(alice, bob)
        yield* enforce(bob, [{ effect: "deny", who: ["trusted"], what: ["messages"] }])
        const problem = bob.run(
          Effect.map(NodeRules, ({ policy }) => {
            const { problem, revision } = policy.status()
            return `${revision} ${problem?.message ?? "none"}`
          })
        )
        const whole = text([])

        for (const length of [0, 1, whole.length - 1]) {
          yield* write(bob, whole.slice(0, length))
          yield* net.sleep("31 seconds")
          assert.match(yield* message(alice), /denies it/)
          assert.match(yield* problem, /^2 line 1, column \d+: /)
        }
        yield* Effect.orDie(diskOf(bob).remove(`${HOME}/policy.jsonc`))
        yield* net.sleep("31 seconds")
        assert.match(yield* message(alice), /denies it/)
        assert.match(yield* problem, /is gone/)
        yield* write(bob, whole)
        yield* net.sleep("31 seconds")
        assert.match(yield* message(alice), /^ACK/)
        assert.strictEqual(yield* problem, "3 none")

        yield* write(bob, "{")
        yield* net.stop(bob)
        const refused = yield* Effect.flip(net.restart(bob))
        assert.match(refused.message, /policy\.jsonc, line 1, column 2: the file ends/)
      })
    )
  )
})
