import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as DialErrorText from "../../../src/actors/ipc/DialErrorText.ts"
import * as InfoReply from "../../../src/actors/ipc/InfoReply.ts"
import * as KeyText from "../../../src/actors/ipc/KeyText.ts"
import * as SocketPath from "../../../src/actors/ipc/SocketPath.ts"
import { DialError } from "../../../src/actors/node/Node.ts"
import { KeyChanged, NameMoved } from "../../../src/actors/trust/PeerKeys.ts"
import * as GoJson from "../../../src/core/data/GoJson.ts"
import * as Json from "../../../src/core/data/Json.ts"

const OLD = "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA"
const NEW = "BBBB-BBBB-BBBB-BBBB-BBBB-BBBB-BBBB-BBBB"

describe("DialErrorText", () => {
  const reasons = DialError.fields.reason.literals

  it("every reason survives the way through an Error frame (node §1.5)", () => {
    for (const reason of reasons) {
      const text = DialErrorText.format(new DialError({ reason, target: "0:0000.0000.0002", detail: "why" }), 2)
      assert.strictEqual(DialErrorText.parse(text, "bravo").reason, reason, text)
    }
  })

  it("keeps the words of the reference (node §1.5)", () => {
    const text = (reason: DialError["reason"], detail = "") =>
      DialErrorText.format(new DialError({ reason, target: "", detail }), 999)
    assert.strictEqual(text("Refused"), "connection refused")
    assert.strictEqual(text("Timeout"), "dial timeout")
    assert.strictEqual(text("NotFound", "registry: request failed"), "resolve node 999: registry: request failed")
    assert.strictEqual(text("NoPath"), "node 999 has no real address")
    assert.strictEqual(DialErrorText.parse("resolve node 7: registry: request failed", "x").reason, "NotFound")
  })
})

describe("KeyText", () => {
  it("a changed key survives the way through an Error frame, whatever stands before it (security rule 1)", () => {
    for (const change of [
      new NameMoved({ name: "bravo", pinnedFingerprint: OLD, offeredFingerprint: NEW }),
      new KeyChanged({ node: 7, pinnedFingerprint: OLD, offeredFingerprint: NEW })
    ])
      assert.deepStrictEqual(KeyText.parse(`resolve_hostname: ${KeyText.format(change)}`), change)
    assert.isUndefined(KeyText.parse("resolve_hostname: registry: request failed"))
  })
})

describe("SocketPath", () => {
  const base = { variables: {}, home: "/h/.pilot", isHomeExplicit: false, configured: undefined }

  it("a path somebody chose is the only one (cli §1.3)", () => {
    const variables = { PILOT_SOCKET: "/x", XDG_RUNTIME_DIR: "/run/user/1" }
    assert.deepStrictEqual(SocketPath.candidates({ ...base, variables, configured: "/c" }), ["/x"])
    assert.deepStrictEqual(SocketPath.candidates({ ...base, configured: "/c" }), ["/c"])
  })

  it("a state directory of its own has a socket of its own (architecture, decision 8)", () => {
    const variables = { XDG_RUNTIME_DIR: "/run/user/1" }
    assert.deepStrictEqual(SocketPath.candidates({ ...base, variables, isHomeExplicit: true }), [
      "/h/.pilot/pilot.sock"
    ])
  })

  it("else the runtime directory, the state directory, and the reference's path (node §1.1)", () => {
    const variables = { XDG_RUNTIME_DIR: "/run/user/1" }
    const paths = SocketPath.candidates({ ...base, variables })
    assert.deepStrictEqual(paths, ["/run/user/1/pilot.sock", "/h/.pilot/pilot.sock", "/tmp/pilot.sock"])
    assert.strictEqual(SocketPath.listening({ ...base, variables: { XDG_RUNTIME_DIR: "" } }), "/h/.pilot/pilot.sock")
  })

  it("the longest path is counted in bytes", () => {
    assert.isFalse(SocketPath.isTooLong("x".repeat(SocketPath.BYTES_MAX)))
    assert.isTrue(SocketPath.isTooLong("ä".repeat(SocketPath.BYTES_MAX / 2 + 1)))
  })
})

describe("InfoReply.fit", () => {
  const Rows = Schema.Array(Schema.Struct({ node_id: Schema.Int, endpoint: Schema.String }))

  it.prop(
    "fits, keeps leading rows, and says what it cut (node §1.7)",
    { rows: Rows, extra: Rows },
    ({ rows, extra }) => {
      const value = { node_id: 1, conn_list: rows, peer_list: extra }
      const fitted = InfoReply.fit(value, ["conn_list", "peer_list"], 300)

      for (const [key, all] of [
        ["conn_list", rows],
        ["peer_list", extra]
      ] as const) {
        const kept = Json.list(fitted, key)
        assert.deepStrictEqual(kept, all.slice(0, kept.length))
        assert.strictEqual(Json.boolean(fitted, `${key}_truncated`), fitted[`${key}_truncated`] !== undefined)
        if (kept.length < all.length) assert.isTrue(Json.boolean(fitted, `${key}_truncated`))
      }
      assert.isAtMost(new TextEncoder().encode(GoJson.encode(fitted)).length, 300)
    }
  )
})
