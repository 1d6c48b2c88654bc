/** What `SqlRegistryStore` promises, on any engine. */
import { assert, type Vitest } from "@effect/vitest"
import { Arbitrary, Effect, Layer } from "effect"
import { RegistryStore } from "../../src/actors/registry/RegistryStore.ts"
import * as RowTable from "../../src/actors/registry/RowTable.ts"
import * as SqlRegistryStore from "../../src/actors/registry/SqlRegistryStore.ts"
import { Change, noRows } from "../../src/protocol/registry/Change.ts"
import { NodeId } from "../../src/protocol/wire/Address.ts"
import { bytesOf, element, integer, oneOf, text } from "./Arbitraries.ts"
import { Desk, register, signed } from "./RegistryRequests.ts"
import type { Engine } from "./StorageEngine.ts"

const id = Arbitrary.map(oneOf(integer(1, 3), element(0xffffffff)), NodeId)
const truth = element(true, false)
const texts = Arbitrary.array(text, { maxLength: 3 })
// What a request can hold: its JSON has no unpaired surrogates, and the registry stores no NUL (`Json.storable`).
const stored = Arbitrary.map(text, (value) => value.toWellFormed().replaceAll("\u0000", ""))

const change: Arbitrary.Arbitrary<Change> = oneOf<Change>(
  Arbitrary.map(
    Arbitrary.all({
      id,
      publicKey: bytesOf(32),
      owner: stored,
      endpoint: stored,
      lanAddresses: texts,
      hostname: stored,
      tags: texts,
      isPublic: truth,
      taskExec: truth,
      poloScore: integer(-0x7fffffff, 0x7fffffff),
      isPresent: truth,
      presentAtSeconds: integer(0, 4_000_000_000),
      hasSigned: truth,
      hasBoundRotation: truth,
      hasBoundHeartbeat: truth
    }),
    (record) => Change.NodeStored({ record })
  ),
  Arbitrary.map(Arbitrary.all({ from: id, to: id }), Change.TrustStored),
  Arbitrary.map(Arbitrary.all({ from: id, to: id }), Change.TrustRemoved),
  Arbitrary.map(
    Arbitrary.all({ target: id, from: id, justification: stored, at: integer(1, 9), isDelivered: truth }),
    ({ at, from, isDelivered, justification, target }) =>
      Change.RequestStored({ target, request: { from, justification, timestampSeconds: at, isDelivered } })
  ),
  Arbitrary.map(Arbitrary.all({ target: id, from: id }), Change.RequestRemoved),
  Arbitrary.map(Arbitrary.all({ requester: id, from: id, accept: truth, at: integer(1, 9) }), (row) =>
    Change.ResponseStored({
      requester: row.requester,
      response: { from: row.from, accept: row.accept, timestampSeconds: row.at }
    })
  ),
  Arbitrary.map(Arbitrary.all({ requester: id, from: id }), Change.ResponseRemoved),
  Arbitrary.map(
    Arbitrary.all({ node: id, service: element("files", "mail"), title: stored }),
    ({ node, service, title }) => Change.CardStored({ node, service, signed: { card: { title }, signature: "" } })
  ),
  Arbitrary.map(Arbitrary.all({ node: id, service: element("files", "mail") }), Change.CardRemoved)
)

const sorted = (rows: ReadonlyArray<unknown>): ReadonlyArray<string> => rows.map((row) => JSON.stringify(row)).sort()

/** Runs the suite. */
export const run = <R>(it: Vitest.MethodsNonLive<R>, { empty, runs }: Engine<R>): void => {
  const layer = Layer.provide(SqlRegistryStore.layer, empty)
  it.effect.prop(
    "holds after any commits what a table in memory holds",
    { commits: Arbitrary.array(Arbitrary.array(change, { maxLength: 8 }), { maxLength: 5 }) },
    ({ commits }) =>
      Effect.gen(function* () {
        const store = yield* RegistryStore
        const table = RowTable.make(noRows)
        for (const changes of commits) {
          yield* store.commit(changes)
          RowTable.apply(table, changes)
        }
        const actual = yield* store.load
        const expected = RowTable.rows(table)
        assert.deepStrictEqual(sorted(actual.nodes), sorted(expected.nodes))
        assert.deepStrictEqual(sorted(actual.trust), sorted(expected.trust))
        assert.deepStrictEqual(sorted(actual.requests), sorted(expected.requests))
        assert.deepStrictEqual(sorted(actual.responses), sorted(expected.responses))
        assert.deepStrictEqual(sorted(actual.cards), sorted(expected.cards))
      }).pipe(Effect.provide(layer, { local: true })),
    { arbitrary: { runs } }
  )

  it.effect("takes what any request leads to, whatever its texts have in them", () =>
    Effect.gen(function* () {
      const store = yield* RegistryStore
      const desk = new Desk()
      const target = desk.ask(register(1, { owner: "a\u0000b" }))
      yield* store.commit(target.changes)
      yield* store.commit(desk.ask(register(2)).changes)
      const request = { from: NodeId(2), to: NodeId(1), justification: "\u0000", signature: "" }
      yield* store.commit(desk.ask(signed(2, { _tag: "RequestHandshake", ...request })).changes)

      const { nodes, requests } = yield* store.load
      assert.deepStrictEqual(
        nodes.map(({ owner }) => owner),
        ["a\ufffdb", ""]
      )
      assert.deepStrictEqual(
        requests.map((row) => row.request.justification),
        ["\ufffd"]
      )
    }).pipe(Effect.provide(layer, { local: true }))
  )

  it.effect("commits all changes or none", () =>
    Effect.gen(function* () {
      const store = yield* RegistryStore
      const good = Change.TrustStored({ from: NodeId(1), to: NodeId(2) })
      const bad = Change.RequestStored({
        target: NodeId(1),
        request: { from: NodeId(2), justification: "", timestampSeconds: Number.NaN, isDelivered: false }
      })
      const error = yield* Effect.flip(store.commit([good, bad]))
      assert.strictEqual(error.operation, "commit")
      assert.deepStrictEqual((yield* store.load).trust, [])
    }).pipe(Effect.provide(layer, { local: true }))
  )
}
