import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Latch } from "effect"
import { TestClock } from "effect/testing"
import * as CapableInstances from "../../../../src/actors/mcp/mount/CapableInstances.ts"
import * as Instances from "../../../../src/actors/mcp/mount/Instances.ts"
import * as Shim from "../../../../src/actors/mcp/mount/Shim.ts"
import * as NativeCrypto from "../../../../src/core/crypto/NativeCrypto.ts"
import * as Json from "../../../../src/core/data/Json.ts"
import type { FoundService } from "../../../../src/protocol/directory/FoundService.ts"
import type { Known } from "../../../../src/protocol/relay/KnownAnswers.ts"
import * as DuplexPair from "../../../support/DuplexPair.ts"
import * as InstancesRig from "../../../support/InstancesRig.ts"
import * as ScriptedServer from "../../../support/ScriptedServer.ts"

/** A client of three peers that expose the same service. */
const stage = Effect.gen(function* () {
  const rig = yield* InstancesRig.make()
  return { ...rig, ...(yield* client(rig)) }
})

/** A client with a session of its own. */
const client = Effect.fnUntraced(function* (
  { instances }: Pick<InstancesRig.InstancesRig, "instances">,
  lists?: Shim.Options<never, never>["lists"]
) {
  const stdio = yield* DuplexPair.make({})
  yield* Shim.run({ client: stdio.right, ...(yield* instances.follow), ...(lists && { lists }) }).pipe(
    Effect.ensuring(stdio.right.end),
    Effect.forkScoped
  )
  const lines = ScriptedServer.lines(stdio.left)
  const send = (text: string) => stdio.left.write(new TextEncoder().encode(`${text}\n`))
  const answer = Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(lines)
    while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust("100 millis")
    return Json.parseObject(yield* Fiber.join(fiber)) ?? {}
  })
  let id = 0
  const call = (name: string) =>
    send(`{"jsonrpc":"2.0","id":${++id},"method":"tools/call","params":{"name":"${name}"}}`)
  const listed = Effect.gen(function* () {
    yield* send(`{"jsonrpc":"2.0","id":${++id},"method":"tools/list"}`)
    return yield* answer
  })
  const where = Effect.gen(function* () {
    yield* call("where")
    const result = Json.member(yield* answer, "result")
    return Json.isObject(result) ? Json.string(result, "text") : ""
  })
  yield* send(
    '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}}}'
  )
  const opened = yield* answer
  yield* send('{"jsonrpc":"2.0","method":"notifications/initialized"}')
  return { answer, call, listed, opened, where }
})

/** What is remembered of each peer, in memory; `saved` waits until that text is kept of one: sessions save by the way. */
const remembering = () => {
  const disk = new Map<string, ReadonlyArray<Known>>()
  const kept = Latch.makeUnsafe(false)
  const lists = ({ peer }: { readonly peer: string }) => ({
    load: Effect.sync(() => disk.get(peer) ?? []),
    save: (known: ReadonlyArray<Known>) =>
      Effect.sync(() => {
        disk.set(peer, known)
        kept.openUnsafe()
      })
  })
  const saved = Effect.fnUntraced(function* (peer: string, text: string) {
    while (!JSON.stringify(disk.get(peer) ?? []).includes(text)) {
      kept.closeUnsafe()
      yield* kept.await
    }
  })
  return { disk, lists, saved }
}

