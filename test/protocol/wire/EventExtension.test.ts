import { assert, describe, it } from "@effect/vitest"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"
import * as EventExtension from "../../../src/protocol/wire/EventExtension.ts"
import { failure, hex, success } from "../../support/Vectors.ts"

describe("EventExtension", () => {
  it("an event's head is kind, number, time and publisher (wire §17)", () => {
    const message: EventExtension.Message = {
      ...{ _tag: "Event", sequence: 258, publishedAtMs: 1_771_000_000_000, publisher: NodeId(7) },
      data: Bytes.fromUtf8("x")
    }

    const encoded = EventExtension.encode(message)

    assert.strictEqual(Bytes.toHex(encoded), "0100000000000001020000019c57d36e0000000007" + "78")
    assert.deepStrictEqual(success(EventExtension.decode(encoded)), message)
  })

  it("an offer is no offer without its magic, and one of another format is not understood", () => {
    const offer = EventExtension.encodeOffer({ _tag: "Publish", nonce: "n" })

    assert.strictEqual(Bytes.toUtf8(offer.subarray(4)), '{"mode":"publish","nonce":"n"}')
    assert.strictEqual(failure(EventExtension.decodeOffer(Bytes.empty))._tag, "BadMagic")
    assert.strictEqual(failure(EventExtension.decodeOffer(Bytes.fromUtf8("first")))._tag, "BadMagic")
    assert.strictEqual(failure(EventExtension.decodeOffer(hex("45504502")))._tag, "UnsupportedVersion")
    assert.strictEqual(failure(EventExtension.decodeOffer(hex("45504501")))._tag, "Malformed")
  })

  it("a subscription keeps filter, consumer, start and policy", () => {
    const offer: EventExtension.Offer = {
      ...{ _tag: "Subscribe", nonce: "n", filter: "data.*", consumer: "reporter", policy: "block" },
      start: { _tag: "After", sequence: 3, log: "ab" }
    }

    assert.deepStrictEqual(success(EventExtension.decodeOffer(EventExtension.encodeOffer(offer))), offer)
  })

  it("a number that is no safe integer is no message", () => {
    assert.strictEqual(failure(EventExtension.decode(hex("07ffffffffffffffff")))._tag, "UnknownType")
    assert.strictEqual(failure(EventExtension.decode(hex("07000000")))._tag, "Truncated")
    assert.strictEqual(failure(EventExtension.decode(hex("07000000000000000100")))._tag, "Malformed")
  })
})
