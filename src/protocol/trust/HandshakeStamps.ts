/**
 * The times that this node's handshake messages bear. A signature is the same for the same words, so what is said twice to one
 * peer within a second would be a replay of itself (node §2.2): the second time it bears the next second.
 */
import type { NodeId } from "../wire/Address.ts"

/** Mutable, one for each node. */
export class HandshakeStamps {
  readonly #last = new Map<NodeId, number>()

  /** For the next message to that peer. */
  next(peer: NodeId, nowSeconds: number): number {
    const last = this.#last.get(peer)
    // Further ahead no peer believes it, and a clock that was set back says nothing of what was said before.
    const isClose = last !== undefined && last >= nowSeconds && last < nowSeconds + AHEAD_SECONDS
    const stamp = isClose ? last + 1 : nowSeconds
    this.#last.delete(peer)
    this.#last.set(peer, stamp)
    const [oldest] = this.#last.keys()
    if (this.#last.size > PEERS_MAX && oldest !== undefined) this.#last.delete(oldest)
    return stamp
  }
}

/** A third of what a peer's clock may be behind (`HandshakeCheck`). */
const AHEAD_SECONDS = 10
/** Of those that were written to last. */
const PEERS_MAX = 1024
