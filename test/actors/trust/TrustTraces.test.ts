import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as Address from "../../../src/protocol/wire/Address.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"
import * as HandshakeMessage from "../../../src/protocol/wire/HandshakeMessage.ts"
import * as TrustStation from "../../support/TrustStation.ts"

const [A, B, LIAR] = [NodeId(1), NodeId(2), NodeId(3)]
const Steps = Schema.Array(
  Schema.Literals([
    "a asks",
    "b asks",
    "a approves",
    "b approves",
    "a rejects",
    "b revokes",
    "a revokes",
    "a polls",
    "b polls",
    "apart",
    "together",
    "registry lies to a",
    "registry lies to b",
    "liar accepts",
    "liar revokes",
    "liar is b"
  ])
).check(Schema.isMaxLength(14))

describe("TrustTraces", () => {
  it.effect.prop(
    "whatever happens between two honest stations, a liar and a lying registry, nobody trusts a key that no person here chose",
    { steps: Steps },
    ({ steps }) =>
      Effect.gen(function* () {
        const world = TrustStation.world()
        const [a, b] = [yield* TrustStation.start(world, A), yield* TrustStation.start(world, B)]
        const liar = TrustStation.identityOf(LIAR)
        const chosen = { a: false, b: false }
        const say = (kind: HandshakeMessage.Kind, id: number) =>
          Effect.gen(function* () {
            const node = world.nodes.add(id, liar.publicKey)
            const connection = yield* node.service.dial(Address.make(0, A), Address.Port(HandshakeMessage.PORT))
            const unixSeconds = Math.floor((yield* Effect.clockWith((clock) => clock.currentTimeMillis)) / 1000)
            const message = TrustStation.message({ id, identity: liar }, A, { kind, unixSeconds })
            yield* connection.write(HandshakeMessage.encode(message))
          })
        const lie = (to: number, from: number) =>
          Effect.sync(() => {
            const inbox = world.registry.inbox(to)
            inbox.requests.push({ from: NodeId(from), justification: "", timestamp: 0 })
            inbox.responses.push({ from: NodeId(from), accept: true, timestamp: 0 })
            inbox.responses.push({ from: LIAR, accept: true, timestamp: 0 })
          })
        const setOffline = (isOffline: boolean) =>
          Effect.sync(() => {
            a.node.offline = isOffline
            b.node.offline = isOffline
          })
        const perform = (step: (typeof Steps.Type)[number]): Effect.Effect<unknown, unknown, never> => {
          switch (step) {
            case "a asks":
              chosen.a = true
              return a.trust.request(B, "")
            case "b asks":
              chosen.b = true
              return b.trust.request(A, "")
            case "a approves":
              return Effect.tap(a.trust.approve(B), ({ known }) => Effect.sync(() => (chosen.a ||= known)))
            case "b approves":
              return Effect.tap(b.trust.approve(A), ({ known }) => Effect.sync(() => (chosen.b ||= known)))
            case "a rejects":
              return a.trust.reject(B, "")
            case "a revokes":
              return Effect.forkDetach(a.trust.revoke(B))
            case "b revokes":
              return Effect.forkDetach(b.trust.revoke(A))
            case "a polls":
              return a.trust.poll
            case "b polls":
              return b.trust.poll
            case "apart":
              return setOffline(true)
            case "together":
              return setOffline(false)
            case "registry lies to a":
              return lie(A, B)
            case "registry lies to b":
              return lie(B, A)
            case "liar accepts":
              return Effect.scoped(say("accept", LIAR))
            case "liar revokes":
              return Effect.scoped(say("revoke", LIAR))
            case "liar is b":
              return Effect.scoped(say("accept", B))
          }
        }
        for (const step of steps) {
          const trusting = a.keys.isTrusted(B)
          yield* Effect.ignore(perform(step))
          yield* TrustStation.pass(8)

          if (!chosen.a) assert.isFalse(a.keys.isTrusted(B), step)
          if (!chosen.b) assert.isFalse(b.keys.isTrusted(A), step)
          for (const station of [a, b])
            for (const { node, publicKey } of yield* station.trust.trusted) {
              assert.deepStrictEqual(publicKey, TrustStation.identityOf(node).publicKey)
              assert.notStrictEqual(node, LIAR)
            }
          if (step.startsWith("liar") && trusting) assert.isTrue(a.keys.isTrusted(B), step)
        }
      }),
    { arbitrary: { runs: 40 } }
  )
})
