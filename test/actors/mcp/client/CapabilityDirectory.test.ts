import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as CapabilityDirectory from "../../../../src/actors/mcp/client/CapabilityDirectory.ts"
import * as PlainRequests from "../../../../src/actors/mcp/keeper/PlainRequests.ts"
import type { JsonObject } from "../../../../src/core/data/Json.ts"
import * as DuplexPair from "../../../../src/core/net/DuplexPair.ts"
import type { CapabilityCard } from "../../../../src/protocol/directory/CapabilityCard.ts"
import type { CardBook } from "../../../../src/protocol/directory/CardBook.ts"
import * as CardExchange from "../../../../src/protocol/directory/CardExchange.ts"
import * as Address from "../../../../src/protocol/wire/Address.ts"
import * as Cards from "../../../support/Cards.ts"

const READ = Cards.tool("read_csv", "Reads a CSV file", { path: "string" })
const signed = (seed: number, service: string, changes: Partial<CapabilityCard> = {}, by = seed) =>
  Cards.sign(by, Cards.card(seed, service, [READ], { isPublic: false, ...changes }))

/** What the peers say by node, and what the registry does; nodes 2 and up are trusted under their own keys. */
const directory = Effect.fnUntraced(function* (world: {
  readonly peers: Readonly<Record<number, ReadonlyArray<JsonObject> | "silent">>
  readonly registry?: ReadonlyArray<CapabilityDirectory.PublicCard>
}) {
  yield* TestClock.setTime(Cards.NOW_SECONDS * 1000)
  let book: CardBook = []
  const options: CapabilityDirectory.Options = {
    self: Effect.succeed(1),
    trusted: Effect.succeed(
      [1, ...Object.keys(world.peers).map(Number)].map((node) => ({ node, publicKey: Cards.key(node).publicKey }))
    ),
    dial: (node) =>
      Effect.gen(function* () {
        const [near, far] = yield* DuplexPair.make
        const cards = world.peers[node]
        if (cards === undefined || cards === "silent") return near
        const byService = new Map(cards.map((card, at) => [`s${String(at).padStart(4, "0")}`, card]))
        const answer = yield* PlainRequests.make({
          [CardExchange.METHOD]: (_remote, params) =>
            Effect.succeed(CardExchange.page(byService, CardExchange.afterOf(params), []))
        })
        const serve = Effect.flatMap(far.read, (head) => answer({ duplex: far, remote: Address.make(0, 1) }, head))
        yield* Effect.forkScoped(Effect.ensuring(Effect.ignore(serve), far.end))
        return near
      }),
    publicCards: () =>
      world.registry === undefined ? Effect.fail("registry: unknown message type") : Effect.succeed(world.registry),
    hostnameOf: (node) => Effect.succeed(node === 2 ? "toolbox" : "\u202ebad"),
    verify: Cards.verify,
    sha256: (data) => data,
    book: {
      load: Effect.sync(() => book),
      save: (next) =>
        Effect.sync(() => {
          book = next
        })
    }
  }
  return (words: string) =>
    CapabilityDirectory.search(options, { words, schema: {}, parameters: [], limit: 10, includePublic: true })
})

const reasons = ({ problems }: CapabilityDirectory.Answer) =>
  problems.map(({ detail, node }) => `${node} ${/: (\w+) \(/.exec(detail)?.[1] ?? detail}`)
const targets = ({ found }: CapabilityDirectory.Answer) => found.map(({ target }) => target)

