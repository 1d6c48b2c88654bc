import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as HandshakeCheck from "../../../src/protocol/trust/HandshakeCheck.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"

const NOW = 1_771_000_000
const KEY = new Uint8Array(32).fill(1)
const OTHER = new Uint8Array(32).fill(2)
const SIGNATURE = new Uint8Array(64).fill(3)

const claim: HandshakeCheck.Claim = { node: NodeId(7), publicKey: KEY, signature: SIGNATURE, timestampSeconds: NOW }
const evidence: HandshakeCheck.Evidence = {
  ownNode: NodeId(1),
  streamNode: NodeId(7),
  tunnelKey: KEY,
  isSigned: (publicKey, signature, from, to) =>
    Bytes.equals(publicKey, KEY) && Bytes.equals(signature, SIGNATURE) && from === 7 && to === 1
}

const screen = (
  changes: Partial<HandshakeCheck.Claim>,
  known: Partial<HandshakeCheck.Evidence> = {}
): HandshakeCheck.Refusal | "Passed" =>
  Result.match(HandshakeCheck.screen({ ...claim, ...changes }, { ...evidence, ...known }, NOW), {
    onSuccess: () => "Passed",
    onFailure: (refusal) => refusal
  })

describe("HandshakeCheck", () => {
  it("passes an honest message", () => {
    assert.strictEqual(screen({}), "Passed")
  })

  it("drops a message older than 300 s or more than 30 s ahead (node §2.2)", () => {
    const at = (timestampSeconds: number) => screen({ timestampSeconds })
    assert.deepStrictEqual(
      [at(NOW - 300), at(NOW - 301), at(NOW + 30), at(NOW + 31), at(Number.NaN)],
      ["Passed", "Stale", "Passed", "FromFuture", "Stale"]
    )
  })

  it("refuses a message without a key, of any type (node §2.2, first hole)", () => {
    assert.strictEqual(screen({ publicKey: Bytes.empty, signature: Bytes.empty }), "KeyMissing")
  })

  it("refuses a key of another size and an empty signature", () => {
    assert.strictEqual(screen({ publicKey: new Uint8Array(31) }), "KeyMalformed")
    assert.strictEqual(screen({ signature: Bytes.empty }), "SignatureMissing")
  })

  it("refuses a signature that does not verify", () => {
    assert.strictEqual(screen({ signature: new Uint8Array(64) }), "BadSignature")
  })

  it("refuses a key that did not open the tunnel, however well it is signed", () => {
    assert.strictEqual(screen({}, { tunnelKey: OTHER, isSigned: () => true }), "NotTunnelKey")
    assert.strictEqual(screen({}, { tunnelKey: undefined }), "TunnelUnauthenticated")
  })

  it("refuses a node id that the stream does not come from, and our own (node §2.2, last hole)", () => {
    assert.strictEqual(screen({}, { streamNode: NodeId(8) }), "WrongSource")
    assert.strictEqual(screen({ node: NodeId(1) }, { streamNode: NodeId(1) }), "OwnNode")
  })

  it("confirms a key by the pin or the registry, and drops another", () => {
    const known = (_tag: "Pinned" | "Registered", publicKey: Uint8Array) =>
      HandshakeCheck.confirm(KEY, { _tag, publicKey })
    assert.deepStrictEqual(known("Pinned", KEY), Result.succeed(true))
    assert.deepStrictEqual(known("Registered", KEY), Result.succeed(true))
    assert.deepStrictEqual(known("Pinned", OTHER), Result.fail("KeyMismatch"))
    assert.deepStrictEqual(known("Registered", OTHER), Result.fail("KeyMismatch"))
    assert.deepStrictEqual(HandshakeCheck.confirm(KEY, { _tag: "Unknown" }), Result.succeed(false))
  })

  it.prop("never asks for a signature check before the key is the tunnel's", { fill: Schema.Int }, ({ fill }) => {
    const publicKey = new Uint8Array(32).fill(fill)
    let checks = 0
    const isSigned = () => {
      checks++
      return true
    }
    const passed = screen({ publicKey }, { isSigned }) === "Passed"
    assert.strictEqual(checks, passed ? 1 : 0)
    assert.strictEqual(passed, Bytes.equals(publicKey, KEY))
  })
})
