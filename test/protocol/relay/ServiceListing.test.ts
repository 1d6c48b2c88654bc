import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import { ServiceName } from "../../../src/protocol/relay/RelayControl.ts"
import * as ServiceListing from "../../../src/protocol/relay/ServiceListing.ts"

const line = (value: unknown) => Bytes.fromUtf8(JSON.stringify(value))
const listed = (value: unknown) => Result.getOrThrow(ServiceListing.parseReply(line(value)))
const withoutNewline = (bytes: Uint8Array) => {
  assert.strictEqual(bytes.at(-1), 0x0a)
  return bytes.subarray(0, -1)
}

const Rows = Schema.Array(Schema.Struct({ name: ServiceName, title: Schema.String }))

describe("ServiceListing", () => {
  it.prop("what is written is read as the same, up to its bounds", { rows: Rows }, ({ rows }) => {
    const unique = [...new Map(rows.map((row) => [row.name, row])).values()]
    const answer = ServiceListing.reply(7, ServiceListing.result(unique))
    const found = Result.getOrThrow(ServiceListing.parseReply(withoutNewline(answer)))

    assert.deepStrictEqual(
      found.map(({ name }) => name),
      unique.map(({ name }) => name)
    )
    for (const [index, { title }] of found.entries()) {
      assert.isAtMost([...title].length, ServiceListing.TITLE_CHARACTERS_MAX)
      if (title.isWellFormed() && unique[index]!.title.length <= ServiceListing.TITLE_CHARACTERS_MAX) {
        assert.strictEqual(title, unique[index]!.title.toWellFormed())
      }
    }
  })

  it("the health of a service is told as far as it is known, and what is none is left out", () => {
    const look = { verdict: "no-tools", tools: 0, agoMs: 1500 } as const
    const services = [
      { name: "a", title: "", health: { breaker: "open", retryInMs: 4000, look } },
      { name: "b", title: "", health: { breaker: "closed", retryInMs: 0 } },
      { name: "c", title: "" }
    ] as const
    const answer = ServiceListing.reply(1, ServiceListing.result(services))
    assert.deepStrictEqual(Result.getOrThrow(ServiceListing.parseReply(withoutNewline(answer))), services)
    const healthOf = (health: unknown) => listed({ result: { services: [{ name: "a", health }] } })[0]?.health
    for (const none of [5, {}, { breaker: "broken" }, []]) assert.isUndefined(healthOf(none))
    assert.deepStrictEqual(healthOf({ breaker: "closed", retry_in_ms: -1, look: { verdict: "fine", tools: 3 } }), {
      breaker: "closed",
      retryInMs: 0
    })
  })

  it("the request is one line of JSON-RPC, and its id keeps its type", () => {
    assert.deepStrictEqual(ServiceListing.parseRequest(withoutNewline(ServiceListing.request(3))), {
      id: 3,
      method: "pilot/services",
      params: {}
    })
    assert.strictEqual(ServiceListing.parseRequest(line({ jsonrpc: "2.0", id: "3", method: "x" }))?.id, "3")
    for (const value of [{ method: "x" }, { id: 1 }, { id: null, method: "x" }, [], 5]) {
      assert.isUndefined(ServiceListing.parseRequest(line(value)))
    }
    assert.isUndefined(ServiceListing.parseRequest(Uint8Array.of(0x7b, 0xff)))
  })

  it("names that no service can have, and second ones, are left out; so is what is too many", () => {
    const services = [{ name: "a" }, { name: "../b" }, { name: "a", title: "again" }, { name: 5 }, "c", { title: "x" }]
    assert.deepStrictEqual(listed({ result: { services } }), [{ name: "a", title: "" }])
    const many = Array.from({ length: 400 }, (_, index) => ({ name: `s${index}` }))
    assert.lengthOf(listed({ result: { services: many } }), ServiceListing.SERVICES_MAX)
  })

  it("the largest answer fits into what is read", () => {
    const rows = Array.from({ length: ServiceListing.SERVICES_MAX }, (_, index) => ({
      name: `${index}`.padEnd(64, "x"),
      title: "𝄞".repeat(ServiceListing.TITLE_CHARACTERS_MAX),
      health: {
        breaker: "half-open" as const,
        retryInMs: 0xffff_ffff,
        look: { verdict: "no-tools" as const, tools: 0xffff_ffff, agoMs: 0xffff_ffff }
      }
    }))
    assert.isBelow(ServiceListing.reply(1, ServiceListing.result(rows)).length, ServiceListing.REPLY_BYTES_MAX)
  })

  it("a refusal says why, and anything else is no list", () => {
    const why = (value: unknown) => {
      const read = ServiceListing.parseReply(line(value))
      return Result.isFailure(read) ? read.failure.detail : "none"
    }
    assert.strictEqual(why({ id: 1, error: { code: -32601, message: "no" } }), "no")
    for (const value of [5, {}, { result: {} }, { result: { services: {} } }]) assert.notStrictEqual(why(value), "none")
  })
})
