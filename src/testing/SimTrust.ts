/** Trust between two nodes of a simulation, as two people would establish it: one asks, the other looks and approves. */
import { Effect } from "effect"
import { Node } from "../actors/node/Node.ts"
import { Trust } from "../actors/trust/Trust.ts"
import type { NodeId } from "../protocol/wire/Address.ts"
import type { SimNode } from "./SimNode.ts"
import type { SimWorld } from "./SimWorld.ts"

/** Returns when both trust each other; a defect when that takes too long. Runs in the world. */
export const establish = (world: SimWorld, asking: SimNode, approving: SimNode): Effect.Effect<void> =>
  Effect.gen(function* () {
    const [from, to] = [yield* id(asking), yield* id(approving)]
    yield* eventually(asking.run(ask(to)))
    yield* eventually(approving.run(approve(from)))
    yield* eventually(asking.run(isTrusted(to)))
    yield* eventually(approving.run(isTrusted(from)))
  }).pipe(
    Effect.timeoutOrElse({
      duration: PATIENCE,
      orElse: () => Effect.die(world.problem(`${asking.name} and ${approving.name} came to no trust in ${PATIENCE}`))
    })
  )

const id = ({ run }: SimNode): Effect.Effect<NodeId> =>
  run(Effect.flatMap(Node, (node) => Effect.map(node.address, (address) => address.node)))

const ask = (peer: NodeId) =>
  Effect.flatMap(Trust, (trust) => trust.request(peer, "simulation")).pipe(
    Effect.as(true),
    Effect.orElseSucceed(() => false)
  )

const approve = (peer: NodeId) =>
  Effect.gen(function* () {
    const trust = yield* Trust
    yield* trust.poll
    const isKnown = (yield* trust.trusted).some(({ node }) => node === peer)
    if (isKnown) return true
    const isPending = (yield* trust.pending).some(({ node }) => node === peer)
    if (!isPending) return false
    return (yield* trust.approve(peer)).known
  }).pipe(Effect.orElseSucceed(() => false))

const isTrusted = (peer: NodeId) =>
  Effect.gen(function* () {
    const trust = yield* Trust
    yield* trust.poll
    return (yield* trust.trusted).some(({ node }) => node === peer)
  })

const eventually = (attempt: Effect.Effect<boolean>): Effect.Effect<void> =>
  Effect.gen(function* () {
    while (!(yield* attempt)) yield* Effect.sleep(POLL_MS)
  })

const POLL_MS = 50
const PATIENCE = "60 seconds"