describe("several instances behind one mount", () => {
  it.effect("the nearest is used, left when it degrades, and used again when it is better (virtual time)", () =>
    Effect.gen(function* () {
      const { delays, pass, where } = yield* stage
      yield* pass(40)
      assert.strictEqual(yield* where, "near")

      delays["near"] = 900
      yield* pass(10)
      assert.strictEqual(yield* where, "near", "not at once")
      yield* pass(60)
      assert.strictEqual(yield* where, "middle")

      delays["near"] = 10
      yield* pass(90)
      assert.strictEqual(yield* where, "near")
    }).pipe(Effect.provide(NativeCrypto.layer))
  )

  it.effect("one that refuses this node before another was measured is left for that one, without an error", () =>
    Effect.gen(function* () {
      const rig = yield* InstancesRig.make()
      rig.delays["middle"] = 2000
      rig.delays["far"] = 3000
      yield* rig.takeBack("near")
      const { opened, where } = yield* client(rig)
      assert.isUndefined(Json.member(opened, "error"))
      assert.strictEqual(yield* where, "middle")
    }).pipe(Effect.provide(NativeCrypto.layer))
  )

  it.effect("one that takes nothing more is left within the time that a call has, without a word", () =>
    Effect.gen(function* () {
      const rig = yield* InstancesRig.make()
      const full = new Set<string>()
      const targets = ["near", "middle"].map((peer) => ({ peer, service: "files" }))
      const instances = yield* Instances.make([targets[0]!, targets[1]!], (target) =>
        Effect.map(rig.dial(target), (duplex) => ({
          ...duplex,
          write: (bytes) => (full.has(target.peer) ? Effect.never : duplex.write(bytes))
        }))
      )
      const { answer, call, where } = yield* client({ instances })
      yield* rig.pass(20)
      assert.strictEqual(yield* where, "near")
      full.add("near")
      yield* call("hang")
      yield* rig.pass(45)
      assert.isTrue(Json.isObject(Json.member(yield* answer, "error")))
      assert.strictEqual(yield* where, "middle")
    }).pipe(Effect.provide(NativeCrypto.layer))
  )

  it.effect("when all refuse this node, calls are told so as soon as that is known", () =>
    Effect.gen(function* () {
      const rig = yield* InstancesRig.make()
      rig.delays["far"] = 1500
      yield* Effect.forEach(["near", "middle", "far"], rig.takeBack, { discard: true })
      const beganMs = yield* Clock.currentTimeMillis
      const { opened, listed } = yield* client(rig)
      assert.isAtMost((yield* Clock.currentTimeMillis) - beganMs, 1700)
      for (const message of [opened, yield* listed]) {
        const error = Json.member(message, "error")
        assert.strictEqual(Json.isObject(error) ? Json.integer(error, "code") : 0, -31003)
      }
      assert.isAtMost((yield* Clock.currentTimeMillis) - beganMs, 2500)
    }).pipe(Effect.provide(NativeCrypto.layer))
  )

  it.effect(
    "one that dies is left: what it was asked is in doubt, and the next call is answered by another (mcp §6.3)",
    () =>
      Effect.gen(function* () {
        const { answer, call, kill, pass, where } = yield* stage
        yield* pass(20)
        yield* call("hang")
        yield* pass(1)
        yield* kill("near")

        const error = Json.member(yield* answer, "error")
        assert.strictEqual(Json.isObject(error) ? Json.integer(error, "code") : 0, -31002)
        assert.strictEqual(
          Json.isObject(error) ? Json.string(error, "message") : "",
          "The connection to files on near was lost during this request. near cannot be reached, so this mount uses " +
            "middle now. Find out whether it was carried out before trying again."
        )
        assert.strictEqual(yield* where, "middle")
        yield* kill("middle")
        yield* pass(10)
        assert.strictEqual(yield* where, "far")
      }).pipe(Effect.provide(NativeCrypto.layer))
  )

  it.effect(
    "each is remembered for itself; while all are away, one of which something is known is shown (mcp §6.9)",
    () =>
      Effect.gen(function* () {
        const rig = yield* InstancesRig.make()
        const { disk, lists, saved } = remembering()
        yield* rig.kill("near")
        yield* Effect.scoped(
          Effect.gen(function* () {
            const first = yield* client(rig, lists)
            yield* rig.pass(20)
            yield* first.listed
            assert.strictEqual(yield* first.where, "middle")
          })
        )
        assert.deepStrictEqual([...disk.keys()], ["middle"])

        for (const name of ["middle", "far"]) yield* rig.kill(name)
        yield* rig.pass(10)
        const second = yield* client(rig, lists)
        const result = Json.member(yield* second.listed, "result")
        assert.strictEqual(Json.isObject(result) ? Json.string(result, "text") : "", "middle")
        const meta = Json.isObject(result) ? Json.member(result, "_meta") : undefined
        assert.isString(Json.isObject(meta) ? Json.member(meta, "dev.effect-pilot/asOf") : undefined)

        // Another one than that which was shown: what it lists is compared, and kept as its own.
        yield* rig.revive("far")
        assert.strictEqual(Json.member(yield* second.answer, "method"), "notifications/tools/list_changed")
        assert.strictEqual(yield* second.where, "far")
        yield* saved("far", '\\"name\\":\\"far\\"')
        assert.sameMembers([...disk.keys()], ["middle", "far"])
        assert.notInclude(JSON.stringify(disk.get("far")), "middle")
      }).pipe(Effect.provide(NativeCrypto.layer))
  )

  it.effect(
    "a client that is shown what is known of one goes to the one that comes back, whichever was used last",
    () =>
      Effect.gen(function* () {
        const rig = yield* InstancesRig.make()
        const { lists } = remembering()
        yield* rig.kill("near")
        yield* Effect.scoped(
          Effect.gen(function* () {
            const first = yield* client(rig, lists)
            yield* rig.pass(20)
            yield* first.listed
          })
        )
        // All begin at `far` now, of which nothing is known.
        for (const name of ["middle", "far"]) {
          yield* rig.kill(name)
          yield* rig.pass(10)
        }
        const second = yield* client(rig, lists)
        yield* rig.revive("far")
        assert.strictEqual(yield* second.where, "far")
      }).pipe(Effect.provide(NativeCrypto.layer))
  )

  it.effect("one whose server hangs on a fast way is left, and tried again later (virtual time)", () =>
    Effect.gen(function* () {
      const { answer, call, hung, pass, where } = yield* stage
      yield* pass(20)
      assert.strictEqual(yield* where, "near")
      hung.add("near")
      yield* call("where")

      const error = Json.member(yield* answer, "error")
      assert.isTrue(Json.isObject(error))
      assert.include(Json.isObject(error) ? Json.string(error, "message") : "", "near answers, but its server does not")
      assert.strictEqual(yield* where, "middle")
      yield* pass(20)
      assert.strictEqual(yield* where, "middle", "its way is the fastest, but that is not enough")
      hung.delete("near")
      yield* pass(120)
      assert.strictEqual(yield* where, "near")
    }).pipe(Effect.provide(NativeCrypto.layer))
  )

  it.effect("one whose server is busy for half a minute is not taken for hung before its call is answered", () =>
    Effect.gen(function* () {
      const { answer, call, pass } = yield* stage
      yield* pass(20)
      yield* call("busy")
      const result = Json.member(yield* answer, "result")
      assert.strictEqual(Json.isObject(result) ? Json.string(result, "text") : "", "near")
    }).pipe(Effect.provide(NativeCrypto.layer))
  )

  it.effect("a call that takes long is no reason to leave a server that gives signs of life", () =>
    Effect.gen(function* () {
      const { call, pass, where } = yield* stage
      yield* pass(20)
      yield* call("hang")
      yield* pass(300)
      assert.strictEqual(yield* where, "near")
    }).pipe(Effect.provide(NativeCrypto.layer))
  )

  it.effect("one whose server cannot start any more is left for one whose server works", () =>
    Effect.gen(function* () {
      const { answer, broken, call, pass, where } = yield* stage
      yield* pass(20)
      broken.add("near")
      yield* call("die")
      assert.isTrue(Json.isObject(Json.member(yield* answer, "error")))

      const seen: Array<string> = []
      for (let at = 0; at < 8; at++) {
        yield* pass(2)
        seen.push(yield* where)
      }
      assert.include(seen, "middle")
      assert.strictEqual(seen.at(-1), "middle", seen.join())
      broken.delete("near")
      yield* pass(120)
      assert.strictEqual(yield* where, "near")
    }).pipe(Effect.provide(NativeCrypto.layer))
  )

  it.effect("sessions share what is measured; the server of one that hangs moves that one alone, and later ones", () =>
    Effect.gen(function* () {
      const rig = yield* InstancesRig.make()
      const one = yield* client(rig)
      yield* rig.pass(20)
      yield* one.call("wedge")
      const two = yield* client(rig)
      assert.strictEqual(yield* two.where, "near")

      assert.isTrue(Json.isObject(Json.member(yield* one.answer, "error")))
      assert.strictEqual(yield* one.where, "middle")
      assert.strictEqual(yield* two.where, "near", "its own server works")
      const three = yield* client(rig)
      assert.strictEqual(yield* three.where, "middle", "nobody begins where a server has just failed")
      assert.deepStrictEqual(
        rig.instances.seen().map(({ isDistrusted }) => isDistrusted),
        [true, false, false]
      )

      yield* rig.kill("near")
      yield* rig.pass(10)
      assert.strictEqual(yield* two.where, "middle")
      assert.deepStrictEqual(
        rig.instances.seen().map(({ isAway }) => isAway),
        [true, false, false]
      )
    }).pipe(Effect.provide(NativeCrypto.layer))
  )
})

