import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as TrustFile from "../../../src/actors/trust/TrustFile.ts"
import * as TrustStore from "../../../src/actors/trust/TrustStore.ts"
import * as Relation from "../../../src/protocol/trust/Relation.ts"
import * as TrustTable from "../../../src/protocol/trust/TrustTable.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"
import { BEGIN, numberOf, rotate } from "../../support/KeyChains.ts"
import * as TrustStation from "../../support/TrustStation.ts"

const [A, B] = [NodeId(1), NodeId(2)]

/** What node 1 keeps of node 2, of whose announced key it has heard, after a restart beyond the seven days. */
const afterRestart = Effect.fnUntraced(function* (
  before: (a: TrustStation.Station, b: TrustStation.Station) => Effect.Effect<unknown, unknown, Scope.Scope>
) {
  yield* TestClock.setTime(BEGIN * 1000)
  const world = TrustStation.world()
  const store = TrustStore.memory()
  const remains = { store, pins: TrustStation.memoryPins(), chains: TrustStation.memoryChains() }
  const life = yield* Scope.make()
  const a = yield* TrustStation.start(world, A, remains).pipe(Scope.provide(life))
  const b = yield* TrustStation.start(world, B).pipe(Scope.provide(life))
  yield* before(a, b)
  yield* a.keys.chains.learn(B, [rotate(2, 3)])
  yield* Scope.close(life, Exit.void)
  yield* TestClock.adjust("8 days")
  const again = yield* TrustStation.start(world, A, remains)
  assert.strictEqual(numberOf(again.keys.pinned(B)!), 3)
  const relation = TrustTable.relation((yield* store.load(0)).table, B)
  const keys = Object.entries(relation).flatMap(([part, held]) =>
    typeof held === "object" && "publicKey" in held ? [`${part} ${numberOf(held.publicKey)}`] : []
  )
  return { keys, relation }
})

describe("KeyWatch, after a start that finds pins moved (rule 9)", () => {
  it.effect("an unanswered request waits for the key that has followed", () =>
    Effect.gen(function* () {
      const { keys, relation } = yield* afterRestart((a) => a.trust.request(B, ""))

      assert.strictEqual(Relation.standing(relation), "outgoing")
      assert.deepStrictEqual(keys, ["outgoing 3"])
    }).pipe(Effect.scoped)
  )

  it.effect("a request that waits here is of the key that has followed", () =>
    Effect.gen(function* () {
      const { keys } = yield* afterRestart((a, b) =>
        Effect.gen(function* () {
          yield* b.trust.request(A, "")
          yield* TrustStation.pass(10)
          yield* a.keys.pinNode(B, b.identity.publicKey)
        })
      )

      assert.deepStrictEqual(keys, ["pending 3"])
    }).pipe(Effect.scoped)
  )

  it.effect("a peer that has to hear that its trust has ended is told under its new key", () =>
    Effect.gen(function* () {
      const { keys } = yield* afterRestart((a, b) =>
        Effect.gen(function* () {
          yield* b.trust.request(A, "")
          yield* TrustStation.pass(10)
          yield* a.trust.approve(B)
          yield* TrustStation.pass(10)
          b.node.offline = true
          const revoking = yield* Effect.forkChild(a.trust.revoke(B), { startImmediately: true })
          yield* TrustStation.pass(50)
          yield* Fiber.join(revoking)
        })
      )

      assert.deepStrictEqual(keys, ["revoked 3"])
    }).pipe(Effect.scoped)
  )
})

describe("KeyWatch, which asks the registry now and then", () => {
  it.effect("comes to every trusted peer in turn, however many there are", () =>
    Effect.gen(function* () {
      const trusted: Relation.Trusted = {
        publicKey: TrustStation.identityOf(2).publicKey,
        approvedAtSeconds: 0,
        mutual: true,
        network: 0,
        acceptDue: false,
        reported: true,
        servicesDue: []
      }
      const peers = Array.from({ length: 2500 }, (_, index) => NodeId(index + 2))
      const table = new Map(peers.map((node) => [node, { ...Relation.none, trusted }] as const))
      const store = TrustStore.memory()
      yield* store.save({ ...TrustFile.empty, table })
      const world = TrustStation.world()
      const { watch } = yield* TrustStation.start(world, A, { store })
      for (let look = 0; look < 3; look++) {
        yield* watch.look
        yield* TestClock.adjust("15 minutes")
      }

      const asked = new Set(world.registry.calls)
      assert.deepStrictEqual(
        peers.filter((node) => !asked.has(`lookup ${A} ${node}`)),
        []
      )
    }).pipe(Effect.scoped)
  )
})
