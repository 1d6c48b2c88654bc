/** Trust between two nodes of a simulation, as two people would establish it: one asks, the other looks and approves. */
import { Effect } from "effect"
import { Memberships } from "../actors/membership/Memberships.ts"
import { Trust } from "../actors/trust/Trust.ts"
import type { NodeId } from "../protocol/wire/Address.ts"
import * as LocalNode from "../protocol/wire/LocalNode.ts"
import type { SimNode } from "./SimNode.ts"
import type { SimWorld } from "./SimWorld.ts"

/** Returns when both trust each other; a defect when that takes too long. Runs in the world. */
export const establish = (world: SimWorld, asking: SimNode, approving: SimNode): Effect.Effect<void> =>
  Effect.gen(function* () {
    const { from, to } = yield* idsOf(world, asking, approving)
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

/** Where both are registered: how each calls the other. */
export const idsOf = Effect.fnUntraced(function* (world: SimWorld, asking: SimNode, approving: SimNode) {
  const [here, there] = [yield* places(world, asking), yield* places(world, approving)]
  for (const [registry, own] of here) {
    const other = there.get(registry)
    const from = other && LocalNode.make(other.slot, own.node)
    const to = other && LocalNode.make(own.slot, other.node)
    if (from !== undefined && to !== undefined) return { from, to }
  }
  return yield* Effect.die(world.problem(`${asking.name} and ${approving.name} have no rendezvous in common`))
})

/** By the machine of the registry. */
const places = (world: SimWorld, { run }: SimNode) =>
  Effect.map(run(Effect.flatMap(Memberships, ({ list }) => list)), (all) => {
    const known = new Map<string | undefined, { readonly slot: number; readonly node: NodeId }>()
    for (const { registry, registryAddress, slot } of all)
      if (registryAddress !== undefined) known.set(world.registries.get(registry), { slot, node: registryAddress.node })
    return known
  })

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
