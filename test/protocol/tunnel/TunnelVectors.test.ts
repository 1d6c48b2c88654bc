import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { crypto } from "../../../src/core/crypto/NativeCrypto.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as KeyDerivation from "../../../src/protocol/tunnel/KeyDerivation.ts"
import { Tunnel } from "../../../src/protocol/tunnel/Tunnel.ts"
import { defaultConfig } from "../../../src/protocol/tunnel/TunnelConfig.ts"
import * as Address from "../../../src/protocol/wire/Address.ts"
import * as TunnelFrame from "../../../src/protocol/wire/TunnelFrame.ts"
import { direct } from "../../support/TunnelStation.ts"
import { hex, success } from "../../support/Vectors.ts"
import vectors from "../../vectors/wire.json" with { type: "json" }

const { a, b, shared_secret } = vectors.tunnel.keys
const PATH = direct("192.0.2.1")

/** The tunnel of one side, with the keys of the vectors. */
const tunnelOf = (self: number, peer: typeof a): Tunnel => {
  const tunnel = new Tunnel({ self: Address.NodeId(self), peer: Address.NodeId(peer.node_id), config: defaultConfig })
  const keys = KeyDerivation.tunnelKeys(hex(shared_secret), crypto)
  const exchange = {
    agreementKey: hex(peer.x25519_public),
    legacy: crypto.aes256Gcm(keys.legacy),
    later: crypto.aes256Gcm(keys.later),
    randomPrefixes: new Uint8Array(8),
    laterOnly: false
  }
  tunnel.keyExchangeVerified(exchange, PATH, 0)
  return tunnel
}

const sealedFrame = (text: string): TunnelFrame.Sealed | undefined => {
  const frame = Result.getOrUndefined(TunnelFrame.decode(hex(text)))
  return frame?._tag === "Sealed" ? frame : undefined
}

const opens = (tunnel: Tunnel, text: string): string | undefined => {
  const frame = sealedFrame(text)
  const packet = frame === undefined ? undefined : tunnel.open(frame, PATH, 0)
  return packet === undefined ? undefined : Bytes.toHex(packet)
}

describe("Tunnel vectors", () => {
  it("opens and seals every sealed frame of the earlier generation (vectors tunnel)", () => {
    const sides = { [a.node_id]: tunnelOf(b.node_id, a), [b.node_id]: tunnelOf(a.node_id, b) }
    const key = crypto.aes256Gcm(hex(vectors.tunnel.keys.key_v1_2))
    let opened = 0
    for (const { frame, kind, nonce, plaintext, sender_node_id } of vectors.tunnel.frames) {
      if (kind !== "PILS" || frame === undefined || plaintext === undefined) continue
      assert.strictEqual(opens(sides[sender_node_id!]!, frame), plaintext)
      const sealed = key.seal(hex(nonce!), hex(plaintext))
      assert.strictEqual(
        Bytes.toHex(TunnelFrame.encodeSealed(Address.NodeId(sender_node_id!), hex(nonce!), sealed)),
        frame
      )
      opened += 1
    }
    assert.strictEqual(opened, 4)
  })

  it("seals the full segment of 4096 bytes, given by its hash (vectors tunnel)", () => {
    const vector = vectors.tunnel.frames.find(({ payload_pattern }) => payload_pattern !== undefined)!
    const payload = Uint8Array.from({ length: 4096 }, (_, index) => index % 251)
    const packet = Bytes.concat(hex(vector.plaintext_header!), payload)
    const key = crypto.aes256Gcm(hex(vectors.tunnel.keys.key_v1_2))
    const frame = TunnelFrame.encodeSealed(
      Address.NodeId(vector.sender_node_id!),
      hex(vector.nonce!),
      key.seal(hex(vector.nonce!), packet)
    )

    assert.strictEqual(Bytes.toHex(crypto.sha256(packet)), vector.plaintext_sha256)
    assert.strictEqual(frame.length, vector.frame_len)
    assert.strictEqual(Bytes.toHex(crypto.sha256(frame)), vector.frame_sha256)
  })

  it("opens every frame of the later generation (vectors tunnel_new)", () => {
    const tunnel = tunnelOf(b.node_id, a)

    for (const { frame, plaintext } of vectors.tunnel_new.frames) assert.strictEqual(opens(tunnel, frame), plaintext)
    assert.strictEqual(tunnel.scheme, "later")
  })

  it("verifies and makes the key exchanges (vectors tunnel)", () => {
    for (const side of [a, b]) {
      const vector = vectors.tunnel.frames.find(({ name }) => name === `PILA from ${side === a ? "A" : "B"}`)!
      const identity = crypto.signingKey(hex(side.ed25519_seed))
      const sender = Address.NodeId(side.node_id)
      const { publicKey: agreementKey } = crypto.agreementKey(hex(side.x25519_private))
      const signed = TunnelFrame.signedText(sender, agreementKey)
      const signature = identity.sign(signed)

      assert.strictEqual(Bytes.toHex(signed), vector.signed_message)
      const exchange = { sender, agreementKey, identityKey: identity.publicKey, signature }
      assert.strictEqual(Bytes.toHex(TunnelFrame.encodeKeyExchange(exchange)), vector.frame)
      assert.isTrue(crypto.verify(identity.publicKey, signed, signature))
    }
  })

  it.for(vectors.tunnel.negative)("refuses: $name (vectors tunnel)", ({ error_class, frame }) => {
    const decoded = TunnelFrame.decode(hex(frame))
    if (error_class === "too_short") return assert.isTrue(Result.isFailure(decoded))
    const parsed = success(decoded)
    if (parsed._tag === "Sealed") return assert.isUndefined(tunnelOf(b.node_id, a).open(parsed, PATH, 0))
    if (parsed._tag !== "KeyExchange") return assert.fail(`unexpected ${parsed._tag}`)
    const signed = TunnelFrame.signedText(parsed.sender, parsed.agreementKey)
    const isGenuine =
      parsed.sender === a.node_id &&
      Bytes.toHex(parsed.identityKey) === a.ed25519_public &&
      crypto.verify(hex(a.ed25519_public), signed, parsed.signature)
    assert.isFalse(isGenuine)
  })
})
