import { assert, describe, it } from "@effect/vitest"
import { type Duration, Effect, type Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as FrontRoster from "../../../../src/actors/mcp/front/FrontRoster.ts"
import { CannotReach } from "../../../../src/actors/mcp/mount/ShimFailure.ts"
import * as DuplexPair from "../../../../src/core/net/DuplexPair.ts"
import * as ServiceListing from "../../../../src/protocol/relay/ServiceListing.ts"
import * as ScriptedServer from "../../../support/ScriptedServer.ts"

const test = (name: string, body: () => Effect.Effect<void, unknown, Scope.Scope>) => it.effect(name, body)

/** What a peer does when it is asked: gives a list, cannot be reached, hangs up, says nothing, or is too busy. */
type Peer = ReadonlyArray<string> | "down" | "older" | "silent" | "busy"

const settle = Effect.repeat(Effect.yieldNow, { times: 300 })
const pass = (duration: Duration.Input) => Effect.andThen(TestClock.adjust(duration), settle)

/** Peers as `peers` has them at any time, and a roster over them. */
const rigged = Effect.fnUntraced(function* (
  peers: Record<string, Peer>,
  more: Partial<FrontRoster.Options<unknown>> = {}
) {
  const asked: Record<string, number> = {}
  let changes = 0
  const dial = (peer: string) =>
    Effect.gen(function* () {
      asked[peer] = (asked[peer] ?? 0) + 1
      const behaviour = peers[peer] ?? "down"
      if (behaviour === "down") return yield* new CannotReach({ kind: "unreachable", detail: "gone", isFinal: false })
      const [near, far] = yield* DuplexPair.make
      const answer =
        behaviour === "busy"
          ? ServiceListing.refusal(1, ServiceListing.OVERLOADED, "Asked too often.")
          : ServiceListing.reply(
              1,
              ServiceListing.result(typeof behaviour === "string" ? [] : behaviour.map((name) => ({ name, title: "" })))
            )
      const serve = Effect.andThen(ScriptedServer.lines(far), behaviour === "older" ? far.end : far.write(answer))
      if (behaviour !== "silent") yield* Effect.forkScoped(Effect.ignore(serve))
      return near
    })
  const roster = yield* FrontRoster.make({
    peers: Effect.sync(() => Object.keys(peers)),
    dial,
    hash: (text) => text,
    ...more
  })
  yield* Effect.forkScoped(Stream.runForEach(roster.changes, () => Effect.sync(() => changes++)))
  let isReady = false
  yield* Effect.forkScoped(
    Effect.andThen(
      roster.ready,
      Effect.sync(() => (isReady = true))
    )
  )
  yield* settle
  const listed = () => roster.services().map(({ alias, isUp }) => `${alias}${isUp ? "" : " down"}`)
  return { asked, listed, changes: () => changes, isReady: () => isReady }
})

describe("FrontRoster", () => {
  test("what peers listed before is there before they answer, and goes when they say so or are trusted no more", () =>
    Effect.gen(function* () {
      const peers: Record<string, Peer> = { a: "silent", b: ["new"], c: "down" }
      const listing = (name: string) => [{ name, title: "" }]
      const saved: Array<ReadonlyMap<string, unknown>> = []
      const known = new Map([
        ["a", listing("one")],
        ["b", listing("two")],
        ["c", listing("three")],
        ["gone", listing("four")]
      ])
      const memory = {
        load: Effect.succeed(known),
        save: (listed: (typeof saved)[0]) => Effect.sync(() => void saved.push(listed))
      }
      const { isReady, listed } = yield* rigged(peers, { memory })
      assert.isTrue(isReady())
      assert.deepStrictEqual(listed(), ["a_one", "b_new", "c_three down"])
      assert.deepStrictEqual([...(saved.at(-1)?.keys() ?? [])].toSorted(), ["a", "b", "c"])
      yield* pass("11 minutes")
      assert.deepStrictEqual(listed(), ["b_new"])
    }))

  test("whoever is not remembered is waited for", () =>
    Effect.gen(function* () {
      const memory = { load: Effect.succeed(new Map([["a", []]])), save: () => Effect.void }
      const { isReady } = yield* rigged({ a: "silent", b: "silent" }, { memory })
      assert.isFalse(isReady())
    }))

  test("every peer is asked every 15 seconds, and changes are told once each", () =>
    Effect.gen(function* () {
      const peers: Record<string, Peer> = { a: ["files"], b: [] }
      const { asked, changes, isReady, listed } = yield* rigged(peers)
      assert.deepStrictEqual(listed(), ["a_files"])
      assert.isTrue(isReady())
      yield* pass("14 seconds")
      assert.deepStrictEqual(asked, { a: 1, b: 1 })
      const before = changes()
      peers["b"] = ["notes"]
      yield* pass("2 seconds")
      assert.deepStrictEqual(asked, { a: 2, b: 2 })
      assert.deepStrictEqual(listed(), ["a_files", "b_notes"])
      assert.strictEqual(changes(), before + 1)
      yield* pass("1 minute")
      assert.strictEqual(changes(), before + 1)
      peers["a"] = []
      yield* pass("16 seconds")
      assert.deepStrictEqual(listed(), ["b_notes"])
    }))

  test("services of a peer that is down stay ten minutes, marked, and then go with one change", () =>
    Effect.gen(function* () {
      const peers: Record<string, Peer> = { a: ["files", "notes"] }
      const { asked, changes, listed } = yield* rigged(peers)
      peers["a"] = "down"
      yield* pass("16 seconds")
      assert.deepStrictEqual(listed(), ["a_files down", "a_notes down"])
      const told = changes()
      const before = asked["a"] ?? 0
      yield* pass("9 minutes")
      assert.deepStrictEqual(listed(), ["a_files down", "a_notes down"])
      // After 5, 10, 20, 40 s, then each minute: far less often than one that answers.
      assert.isAtMost((asked["a"] ?? 0) - before, 13)
      assert.strictEqual(changes(), told)
      yield* pass("65 seconds")
      assert.deepStrictEqual(listed(), [])
      assert.strictEqual(changes(), told + 1)
      yield* pass("30 minutes")
      assert.strictEqual(changes(), told + 1)
      peers["a"] = ["files"]
      yield* pass("62 seconds")
      assert.deepStrictEqual(listed(), ["a_files"])
      assert.strictEqual(changes(), told + 2)
    }))

  test("a peer that comes back within ten minutes is up at its next answer, and is asked at the usual pace again", () =>
    Effect.gen(function* () {
      const peers: Record<string, Peer> = { a: ["files"] }
      const { asked, listed } = yield* rigged(peers)
      peers["a"] = "down"
      yield* pass("2 minutes")
      assert.deepStrictEqual(listed(), ["a_files down"])
      peers["a"] = ["files"]
      yield* pass("62 seconds")
      assert.deepStrictEqual(listed(), ["a_files"])
      const before = asked["a"] ?? 0
      yield* pass("1 minute")
      assert.isAtLeast((asked["a"] ?? 0) - before, 3)
    }))

  test("the first question that fails soon is asked again before the services are said to be known", () =>
    Effect.gen(function* () {
      const peers: Record<string, Peer> = { a: ["files"], b: "down", c: "busy" }
      const { isReady, listed } = yield* rigged(peers)
      assert.isFalse(isReady())
      peers["b"] = ["notes"]
      peers["c"] = ["late"]
      yield* pass("1 second")
      assert.isTrue(isReady())
      assert.deepStrictEqual(listed(), ["a_files", "b_notes", "c_late"])
    }))

  test("a peer that is slow or busy has not said that it has no services", () =>
    Effect.gen(function* () {
      const peers: Record<string, Peer> = { a: "silent", b: "busy", c: "older" }
      const only = ["a", "b", "c"].map((peer) => ({ peer, service: "files" }))
      const { listed } = yield* rigged(peers, { only })
      yield* pass("16 seconds")
      // An older one knows no such question, and can be used by name all the same.
      assert.deepStrictEqual(listed(), ["a_files down", "b_files down", "c_files"])
      peers["a"] = ["files"]
      peers["b"] = ["files"]
      yield* pass("22 seconds")
      assert.deepStrictEqual(listed(), ["a_files", "b_files", "c_files"])
    }))

  test("a peer that is trusted no more takes its services along at once", () =>
    Effect.gen(function* () {
      const peers: Record<string, Peer> = { a: ["files"], b: ["notes"] }
      const { listed } = yield* rigged(peers)
      delete peers["a"]
      yield* pass("2 seconds")
      assert.deepStrictEqual(listed(), ["b_notes"])
    }))
})
