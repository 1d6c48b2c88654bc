import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as TrustStore from "../../../src/actors/trust/TrustStore.ts"
import * as Address from "../../../src/protocol/wire/Address.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"
import * as HandshakeMessage from "../../../src/protocol/wire/HandshakeMessage.ts"
import * as TrustStation from "../../support/TrustStation.ts"

const VICTIM = NodeId(1)
const STRANGERS = 10_000

describe("10,000 requests for trust from new keys", () => {
  it.effect(
    "stay within the limits, directly and by relay; what was trusted and what waited first is not lost",
    () =>
      Effect.gen(function* () {
        const world = TrustStation.world()
        const store = TrustStore.memory()
        const victim = yield* TrustStation.start(world, VICTIM, { store })
        const friend = yield* TrustStation.start(world, 2)
        const early = yield* TrustStation.start(world, 3)
        yield* friend.trust.request(VICTIM, "")
        yield* TrustStation.pass(5)
        yield* victim.trust.approve(NodeId(2))
        yield* early.trust.request(VICTIM, "I was here first")
        yield* TrustStation.pass(10)

        const flood = Effect.fnUntraced(function* (id: number) {
          // One key would do, but each stranger has its own; only the signature costs.
          const identity = TrustStation.identityOf32(id)
          world.registry.keys.set(id, identity.publicKey)
          const unixSeconds = Math.floor((yield* Effect.clockWith((clock) => clock.currentTimeMillis)) / 1000)
          const message = TrustStation.message({ id, identity }, VICTIM, { unixSeconds, justification: "let me in" })
          if (id % 4 === 0) {
            world.registry.inbox(VICTIM).requests.push({ from: NodeId(id), justification: "let me in", timestamp: 0 })
            return
          }
          const node = world.nodes.add(id, identity.publicKey)
          const connection = yield* node.service.dial(Address.make(0, VICTIM), Address.Port(HandshakeMessage.PORT))
          yield* connection.write(HandshakeMessage.encode(message))
          yield* connection.close
        })
        for (let from = 100; from < 100 + STRANGERS; from += 40) {
          for (let id = from; id < from + 40; id++) yield* Effect.scoped(flood(id))
          yield* TrustStation.pass(1)
          // Tunnels to whom nobody speaks end; here that only keeps the list of them short.
          for (const node of victim.node.tunnels.keys()) if (node >= 100) victim.node.tunnels.delete(node)
        }
        yield* victim.trust.poll
        yield* TrustStation.pass(10)

        const pending = yield* victim.trust.pending
        assert.lengthOf(pending, 256)
        assert.deepInclude(pending[0], { node: NodeId(3), justification: "I was here first" })
        assert.isTrue(victim.keys.isTrusted(NodeId(2)))
        assert.lengthOf(yield* victim.trust.trusted, 1)
        const stored = yield* store.load(0)
        assert.strictEqual(stored.table.size, 257)
        // Who waits is still heard, and a decision still works.
        assert.deepStrictEqual(yield* victim.trust.approve(NodeId(3)), { known: true })
        yield* TrustStation.pass(10)
        assert.isTrue(early.keys.isTrusted(VICTIM))
      }),
    60_000
  )
})
