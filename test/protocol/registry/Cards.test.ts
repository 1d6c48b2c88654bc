import { assert, describe, it } from "@effect/vitest"
import * as RowTable from "../../../src/actors/registry/RowTable.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Json from "../../../src/core/data/Json.ts"
import * as CapabilityCard from "../../../src/protocol/directory/CapabilityCard.ts"
import { CARDS_PER_NODE_MAX } from "../../../src/protocol/registry/CardTable.ts"
import { noRows } from "../../../src/protocol/registry/Change.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"
import * as Cards from "../../support/Cards.ts"
import * as Requests from "../../support/RegistryRequests.ts"

const READ = Cards.tool("read_csv", "Reads a CSV file", { path: "string" })

/** A card of node `seed`, signed with the cheap scheme of these tests. */
const signedCard = (seed: number, service: string, changes: Json.JsonObject = {}, by = seed): Json.JsonObject => {
  const card = Cards.card(seed, service, [READ])
  const object = {
    ...CapabilityCard.toObject({
      ...card,
      publicKey: Requests.keyText(seed),
      name: CapabilityCard.nameOf(Requests.keyText(seed), service),
      issuedAt: 1_799_999_999,
      expiresAt: 1_800_003_600
    }),
    ...changes
  }
  return { card: object, signature: Requests.sign(by, CapabilityCard.signedText(object)) }
}

/** A registry where nodes 1 to 3 are registered under the keys of the same numbers, and its rows. */
const office = () => {
  const desk = new Requests.Desk()
  const rows = RowTable.make(noRows)
  const ask = (request: Json.JsonObject, host = 1) => {
    const handled = desk.ask(request, host)
    RowTable.apply(rows, handled.changes)
    return handled.refusal === undefined ? handled.reply : `${handled.refusal.code} ${handled.refusal.detail}`
  }
  for (const seed of [1, 2, 3]) ask(Requests.register(seed, { hostname: `node-${seed}` }), seed)
  const publish = (seed: number, signed: Json.JsonObject, node = seed) =>
    ask(Requests.signed(seed, { _tag: "PublishCard", node: NodeId(node), signedCard: signed, signature: "" }), seed)
  const withdraw = (seed: number, service: string, node = seed) =>
    ask(Requests.signed(seed, { _tag: "WithdrawCard", node: NodeId(node), service, signature: "" }), seed)
  const search = (query: string, host = 9) => {
    const reply = ask({ type: "search_cards", query, schema: {}, limit: 5 }, host)
    return typeof reply === "string" ? reply : Json.objects(reply, "cards").map((row) => Json.integer(row, "node_id"))
  }
  return { desk, rows, ask, publish, withdraw, search }
}

