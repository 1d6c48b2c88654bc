import { assert, describe, it } from "@effect/vitest"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as KeyDerivation from "../../../src/protocol/tunnel/KeyDerivation.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"
import { hex } from "../../support/Vectors.ts"
import vectors from "../../vectors/wire.json" with { type: "json" }

describe("KeyDerivation", () => {
  it("derives the tunnel keys of both generations (vectors tunnel, tunnel_new)", () => {
    const keys = KeyDerivation.tunnelKeys(hex(vectors.tunnel.keys.shared_secret), NativeCrypto.crypto)

    assert.strictEqual(Bytes.toHex(keys.legacy), vectors.tunnel.keys.key_v1_2)
    assert.strictEqual(Bytes.toHex(keys.later), vectors.tunnel_new.key_hkdf)
  })

  it("derives the secure channel keys of both generations (vectors secure_channel, secure_channel_new)", () => {
    const keys = KeyDerivation.secureChannelKeys(hex(vectors.secure_channel.shared_secret), NativeCrypto.crypto)

    assert.strictEqual(Bytes.toHex(keys.legacy), vectors.secure_channel.key)
    assert.strictEqual(Bytes.toHex(keys.later), vectors.secure_channel_new.key)
  })

  it("separates channel keys from tunnel keys of the same secret (vectors tunnel_new)", () => {
    const keys = KeyDerivation.secureChannelKeys(hex(vectors.tunnel.keys.shared_secret), NativeCrypto.crypto)

    assert.strictEqual(Bytes.toHex(keys.later), vectors.tunnel_new.secure_key_hkdf_same_shared)
  })

  it("authenticates the sender in the later generation only (wire §15.1)", () => {
    assert.isUndefined(KeyDerivation.tunnelAdditionalData("legacy", NodeId(0x101)))
    assert.deepStrictEqual(KeyDerivation.tunnelAdditionalData("later", NodeId(0x101)), hex("00000101"))
  })
})
