import { assert, describe, it } from "@effect/vitest"
import * as KeyChain from "../../../src/protocol/identity/KeyChain.ts"
import * as Keys from "../../support/KeyChains.ts"

const path = (chain: KeyChain.KeyChain, key: number) =>
  KeyChain.pathTo(chain, Keys.key(key).publicKey, Keys.verify).map(Keys.numberOf)

describe("KeyChain", () => {
  it("knows the keys before one, the oldest first, by genuine statements only", () => {
    const chain = [Keys.rotate(1, 2), Keys.rotate(2, 3)]
    const forged = { ...Keys.rotate(1, 2), signature: new Uint8Array(64) }

    assert.deepStrictEqual(path(chain, 3), [1, 2, 3])
    assert.deepStrictEqual(path(chain, 2), [1, 2])
    assert.deepStrictEqual(path(KeyChain.empty, 3), [3])
    assert.deepStrictEqual(path([forged, Keys.rotate(2, 3)], 3), [2, 3])
    assert.deepStrictEqual(path([Keys.rotate(3, 2), Keys.rotate(2, 3)], 3), [2, 3])
  })
})
