/**
 * Twenty agents that give each other work. Each names all the peers that it trusts, and its node chooses: by its own ledger of how
 * earlier tasks have ended there, so that who is unknown comes before who has failed. A third of them is careless.
 */
import { Effect, Layer, Schema } from "effect"
import { Peer, Tasks } from "effect-pilot"
import type { SimNet } from "effect-pilot/testing"

/** The work. */
export const Square = Tasks.make("square", { input: Schema.Int, output: Schema.Int })

/** Serves; a careless one does not do what it accepted. */
export const member = (isCareless: boolean) =>
  Tasks.serve(Square, (number) => (isCareless ? Effect.fail("no idea") : Effect.succeed(number * number)), {
    concurrency: 4
  })

/** Gives away so many tasks, one after the other; whether each was done. */
export const delegate = (peers: ReadonlyArray<string>, count: number) =>
  Effect.forEach(Array.from({ length: count }), (_, index) =>
    Tasks.call(Square, index, { to: Peer.anyOf(...peers), deadline: "2 minutes" }).pipe(
      Effect.as(true),
      Effect.catchTag("TaskFailed", () => Effect.succeed(false))
    )
  )

/** What a node has learnt of these peers. */
export const learnt = Effect.fn("learnt")(function* (peers: ReadonlyArray<string>) {
  const ledger = yield* Tasks.ledger
  return yield* Effect.forEach(peers, (peer) =>
    Effect.map(Peer.resolve(peer), ({ hostname, publicKey }) => {
      const tally = ledger.find(({ kind, peerKey }) => kind === Square.kind && peerKey === publicKey)
      return tally === undefined ? `${hostname} unknown` : `${hostname} done ${tally.done}, failed ${tally.failed}`
    })
  )
})

const SIZE = 20
const NEIGHBOURS = 3
const ROUNDS = 6

/** What it shows. */
export const SHOWS = "twenty agents, a third of them careless, that learn whom to give work"

/** Everybody asks its next three; how many tasks went wrong in each round, and what one of them has learnt. */
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
  const names = (peers: (typeof asks)[number]["peers"]) => peers.map((peer) => peer.name)
  const went = yield* Effect.forEach(asks, ({ node, peers }) => node.run(delegate(names(peers), ROUNDS)), {
    concurrency: "unbounded"
  })
  const { node, peers } = asks[2]!
  const rounds = Array.from({ length: ROUNDS }, (_, round) => {
    const failed = went.filter((all) => all[round] === false).length
    return `round ${round + 1}: ${failed} of ${SIZE} tasks failed`
  })
  return [...rounds, `what ${node.name} has learnt: ${(yield* node.run(learnt(names(peers)))).join("; ")}`]
})
