import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as SpareKey from "../../../src/actors/node/SpareKey.ts"
import type { AgreementKey } from "../../../src/core/crypto/Crypto.ts"
import { crypto } from "../../../src/core/crypto/NativeCrypto.ts"

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
      const take = yield* Scope.provide(SpareKey.make(counting), scope)
      assert.lengthOf(made, 1)
      const given = [take(), take(), take()]
      assert.deepStrictEqual(given, made)
      assert.lengthOf(new Set(given), 3)

      yield* TestClock.adjust(50)
      assert.lengthOf(made, 4)
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(made, 4)
      assert.strictEqual(take(), made[3])
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(made, 4)
    })
  )
})
