import { sign } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Result } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as GoJson from "../../../src/core/data/GoJson.ts"
import * as Json from "../../../src/core/data/Json.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"
import * as RegistryMessage from "../../../src/protocol/wire/RegistryMessage.ts"
import * as RegistryReply from "../../../src/protocol/wire/RegistryReply.ts"
import * as RegistryRequest from "../../../src/protocol/wire/RegistryRequest.ts"
import * as RegistrySignature from "../../../src/protocol/wire/RegistrySignature.ts"
import * as Arb from "../../support/Arbitraries.ts"
import { failure, hex, success } from "../../support/Vectors.ts"
import vectors from "../../vectors/rendezvous.json" with { type: "json" }

/** The one body of a frame. */
const bodyOf = (frame: Uint8Array): Uint8Array => {
  const { frames } = RegistryMessage.makeSplitter().push(frame)
  assert.strictEqual(frames.length, 1)
  return frames[0]!
}

/** The base64 signature; Node wants the seed in PKCS #8 (RFC 8410 §7). */
const signWith = (seedHex: string, text: string): string => {
  const key = Buffer.from(`302e020100300506032b657004220420${seedHex}`, "hex")
  return sign(null, Buffer.from(text), { key, format: "der", type: "pkcs8" }).toString("base64")
}

/** The members that are written. */
const withoutUndefined = (object: object): object =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined))

const keys: Record<string, { readonly seed_hex: string }> = vectors.keys

describe("registry vectors", () => {
  for (const vector of vectors.registry) {
    const { name, request_frame_hex, response_body_text, response_frame_hex } = vector
    if (response_body_text !== undefined && response_frame_hex !== undefined)
      it(`reply bytes of ${name}`, () => {
        const reply = success(RegistryMessage.decode(bodyOf(hex(response_frame_hex))))

        assert.strictEqual(GoJson.encode(reply), response_body_text)
        assert.strictEqual(Bytes.toHex(RegistryMessage.encode(reply)), response_frame_hex)
      })

    if (request_frame_hex !== undefined && vector.request !== undefined)
      it(`request bytes of ${name}`, () => {
        const object = success(RegistryMessage.decode(bodyOf(hex(request_frame_hex))))
        const request = RegistryRequest.fromObject(object)
        const { signed_by, signed_text } = vector

        assert.deepStrictEqual(object, withoutUndefined(vector.request))
        if (request._tag === "Unknown" || MISTYPED.includes(name)) return
        assert.deepStrictEqual(withoutUndefined(RegistryRequest.toObject(request)), object)
        if (signed_by === undefined || signed_text === undefined) return
        assert.strictEqual(RegistryRequest.signedText(request), signed_text)
        const signature = signWith(keys[signed_by]!.seed_hex, signed_text)
        assert.deepStrictEqual(RegistryRequest.withSignature(request, signature), request)
      })

    if (request_frame_hex !== undefined && vector.request === undefined)
      it(`framing of ${name}`, () => {
        const { exceeded, frames } = RegistryMessage.makeSplitter().push(hex(request_frame_hex))
        const isRefused = exceeded !== undefined || Result.isFailure(RegistryMessage.decode(frames[0]!))

        assert.strictEqual(isRefused, vector.connection_closed_without_reply === true)
        if (name === "duplicate_keys")
          assert.deepStrictEqual(success(RegistryMessage.decode(frames[0]!)), { type: "beacon_list" })
      })
  }

  it("pipelined requests come apart in order (rendezvous §2.1)", () => {
    const requests: ReadonlyArray<Json.JsonObject> = [{ type: "a" }, { type: "b" }, { type: "c" }]
    const { frames } = RegistryMessage.makeSplitter().push(Bytes.concat(...requests.map(RegistryMessage.encode)))
    assert.deepStrictEqual(
      frames.map((frame) => success(RegistryMessage.decode(frame))),
      requests
    )
  })

  it("a newer register is signed over both texts as sent (rendezvous §14.3)", () => {
    const { request } = vectors.newer.find(({ name }) => name === "register_signed")!
    const decoded = RegistryRequest.fromObject(request as Json.JsonObject)
    const text = RegistryRequest.signedText(decoded)!

    assert.deepStrictEqual(withoutUndefined(RegistryRequest.toObject(decoded)), request)
    assert.deepInclude(decoded, { signature: signWith(vectors.keys.alice.seed_hex, text) })
  })
})

/** Requests with members of a wrong type or value, which read as zero and so are written as zero. */
const MISTYPED: ReadonlyArray<string> = [
  "heartbeat_string_id",
  "update_polo_score_fraction",
  "update_polo_score_no_delta"
]

describe("RegistryRequest", () => {
  it.prop("reads what it writes (rendezvous §4)", { request: Arb.registryRequest }, ({ request }) => {
    const object = success(
      RegistryMessage.decode(bodyOf(RegistryMessage.encodeOrdered(RegistryRequest.toObject(request))))
    )
    assert.deepStrictEqual(RegistryRequest.fromObject(object), request)
  })

  it.prop(
    "is total over any object (rendezvous §2.2)",
    { object: Arb.jsonObject, request: Arb.registryRequest },
    ({ object, request }) => {
      const members = Object.keys(RegistryRequest.toObject(request)).filter((key) => key !== "type")
      const mistyped = {
        ...RegistryRequest.toObject(request),
        ...Object.fromEntries(members.map((key) => [key, object]))
      }
      assert.strictEqual(RegistryRequest.fromObject(mistyped)._tag, request._tag)
      assert.strictEqual(RegistryRequest.fromObject({ ...object, type: "" })._tag, "Unknown")
    }
  )

  it("binds time and value where newer servers want it (rendezvous §14.3)", () => {
    assert.strictEqual(RegistrySignature.boundHeartbeat(NodeId(7), 1_800_000_000), "heartbeat:7:1800000000")
    assert.strictEqual(RegistrySignature.boundRotateKey(NodeId(7), "a+/="), "rotate:7:a+/=")
    assert.strictEqual(RegistrySignature.rotateKey(NodeId(4_294_967_295)), "rotate:4294967295")
  })
})