/** The numbers of the peers. */
const NODES: Readonly<Record<string, number>> = { near: 2, middle: 3, far: 4 }

/** A service that a search finds; `name` is what the peer is called now. */
const foundAt = (peer: string, definitions: string, isUsable = true, name = peer): FoundService => ({
  peer: { node: NODES[peer] ?? 0, address: "", hostname: name, fingerprint: "", isTrusted: true },
  ...{
    service: "files",
    target: `${name}/files`,
    isUsable,
    next: "",
    title: "",
    description: "",
    version: "",
    name: ""
  },
  ...{ eras: [], score: 1, tools: [], toolsCount: 1, definitions }
})

/** Instances that a search finds, the first of them from the start; `world` is what it says, which may change. */
const capable = Effect.fnUntraced(function* (start: string, ...others: ReadonlyArray<string>) {
  const rig = yield* InstancesRig.make()
  const world = {
    found: [start, ...others].map((peer) => foundAt(peer, "same")),
    trusted: Object.values(NODES),
    isAway: false
  }
  const search = Effect.suspend(() => (world.isAway ? Effect.fail("the node is starting anew") : Effect.succeed(world)))
  const instances = yield* CapableInstances.make([{ peer: start, service: "files" }], rig.dial, search)
  yield* rig.pass(5)
  return { rig, instances, world, targets: () => instances.seen().map(({ target }) => target.peer) }
})