describe("public capability cards at the registry", () => {
  it("are stored when node, key and signatures are the publisher's, found by words, and withdrawn", () => {
    const { publish, rows, search, withdraw } = office()
    assert.deepInclude(publish(1, signedCard(1, "files")), { type: "publish_card_ok", service: "files", sequence: 1 })
    assert.deepStrictEqual(search("csv"), [1])
    assert.deepStrictEqual(search("weather"), [])
    assert.strictEqual(rows.cards.size, 1)
    assert.deepInclude(withdraw(1, "files"), { type: "withdraw_card_ok" })
    assert.deepStrictEqual(search("csv"), [])
    assert.strictEqual(rows.cards.size, 0)
    assert.deepInclude(withdraw(1, "files"), { type: "withdraw_card_ok" })
  })

  it("of somebody else, of another key, forged, not meant for all, or expired are refused and change nothing", () => {
    const { publish, rows, search, withdraw } = office()
    assert.match(String(publish(2, signedCard(1, "files"), 1)), /^signature_invalid/)
    assert.match(String(publish(2, signedCard(1, "files"))), /^card_refused WrongKey/)
    assert.match(String(publish(1, signedCard(1, "files", {}, 2))), /^card_refused BadSignature/)
    assert.match(String(publish(1, signedCard(1, "files", { isPublic: false }))), /^card_refused NotPublic/)
    assert.match(String(publish(1, signedCard(1, "files", { node: 2 }))), /^card_refused WrongNode/)
    assert.match(String(publish(1, signedCard(1, "files", { expiresAt: 1_799_999_999 }))), /^card_refused Expired/)
    assert.match(String(publish(1, signedCard(1, "files", { title: "a\u202eb" }))), /^card_refused HiddenCharacters/)
    assert.match(String(publish(1, signedCard(1, "files", { x: "x".repeat(20_000) }))), /^card_refused TooLarge/)
    assert.match(String(publish(9, signedCard(9, "files"))), /^node_not_found/)
    assert.strictEqual(rows.cards.size, 0)
    publish(1, signedCard(1, "files"))
    assert.match(String(withdraw(2, "files", 1)), /^signature_invalid/)
    assert.deepStrictEqual(search("csv"), [1])
  })

  it("cannot be rolled back; the same card again changes nothing", () => {
    const { desk, publish } = office()
    publish(1, signedCard(1, "files", { sequence: 7 }))
    const request = Requests.signed(1, {
      _tag: "PublishCard",
      node: NodeId(1),
      signedCard: signedCard(1, "files", { sequence: 7 }),
      signature: ""
    })
    assert.deepStrictEqual(desk.ask(request, 1).changes, [])
    assert.match(String(publish(1, signedCard(1, "files", { sequence: 6 }))), /^card_refused RolledBack/)
    assert.match(String(publish(1, signedCard(1, "files", { sequence: 7, title: "b" }))), /^card_refused RolledBack/)
    assert.deepInclude(publish(1, signedCard(1, "files", { sequence: 8 })), { sequence: 8 })
  })

  it("are bounded for each node, and a full table still takes newer cards of those it has", () => {
    const { publish } = office()
    for (let at = 0; at < CARDS_PER_NODE_MAX; at++) assert.isObject(publish(1, signedCard(1, `s${at}`)))
    assert.match(String(publish(1, signedCard(1, "more"))), /^limit_exceeded/)
    assert.isObject(publish(1, signedCard(1, "s3", { sequence: 2 })))
    assert.isObject(publish(2, signedCard(2, "other")))
  })

  it("go when their node leaves, is silent for too long, or has another key, and when they expire", () => {
    const { ask, desk, publish, rows, search } = office()
    for (const seed of [1, 2, 3]) publish(seed, signedCard(seed, "files"))
    ask(Requests.signed(1, { _tag: "Deregister", node: NodeId(1), signature: "" }), 1)
    assert.deepStrictEqual(search("csv"), [2, 3])
    const next = Requests.keyText(7)
    ask({ type: "rotate_key", node_id: 2, new_public_key: next, signature: Requests.sign(2, `rotate:2:${next}`) }, 2)
    assert.deepStrictEqual(search("csv"), [3])
    desk.nowMs += 300_000
    RowTable.apply(rows, desk.registry.sweep(desk.at))
    assert.deepStrictEqual(search("csv"), [])
    assert.strictEqual(rows.cards.size, 0)

    ask(Requests.register(3), 3)
    publish(3, signedCard(3, "files", { expiresAt: 1_800_000_400 }))
    assert.deepStrictEqual(search("csv"), [3])
    desk.nowMs += 100_000
    assert.deepStrictEqual(search("csv"), [], "not shown any more, before the sweep as well")
    RowTable.apply(rows, desk.registry.sweep(desk.at))
    assert.strictEqual(rows.cards.size, 0)
  })

  it("outlive the registry's process, and who asks too often waits", () => {
    const { publish, rows, search } = office()
    publish(1, signedCard(1, "files"))
    const again = new Requests.Desk({}, RowTable.rows(rows))
    const reply = again.ask({ type: "search_cards", query: "read csv", schema: {}, limit: 5 }, 9).reply
    const [found] = Json.objects(reply, "cards")
    assert.deepInclude(found, { node_id: 1, hostname: "node-1", ...signedCard(1, "files") })
    assert.isTrue(Bytes.equals(Requests.publicKey(1), Bytes.fromBase64(Requests.keyText(1)) ?? new Uint8Array()))

    let refusals = 0
    for (let at = 0; at < 60; at++) if (String(search("csv", 8)).startsWith("rate_limited")) refusals++
    assert.isAbove(refusals, 20)
  })
})
