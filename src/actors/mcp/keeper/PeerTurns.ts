/**
 * Streams of one peer that no session carries yet: some are looked at, further ones wait for their turn, the rest is refused. A
 * front that opens a mount of each of many services at once is an ordinary use; a peer whose streams say nothing holds up its
 * own and nobody else's.
 *
 * Mutable, owned by the keeper.
 */
import { Effect, Exit, Scope, Semaphore } from "effect"

interface Peer {
  readonly turns: Semaphore.Semaphore
  /** Those that have a turn and those that wait. */
  streams: number
}

/** Turns by the node id of the peer. */
export class PeerTurns {
  readonly #peers = new Map<number, Peer>()

  /** Waits for a turn and looks; `leave` gives the turn back before that is over. Does nothing when too many wait. */
  take<E, R>(node: number, look: (leave: Effect.Effect<void>) => Effect.Effect<void, E, R>): Effect.Effect<void, E, R> {
    return Effect.acquireUseRelease(
      Scope.make(),
      Effect.fnUntraced({ self: this }, function* (turn) {
        const peer = yield* Scope.provide(Effect.acquireRelease(this.#queue(node), this.#dequeue(node)), turn)
        if (peer === undefined) return
        yield* Scope.provide(peer.turns.takeScoped(1), turn)
        yield* look(Scope.close(turn, Exit.void))
      }),
      Scope.close
    )
  }

  #queue(node: number): Effect.Effect<Peer | undefined> {
    return Effect.sync(() => {
      const peer = this.#peers.get(node) ?? { turns: Semaphore.makeUnsafe(STREAMS_PER_PEER), streams: 0 }
      if (peer.streams >= STREAMS_PER_PEER + WAITING_PER_PEER) return undefined
      peer.streams += 1
      this.#peers.set(node, peer)
      return peer
    })
  }

  #dequeue(node: number) {
    return (peer: Peer | undefined): Effect.Effect<void> =>
      Effect.sync(() => {
        if (peer === undefined) return
        peer.streams -= 1
        if (peer.streams === 0) this.#peers.delete(node)
      })
  }
}

/** Looked at, at the same time. */
const STREAMS_PER_PEER = 16
/** Waiting for it; with those more than a peer may have sessions. */
const WAITING_PER_PEER = 256