describe("instances found by what they can do", () => {
  it.effect("who offers the same later joins, live, and is used when it is better; another service never is", () =>
    Effect.gen(function* () {
      const rig = yield* InstancesRig.make()
      const trusted = Object.values(NODES)
      const searches: Array<Effect.Effect<ReadonlyArray<FoundService>, string>> = [
        // The peer that was found at the start is busy, so what its service is cannot be told.
        Effect.succeed([foundAt("middle", "others")]),
        Effect.succeed([foundAt("middle", "others"), foundAt("far", "same"), foundAt("near", "same", false)]),
        Effect.fail("the node is starting anew"),
        Effect.succeed([foundAt("far", "others"), foundAt("middle", "others"), foundAt("near", "same")])
      ]
      const last = searches.at(-1) ?? Effect.succeed([])
      const search = Effect.suspend(() => Effect.map(searches.shift() ?? last, (found) => ({ found, trusted })))
      const instances = yield* CapableInstances.make([{ peer: "far", service: "files" }], rig.dial, search)
      const one = yield* client({ instances })
      const targets = () => instances.seen().map(({ target }) => target.peer)
      assert.strictEqual(yield* one.where, "far")
      yield* rig.pass(60)
      assert.deepStrictEqual(targets(), ["far"])
      yield* rig.pass(90)
      assert.deepStrictEqual(targets(), ["far", "near"])
      assert.strictEqual(yield* one.where, "near", "its tools are those that the client has seen")

      yield* rig.kill("near")
      yield* rig.pass(10)
      assert.strictEqual(yield* one.where, "far")
    }).pipe(Effect.provide(NativeCrypto.layer))
  )

  it.effect("one that takes the service back is left, and its client told that the lists are others", () =>
    Effect.gen(function* () {
      const { instances, rig, targets, world } = yield* capable("near", "far")
      const { lists } = remembering()
      const one = yield* client({ instances }, lists)
      yield* one.listed
      assert.strictEqual(yield* one.where, "near")

      yield* rig.takeBack("near")
      world.found.shift()
      yield* rig.pass(35)
      assert.deepStrictEqual(targets(), ["far"])
      assert.strictEqual(Json.member(yield* one.answer, "method"), "notifications/tools/list_changed")
      assert.strictEqual(yield* one.where, "far")
    }).pipe(Effect.provide(NativeCrypto.layer))
  )

  it.effect("one whose card is missing stays as long as it lists the service", () =>
    Effect.gen(function* () {
      const { rig, targets, world } = yield* capable("near", "far")
      world.found.shift()
      yield* rig.pass(120)
      assert.sameMembers(targets(), ["near", "far"])
    }).pipe(Effect.provide(NativeCrypto.layer))
  )

  it.effect("one that is not trusted any more is left, though it would still answer", () =>
    Effect.gen(function* () {
      const { instances, rig, targets, world } = yield* capable("near", "far")
      const one = yield* client({ instances })
      assert.strictEqual(yield* one.where, "near")
      world.found.shift()
      world.trusted.shift()
      yield* rig.pass(35)
      assert.deepStrictEqual(targets(), ["far"])
      assert.strictEqual(yield* one.where, "far")
    }).pipe(Effect.provide(NativeCrypto.layer))
  )

  it.effect("one that stays away for ten minutes is gone, and joins again when it is back", () =>
    Effect.gen(function* () {
      const { instances, rig, targets, world } = yield* capable("near", "far")
      const [near, ...others] = world.found
      yield* rig.kill("near")
      world.found = others
      yield* rig.pass(590)
      assert.deepStrictEqual(targets(), ["near", "far"])
      yield* rig.pass(60)
      assert.deepStrictEqual(targets(), ["far"])

      yield* rig.revive("near")
      if (near !== undefined) world.found = [near, ...others]
      yield* rig.pass(60)
      assert.sameMembers(targets(), ["near", "far"])
      const one = yield* client({ instances })
      assert.strictEqual(yield* one.where, "near")
    }).pipe(Effect.provide(NativeCrypto.layer))
  )

  it.effect("none is gone while nobody can be reached, nor for the time in which this node could not be asked", () =>
    Effect.gen(function* () {
      const { rig, targets, world } = yield* capable("near", "far")
      const found = world.found
      world.found = []
      for (const name of ["near", "far"]) yield* rig.kill(name)
      yield* rig.pass(900)
      assert.sameMembers(targets(), ["near", "far"])

      world.isAway = true
      yield* rig.pass(60)
      world.isAway = false
      yield* rig.revive("far")
      world.found = found.slice(1)
      yield* rig.pass(60)
      assert.sameMembers(targets(), ["near", "far"])
    }).pipe(Effect.provide(NativeCrypto.layer))
  )

  it.effect("the last one stays, and says itself why calls fail", () =>
    Effect.gen(function* () {
      const { instances, rig, targets, world } = yield* capable("near")
      const one = yield* client({ instances })
      assert.strictEqual(yield* one.where, "near")
      yield* rig.takeBack("near")
      yield* rig.kill("near")
      yield* rig.revive("near")
      world.found = []
      yield* rig.pass(60)
      assert.deepStrictEqual(targets(), ["near"])
      yield* one.call("where")
      const error = Json.member(yield* one.answer, "error")
      assert.strictEqual(Json.isObject(error) ? Json.integer(error, "code") : 0, -31003)

      world.found = [foundAt("far", "same")]
      yield* rig.pass(60)
      assert.deepStrictEqual(targets(), ["far"])
      assert.strictEqual(yield* one.where, "far")
    }).pipe(Effect.provide(NativeCrypto.layer))
  )

  it.effect("one whose name is not known for a moment does not join twice", () =>
    Effect.gen(function* () {
      const { rig, targets, world } = yield* capable("near", "far")
      world.found = [foundAt("near", "same", true, "0:0000.0000.0002"), foundAt("far", "same")]
      yield* rig.pass(60)
      assert.deepStrictEqual(targets(), ["near", "far"])
    }).pipe(Effect.provide(NativeCrypto.layer))
  )
})

