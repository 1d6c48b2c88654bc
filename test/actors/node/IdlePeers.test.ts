import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import * as Address from "../../../src/protocol/wire/Address.ts"
import * as NodeNet from "../../support/NodeNet.ts"

const PORT = Address.Port(7)

describe("a tunnel that ends for idleness", () => {
  it.effect("takes no dial along that comes just then", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const net = yield* NodeNet.make({ link: { delayMs: 5 } })
        const ending = yield* Deferred.make<void>()
        const a = yield* net.node("192.0.2.1", {
          report: ({ _tag }) => {
            if (_tag === "PeerLost") Deferred.doneUnsafe(ending, Effect.void)
          }
        })
        const b = yield* net.node("192.0.2.2")
        NodeNet.trustEachOther(a, b)
        const listener = yield* b.node.listen(PORT)
        yield* Effect.forkScoped(Effect.forever(listener.accept))
        const dial = Effect.scoped(Effect.asVoid(a.node.dial(b.address, PORT)))
        yield* dial
        const again = yield* Effect.forkScoped(Effect.andThen(Deferred.await(ending), Effect.exit(dial)), {
          startImmediately: true
        })
        assert.strictEqual((yield* Fiber.join(again))._tag, "Success")
      }),
      900_000
    )
  )
})
