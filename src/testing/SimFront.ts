/** A simulated `pilotctl mcp front`: the real front, in a process of its own beside a node (mcp §6.11). */
import { Effect, Fiber, type Scope } from "effect"
import * as Front from "../actors/mcp/front/Front.ts"
import { Crypto } from "../core/crypto/Crypto.ts"
import type { SimNode } from "./SimNode.ts"
import * as SimShim from "./SimShim.ts"
import * as SimWorld from "./SimWorld.ts"
import * as VirtualPipe from "./VirtualPipe.ts"

/**
 * Starts the front over the services of these peers; what it returns is the client's side: lines. It ends with the scope, or
 * with the power of the machine. Runs in the world.
 */
export const open = Effect.fnUntraced(function* (
  node: SimNode,
  peers: ReadonlyArray<string>
): Effect.fn.Return<VirtualPipe.PipeEnd, never, Scope.Scope> {
  const { machine } = node
  const [client, server] = yield* VirtualPipe.make
  const process = SimWorld.startProcess(machine)
  const serve = Effect.gen(function* () {
    const front = yield* Front.make({
      peers: Effect.succeed(peers),
      dial: (target) => SimShim.dial(node, target),
      version: "0",
      settings: Front.DEFAULTS
    })
    yield* front.run(server)
  })
  const fiber = yield* serve.pipe(
    Effect.scoped,
    Effect.ensuring(server.hangUp),
    Effect.provideService(Crypto, machine.crypto),
    Effect.provideContext(machine.services),
    Effect.forkIn(process.scope)
  )
  yield* Effect.addFinalizer(() =>
    Effect.andThen(client.hangUp, Effect.andThen(Fiber.await(fiber), SimWorld.stopProcess(machine, process)))
  )
  return client
})
