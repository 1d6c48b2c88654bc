import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Peers, STRANGERS_MAX } from "../../../src/actors/node/Peers.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"

describe("Peers", () => {
  it.effect("keeps room for those whose key is pinned, whatever a flood of strangers claims", () =>
    Effect.gen(function* () {
      const peers = new Peers(yield* Effect.scope, () => Effect.void)
      for (let node = 1; node <= STRANGERS_MAX; node++) assert.isTrue(peers.admits(NodeId(node), false))

      const [stranger, friend] = [NodeId(STRANGERS_MAX + 1), NodeId(STRANGERS_MAX + 2)]
      assert.deepStrictEqual([peers.admits(stranger, false), peers.admits(friend, true)], [false, true])
      yield* peers.remove(NodeId(1))
      assert.isTrue(peers.admits(stranger, false), "one of them was forgotten")
    }).pipe(Effect.scoped)
  )
})
