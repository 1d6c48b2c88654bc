/** A simulated `pilotctl mcp connect PEER/NAME`: the real shim, in a process of its own beside a node (mcp §6.1). */
import { Cause, Effect, Fiber, Option, type Scope } from "effect"
import * as Shim from "../actors/mcp/mount/Shim.ts"
import { CannotReach, ofDialled } from "../actors/mcp/mount/ShimFailure.ts"
import type { Target } from "../actors/mcp/Target.ts"
import { DialError } from "../actors/node/Node.ts"
import * as Pilot from "../api/Pilot.ts"
import { Crypto } from "../core/crypto/Crypto.ts"
import type { Duplex } from "../core/net/Duplex.ts"
import { MCP_PORT } from "../protocol/relay/RelayControl.ts"
import type { SimNode } from "./SimNode.ts"
import * as SimWorld from "./SimWorld.ts"
import * as VirtualPipe from "./VirtualPipe.ts"

/**
 * Starts the shim; what it returns is the client's side: lines written are requests, lines read are answers. It ends with
 * the scope, or with the power of the machine; the node may stop and start meanwhile. Runs in the world.
 */
export const open = Effect.fnUntraced(function* (
  node: SimNode,
  target: Target
): Effect.fn.Return<VirtualPipe.PipeEnd, never, Scope.Scope> {
  const { machine } = node
  const [client, server] = yield* VirtualPipe.make
  const process = SimWorld.startProcess(machine)
  const fiber = yield* Shim.run({ client: server, target, dial: dial(node, target) }).pipe(
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

/** One stream to a peer's MCP port, as long as the node lives. */
export const dial = (node: SimNode, target: Target): Effect.Effect<Duplex<unknown>, CannotReach, Scope.Scope> =>
  Effect.suspend(() => {
    if (!node.isUp()) return NO_DAEMON
    return node.run(Pilot.dial(target.peer, MCP_PORT)).pipe(
      Effect.map(({ duplex }) => duplex),
      Effect.catchCause((cause) => failed(node, target, cause))
    )
  })

const failed = (node: SimNode, target: Target, cause: Cause.Cause<unknown>) => {
  const error = Option.getOrUndefined(Cause.findErrorOption(cause))
  return error instanceof DialError ? ofDialled(target, node.name, error) : NO_DAEMON
}

const NO_DAEMON = new CannotReach({ kind: "unreachable", detail: "The daemon of this node is gone.", isFinal: false })
