import { assert, describe, it } from "@effect/vitest"
import { crypto } from "../../../src/core/crypto/NativeCrypto.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as KeyDerivation from "../../../src/protocol/tunnel/KeyDerivation.ts"
import { TunnelKeys } from "../../../src/protocol/tunnel/TunnelKeys.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"
import * as TunnelFrame from "../../../src/protocol/wire/TunnelFrame.ts"
import { bytes, bytesOf, nodeId } from "../../support/Arbitraries.ts"
import { success } from "../../support/Vectors.ts"

const keys = KeyDerivation.tunnelKeys(new Uint8Array(32).fill(1), crypto)
const make = (self: number, peer: number, prefixes: number | Uint8Array, lifetimeFrames = 2 ** 32): TunnelKeys =>
  new TunnelKeys({
    self: NodeId(self),
    peer: NodeId(peer),
    agreementKey: new Uint8Array(32),
    legacy: crypto.aes256Gcm(keys.legacy),
    later: crypto.aes256Gcm(keys.later),
    randomPrefixes: typeof prefixes === "number" ? new Uint8Array(8).fill(prefixes) : prefixes,
    lifetimeFrames
  })

const frameOf = (frame: Uint8Array | undefined): TunnelFrame.Sealed => {
  const decoded = success(TunnelFrame.decode(frame ?? Bytes.empty))
  return decoded._tag === "Sealed" ? decoded : assert.fail(decoded._tag)
}

const SCHEMES = ["legacy", "later"] as const

describe("TunnelKeys", () => {
  it("draws prefixes with the top bit 0 on the lower node id and 1 on the higher (security rule 5)", () => {
    for (const scheme of SCHEMES) {
      const first = (self: number, peer: number, prefixes: number) =>
        frameOf(make(self, peer, prefixes).seal(scheme, Bytes.empty)).nonce[0]
      assert.deepStrictEqual([first(1, 2, 0xff), first(1, 2, 0)], [0x7f, 0])
      assert.deepStrictEqual([first(2, 1, 0xff), first(2, 1, 0)], [0xff, 0x80])
      assert.deepStrictEqual([first(0x7fffffff, 0xffffffff, 0xff), first(0xffffffff, 1, 0)], [0x7f, 0x80])
    }
  })

  it("has a prefix of its own for each generation, and one counter for both", () => {
    const self = make(1, 2, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8))
    const nonces = SCHEMES.map((scheme) => Bytes.toHex(frameOf(self.seal(scheme, Bytes.empty)).nonce))

    assert.deepStrictEqual(nonces, ["010203040000000000000001", "050607080000000000000002"])
    assert.deepStrictEqual(
      [self.hasPrefix(0x01020304), self.hasPrefix(0x05060708), self.hasPrefix(9)],
      [true, true, false]
    )
  })

  it("is worn after seven eighths of its lifetime and exhausted at its end", () => {
    const self = make(1, 2, 0, 8)
    const states = Array.from({ length: 9 }, () => {
      const frame = self.seal("later", Bytes.empty)
      return [frame !== undefined, self.isWorn, self.isExhausted]
    })

    assert.deepStrictEqual(states.slice(5), [
      [true, false, false],
      [true, true, false],
      [true, true, true],
      [false, true, true]
    ])
  })

  it.prop(
    "decrypts what the other side sealed, in the same generation only",
    { a: nodeId, b: nodeId, packet: bytes(200), prefixes: bytesOf(8) },
    ({ a, b, packet, prefixes }) => {
      const [sender, receiver] = [make(a, b, prefixes), make(b, a, prefixes)]
      for (const scheme of SCHEMES) {
        const frame = frameOf(sender.seal(scheme, packet))
        assert.strictEqual(frame.sender, a)
        assert.strictEqual(Bytes.toHex(receiver.decrypt(scheme, frame) ?? Bytes.empty), Bytes.toHex(packet))
        assert.isUndefined(receiver.decrypt(scheme === "later" ? "legacy" : "later", frame))
      }
    }
  )
})