describe("RegistryMessage", () => {
  it("accepts null as an empty object and no other value that is none (rendezvous §2.1)", () => {
    const decode = (text: string) => RegistryMessage.decode(Bytes.fromUtf8(text))

    assert.deepStrictEqual(success(decode(" null\n")), {})
    for (const text of ["", "[]", '"a"', "1", "{} x", "{", "nul"])
      assert.strictEqual(failure(decode(text))._tag, "Malformed", text)
  })

  it("a reply with a text in error has failed, whatever its type (rendezvous §2.3)", () => {
    assert.strictEqual(RegistryMessage.failureText({ type: "lookup_ok", error: "not found" }), "not found")
    assert.strictEqual(
      RegistryMessage.failureText(RegistryMessage.failure("node 9: node not found")),
      "node 9: node not found"
    )
    assert.isUndefined(RegistryMessage.failureText({ type: "error", error: 5 }))
    assert.strictEqual(GoJson.encode(RegistryMessage.failure()), '{"error":"request failed","type":"error"}')
  })
})

describe("RegistryReply", () => {
  const replies = Arbitrary.all({ object: Arb.jsonObject, node: Arb.nodeId, key: Arb.bytesOf(32) })

  it.prop("readers are total over any object", { given: replies }, ({ given }) => {
    for (const read of [
      RegistryReply.registered,
      RegistryReply.lookedUp,
      RegistryReply.resolved,
      RegistryReply.resolvedHostname,
      RegistryReply.punchEndpoints
    ])
      assert.isObject(read(given.object))
    assert.deepStrictEqual(RegistryReply.polled(given.object), { requests: [], responses: [] })
    assert.strictEqual(RegistryReply.heartbeatTime(given.object), 0)
  })

  const replyOf = (name: string): Json.JsonObject => {
    const vector = vectors.registry.find((vector) => vector.name === name)!
    return success(RegistryMessage.decode(Bytes.fromUtf8(vector.response_body_text!)))
  }

  it("reads the reference's replies", () => {
    assert.deepInclude(success(RegistryReply.registered(replyOf("register_owner_hostname"))), {
      node: NodeId(2),
      hostname: "bob-host"
    })
    assert.match(success(RegistryReply.registered(replyOf("register_bad_hostname"))).hostnameError, /alphanumeric/)
    assert.deepStrictEqual(success(RegistryReply.resolved(replyOf("resolve_private_trusted"))).endpoint.port, 4001)
    assert.deepInclude(success(RegistryReply.resolvedHostname(replyOf("resolve_hostname"))), {
      node: NodeId(1),
      isPublic: true
    })
    assert.deepInclude(success(RegistryReply.punchEndpoints(replyOf("punch"))), {
      a: { host: "127.0.0.1", port: 4100 }
    })
    const { requests } = RegistryReply.polled(replyOf("poll_handshakes"))
    assert.deepStrictEqual(
      requests.map(({ from, justification }) => ({ from, justification })),
      [{ from: NodeId(1), justification: "hello <bob> & co" }]
    )
    assert.isAbove(RegistryReply.heartbeatTime(replyOf("heartbeat")), 1_700_000_000)
  })

  it("looked-up nodes show their endpoint when public, and their key always", () => {
    const lookups = vectors.registry.filter(
      ({ name, response }) => name.startsWith("lookup") && response?.type === "lookup_ok"
    )
    assert.isAbove(lookups.length, 1)
    for (const { name } of lookups) {
      const reply = replyOf(name)
      const lookedUp = success(RegistryReply.lookedUp(reply))
      assert.strictEqual(Bytes.toBase64(lookedUp.publicKey), Json.string(reply, "public_key"))
      assert.strictEqual(lookedUp.endpoint !== undefined, lookedUp.isPublic, name)
    }
  })

  it("refuses an address of another node, a short key and an endpoint that is none", () => {
    const base = { node_id: 5, address: "0:0000.0000.0005", public_key: Bytes.toBase64(new Uint8Array(32)) }
    assert.deepStrictEqual(success(RegistryReply.lookedUp(base)).node, NodeId(5))
    assert.deepStrictEqual(failure(RegistryReply.lookedUp({ ...base, node_id: 6 })), {
      _tag: "Malformed",
      detail: "node_id"
    })
    assert.deepStrictEqual(failure(RegistryReply.lookedUp({ ...base, public_key: "AAAA" })), {
      _tag: "Malformed",
      detail: "public_key"
    })
    assert.strictEqual(failure(RegistryReply.resolved({ node_id: 5, real_addr: "example.org:1" }))._tag, "Malformed")
    const lan = { node_id: 5, real_addr: "1.2.3.4:5", lan_addrs: Array.from({ length: 99 }, (_, i) => `10.0.0.${i}:1`) }
    assert.strictEqual(success(RegistryReply.resolved(lan)).lanEndpoints.length, 8)
  })
})
