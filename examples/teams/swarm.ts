/**
 * Twenty agents that give each other work and remember how it went: each chooses, among the peers that it trusts, the one with the best
 * record, and tries one that it does not know yet before one that failed. A third of them is careless.
 */
import { Effect, Layer, Ref, Schema } from "effect"
import { Tasks } from "effect-pilot"
import type { SimNet } from "effect-pilot/testing"

/** The work. */
export const Square = Tasks.make("square", { input: Schema.Int, output: Schema.Int })

/** How it went with one peer. */
interface Record {
  readonly done: number
  readonly failed: number
}

/** Who is worth asking: the share that went well, of one success more than there was, so that newcomers have a chance. */
const worth = ({ done, failed }: Record) => (done + 1) / (done + failed + 1)

/** Serves; a careless one does not do what it accepted. */
export const member = (isCareless: boolean) =>
  Tasks.serve(Square, (number) => (isCareless ? Effect.fail("no idea") : Effect.succeed(number * number)), {
    concurrency: 4
  })

/** Gives away so many tasks, one after the other; tells whom each went to. */
export const delegate = Effect.fn("delegate")(function* (peers: ReadonlyArray<string>, count: number) {
  const records = yield* Ref.make<ReadonlyMap<string, Record>>(
    new Map(peers.map((peer) => [peer, { done: 0, failed: 0 }]))
  )
  return yield* Effect.forEach(Array.from({ length: count }), (_, index) =>
    Effect.gen(function* () {
      const known = [...(yield* Ref.get(records))].toSorted(([, a], [, b]) => worth(b) - worth(a) || b.done - a.done)
      const [best = ["", { done: 0, failed: 0 }] as const] = known
      const [peer, { done, failed }] = best
      const went = yield* Effect.option(Tasks.call(Square, index, { to: peer, deadline: "2 minutes" }))
      const record = went._tag === "Some" ? { done: done + 1, failed } : { done, failed: failed + 1 }
      yield* Ref.update(records, (all) => new Map(all).set(peer, record))
      return { peer, isDone: went._tag === "Some" }
    })
  )
})

const SIZE = 20
const NEIGHBOURS = 3
const ROUNDS = 6

/** Everybody asks its next three; how many tasks went wrong in each round. */
export const play = Effect.fn("swarm")(function* (net: SimNet.SimNet) {
  const name = (index: number) => `agent-${index % SIZE}`
  const nodes = yield* Effect.forEach(Array.from({ length: SIZE }), (_, index) =>
    net.node(name(index), { main: Layer.launch(member(index % 3 === 0)) })
  )
  const asks = nodes.map((node, index) => ({
    node,
    peers: Array.from({ length: NEIGHBOURS }, (_, step) => nodes[(index + step + 1) % SIZE]!)
  }))
  yield* Effect.forEach(asks, ({ node, peers }) => Effect.forEach(peers, (peer) => net.trust(node, peer)), {
    concurrency: "unbounded",
    discard: true
  })
  const went = yield* Effect.forEach(
    asks,
    ({ node, peers }) =>
      node.run(
        delegate(
          peers.map((peer) => peer.name),
          ROUNDS
        )
      ),
    { concurrency: "unbounded" }
  )
  return Array.from({ length: ROUNDS }, (_, round) => {
    const failed = went.filter((all) => all[round]?.isDone === false).length
    return `round ${round + 1}: ${failed} of ${SIZE} failed`
  })
})
