import { assert, describe, it } from "@effect/vitest"
import * as NativeCrypto from "../../src/core/crypto/NativeCrypto.ts"
import * as Bytes from "../../src/core/data/Bytes.ts"
import * as ProbeResponder from "../../src/nat/ProbeResponder.ts"
import * as NatProbe from "../../src/protocol/wire/NatProbe.ts"

const ASKER = { host: "198.51.100.7", port: 4000 }
const VICTIM = { host: "192.0.2.9", port: 53 }
const OTHERS = { port: 9002, host: { host: "203.0.113.2", port: 9001 } }
const nonce = Bytes.fromUtf8("12345678")

const make = (secret = "one") =>
  new ProbeResponder.ProbeResponder(ProbeResponder.defaults, (bytes) =>
    NativeCrypto.crypto.hmacSha256(Bytes.fromUtf8(secret), bytes)
  )

const ask = (
  responder: ProbeResponder.ProbeResponder,
  from: NatProbe.Origin,
  proof?: NatProbe.Proof,
  nowMs = 0,
  source = ASKER
) => responder.receive({ _tag: "ProbeRequest", nonce, from, proof }, source, OTHERS, nowMs)

/** A cookie of the endpoint's own. */
const cookieOf = (responder: ProbeResponder.ProbeResponder, endpoint: typeof ASKER, nowMs = 0): NatProbe.Proof => ({
  endpoint,
  cookie: ask(responder, "Same", undefined, nowMs, endpoint)?.reply.cookie ?? Bytes.empty
})

describe("ProbeResponder", () => {
  it("answers where the question came from, and tells of its other endpoints", () => {
    const answer = ask(make(), "Same")

    assert.deepStrictEqual(answer?.to, ASKER)
    assert.deepStrictEqual(answer?.reply.seen, ASKER)
    assert.deepStrictEqual([answer?.reply.otherPort, answer?.reply.otherHost], [OTHERS.port, OTHERS.host])
  })

  it("sends nothing from elsewhere, or to somebody else, without a cookie that was sent there (security rule 7)", () => {
    const responder = make()
    const own = cookieOf(responder, ASKER)

    assert.isUndefined(ask(responder, "OtherPort"))
    assert.isUndefined(ask(responder, "Same", { ...own, endpoint: VICTIM }))
    assert.isUndefined(ask(responder, "OtherPort", cookieOf(make("another"), ASKER)))
    assert.isUndefined(ask(responder, "Same", cookieOf(responder, ASKER), ProbeResponder.COOKIE_LIFE_MS + 1000))
    assert.strictEqual(responder.counters.unproven, 4)
    assert.deepStrictEqual(ask(responder, "OtherPort", own)?.reply.from, "OtherPort")
    assert.deepStrictEqual(ask(responder, "Same", cookieOf(responder, VICTIM))?.to, VICTIM)
  })

  it("no reply is larger than its question, and a smaller question is none", () => {
    const v6 = { host: "2001:db8::ffff:ffff:ffff:ffff", port: 65_535 }
    const cookie = new Uint8Array(NatProbe.COOKIE_BYTES)
    const [seen, otherPort, otherHost] = [v6, 65_535, v6]
    const reply = NatProbe.encode({ _tag: "ProbeReply", nonce, from: "OtherHost", cookie, seen, otherPort, otherHost })
    const question = NatProbe.encode({ _tag: "ProbeRequest", nonce, from: "Same", proof: undefined })

    assert.isAtMost(reply.length, question.length)
    assert.strictEqual(NatProbe.decode(question.subarray(0, question.length - 1))._tag, "Failure")
  })

  it("a source has a budget, whatever its port", () => {
    const responder = make()
    const { capacity } = ProbeResponder.defaults.probe
    const answered = Array.from({ length: capacity + 10 }, (_, port) =>
      ask(responder, "Same", undefined, 0, { ...ASKER, port: port + 1 })
    ).filter((answer) => answer !== undefined)

    assert.strictEqual(answered.length, capacity)
    assert.strictEqual(responder.counters.rateLimited, 10)
  })
})