/** A search whose answers are those, one after the other, the last for ever; each takes so long. */
const searching = (answers: ReadonlyArray<"found" | "worse" | "nobody" | "busy">, takesMs = 10) => {
  let asked = 0
  const search = Effect.suspend(() => {
    const answer = answers[Math.min(asked++, answers.length - 1)]
    const found = answer === "found" ? [foundAt("near", "same")] : answer === "worse" ? [foundAt("far", "others")] : []
    const problems = answer === "busy" || answer === "worse" ? [{ node: 2, detail: "it cannot be reached" }] : []
    return Effect.delay(Effect.succeed({ found, problems, trusted: [2] }), takesMs)
  })
  const first = Effect.fnUntraced(function* (patienceMs: number) {
    const clock = yield* Clock.Clock
    const beganAtMs = clock.currentTimeMillisUnsafe()
    const fiber = yield* Effect.forkChild(CapableInstances.first(search, patienceMs))
    while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust("100 millis")
    const { found } = yield* Fiber.join(fiber)
    return { asked, targets: found.map(({ target }) => target), tookMs: clock.currentTimeMillisUnsafe() - beganAtMs }
  })
  return first
}

describe("the first search for a capability", () => {
  it.effect(
    "a peer that failed soon is asked once more, whoever else was found: the way to it may just have been made",
    () =>
      Effect.gen(function* () {
        const { asked, targets } = yield* searching(["worse", "found"])(0)
        assert.deepStrictEqual(targets, ["near/files"])
        assert.strictEqual(asked, 2)
        assert.strictEqual((yield* searching(["worse"])(15_000)).asked, 2, "but not again and again")
        assert.strictEqual((yield* searching(["worse"], 8000)(15_000)).asked, 1, "nor one that was waited for")
      })
  )

  it.effect("while nobody is found and somebody does not answer, it goes on for a bounded time", () =>
    Effect.gen(function* () {
      const late = yield* searching(["busy", "busy", "busy", "busy", "found"])(15_000)
      assert.deepStrictEqual(late.targets, ["near/files"])
      const never = yield* searching(["busy"])(15_000)
      assert.deepStrictEqual(never.targets, [])
      assert.isAtLeast(never.tookMs, 15_000)
      assert.isAtMost(never.tookMs, 17_000)
    })
  )

  it.effect("who has answered is not asked again", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* searching(["found"])(15_000)).asked, 1)
      assert.strictEqual((yield* searching(["nobody", "found"])(15_000)).asked, 1)
    })
  )
})
