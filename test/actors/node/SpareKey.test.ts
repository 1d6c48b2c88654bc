import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Result, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as SpareKey from "../../../src/actors/node/SpareKey.ts"
import type { AgreementKey } from "../../../src/core/crypto/Crypto.ts"
import { crypto } from "../../../src/core/crypto/NativeCrypto.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"
import * as TunnelFrame from "../../../src/protocol/wire/TunnelFrame.ts"

describe("SpareKey", () => {
  it.effect("gives each key once, and has the next one ready a moment later (security rule 5)", () =>
    Effect.gen(function* () {
      const made: Array<AgreementKey> = []
      const counting = {
        ...crypto,
        agreementKey: () => {
          const key = crypto.agreementKey()
          made.push(key)
          return key
        }
      }
      const scope = yield* Scope.make()
      const { take } = yield* Scope.provide(SpareKey.make(counting, crypto.signingKey()), scope)
      assert.lengthOf(made, 1)
      const given = [take(), take(), take()]
      assert.deepStrictEqual(
        given.map(({ publicKey }) => publicKey),
        made.map(({ publicKey }) => publicKey)
      )
      assert.lengthOf(new Set(given), 3)

      yield* TestClock.adjust(50)
      assert.lengthOf(made, 4)
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(made, 4)
      assert.strictEqual(take().publicKey, made[3]?.publicKey)
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(made, 4)
    })
  )

  it.effect("signs a key ahead once the node has a name, and again for another name", () =>
    Effect.gen(function* () {
      const identity = crypto.signingKey()
      let signatures = 0
      const counting = {
        ...identity,
        sign: (text: Uint8Array) => {
          signatures++
          return identity.sign(text)
        }
      }
      const { named, take } = yield* SpareKey.make(crypto, counting)
      assert.strictEqual(signatures, 0)
      named(NodeId(7))
      assert.strictEqual(signatures, 1)
      const key = take()
      const exchange = TunnelFrame.decode(key.exchange(NodeId(7)))
      assert.strictEqual(signatures, 1)
      yield* TestClock.adjust(50)
      assert.strictEqual(signatures, 2)

      assert.strictEqual(Result.getOrThrow(exchange)._tag, "KeyExchange")
      for (const name of [NodeId(7), NodeId(8)]) {
        const frame = Result.getOrThrow(TunnelFrame.decode(key.exchange(name)))
        if (frame._tag !== "KeyExchange") return assert.fail(frame._tag)
        const text = TunnelFrame.signedText(name, key.publicKey)
        assert.deepStrictEqual([frame.sender, crypto.verify(identity.publicKey, text, frame.signature)], [name, true])
      }
    })
  )
})
