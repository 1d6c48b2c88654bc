/**
 * Streams of one peer that no session carries yet: some are looked at, further ones wait for their turn, the rest is refused. A
 * front that opens a mount of each of many services at once is an ordinary use; a peer whose streams say nothing holds up its
 * own and nobody else's.
 *
 * Mutable, owned by the keeper.
 */
import { Effect } from "effect"

interface Peer {
  active: number
  waiting: ReadonlyArray<() => void>
}

/** Turns by the node id of the peer. */
export class PeerTurns {
  readonly #peers = new Map<number, Peer>()

  /** Waits for a turn, which `leave` gives back; false at once, and nothing to give back, when too many wait. */
  enter(node: number): Effect.Effect<boolean> {
    return Effect.callback<boolean>((resume) => {
      const peer = this.#peers.get(node) ?? { active: 0, waiting: [] }
      this.#peers.set(node, peer)
      if (peer.active < STREAMS_PER_PEER) {
        peer.active++
        return resume(Effect.succeed(true))
      }
      if (peer.waiting.length >= WAITING_PER_PEER) return resume(Effect.succeed(false))
      const begin = () => resume(Effect.succeed(true))
      peer.waiting = [...peer.waiting, begin]
      return Effect.sync(() => {
        peer.waiting = peer.waiting.filter((other) => other !== begin)
      })
    })
  }

  /** A turn is over: the next one has it. */
  leave(node: number): void {
    const peer = this.#peers.get(node)
    if (peer === undefined) return
    const [next, ...others] = peer.waiting
    if (next !== undefined) {
      peer.waiting = others
      return next()
    }
    peer.active--
    if (peer.active === 0) this.#peers.delete(node)
  }
}

/** Looked at, at the same time. */
const STREAMS_PER_PEER = 16
/** Waiting for it; with those more than a peer may have sessions. */
const WAITING_PER_PEER = 256