describe("CapabilityDirectory", () => {
  it.effect(
    "asks all trusted peers and the registry, and tells whose each service is and how to use or ask for it",
    () =>
      Effect.gen(function* () {
        const search = yield* directory({
          peers: { 2: [signed(2, "files")], 3: [signed(3, "csv")] },
          registry: [
            { node: 9, hostname: "stranger", signed: signed(9, "tables", { isPublic: true }), pinned: undefined },
            {
              node: 2,
              hostname: "toolbox",
              signed: signed(2, "files", { isPublic: true, sequence: 1 }),
              pinned: undefined
            }
          ]
        })
        const answer = yield* search("read csv")

        assert.sameMembers([...targets(answer)], ["toolbox/files", "0:0000.0000.0003/csv", "stranger/tables"])
        const of = (target: string) => answer.found.find((row) => row.target === target)
        assert.deepInclude(of("toolbox/files"), { isUsable: true, next: "pilotctl mcp mount toolbox/files" })
        assert.deepInclude(of("stranger/tables"), {
          isUsable: false,
          next: 'pilotctl trust add stranger "may I use tables?"'
        })
        assert.isFalse(of("stranger/tables")?.peer.isTrusted)
      })
  )

  it.effect(
    "believes no liar: another's card, a forged one, hidden text, too large; the others are found all the same",
    () =>
      Effect.gen(function* () {
        const big = { card: { note: "x".repeat(20_000) }, signature: "" }
        const search = yield* directory({
          peers: {
            2: [signed(2, "good")],
            3: [signed(9, "stolen")],
            4: [signed(4, "forged", {}, 9)],
            5: [signed(5, "hidden", { title: "a\u200bb" }), big],
            6: [signed(2, "theirs")]
          },
          registry: [
            { node: 8, hostname: "", signed: signed(8, "moved", { isPublic: true }), pinned: Cards.key(7).publicKey },
            { node: 2, hostname: "", signed: signed(8, "posing", { isPublic: true, node: 2 }), pinned: undefined }
          ]
        })
        const answer = yield* search("read csv")

        assert.deepStrictEqual(targets(answer), ["toolbox/good"])
        assert.sameMembers(
          [...reasons(answer)],
          ["3 WrongKey", "4 BadSignature", "5 HiddenCharacters", "5 TooLarge", "6 WrongKey", "8 WrongKey", "2 WrongKey"]
        )
      })
  )

  it.effect("refuses a card older than the one it has seen (rollback)", () =>
    Effect.gen(function* () {
      const peers: Record<number, ReadonlyArray<JsonObject>> = { 2: [signed(2, "files", { sequence: 7 })] }
      const search = yield* directory({ peers, registry: [] })
      assert.deepStrictEqual(targets(yield* search("csv")), ["toolbox/files"])
      peers[2] = [signed(2, "files", { sequence: 6 })]
      const later = yield* search("csv")

      assert.deepStrictEqual(targets(later), [])
      assert.deepStrictEqual(reasons(later), ["2 RolledBack"])
    })
  )

  it.effect("does not wait for a peer that is silent longer than its time, nor fail without a registry of ours", () =>
    Effect.gen(function* () {
      const search = yield* directory({ peers: { 2: [signed(2, "files")], 3: "silent" } })
      const fiber = yield* Effect.forkChild(search("csv"))
      while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust("1 second")
      const answer = yield* Fiber.join(fiber)

      assert.deepStrictEqual(targets(answer), ["toolbox/files"])
      assert.sameMembers([...reasons(answer)], ["3 it does not answer in time", "0 registry: unknown message type"])
    })
  )

  it.effect("reads many cards page by page", () =>
    Effect.gen(function* () {
      const filler = Array.from({ length: 60 }, (_, at) =>
        Cards.tool(`tool_${at}`, "d".repeat(150), { path: "string" })
      )
      const many = Array.from({ length: 40 }, (_, at) =>
        Cards.sign(2, Cards.card(2, `s${String(at).padStart(4, "0")}`, [READ, ...filler]))
      )
      const search = yield* directory({ peers: { 2: many }, registry: [] })
      const { found, problems } = yield* search("csv")

      assert.deepStrictEqual(problems, [])
      assert.lengthOf(found, 10)
      const [last] = (yield* search("s0039")).found
      assert.strictEqual(last?.service, "s0039")
    })
  )
})
