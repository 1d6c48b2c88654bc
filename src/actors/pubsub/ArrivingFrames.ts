/** How many bytes of long frames may be on their way into a broker at once, in all and from one peer. */
import { Effect, Semaphore } from "effect"
import type { NodeId } from "../../protocol/wire/Address.ts"
import type { Limits } from "./BrokerContext.ts"
import { BadFrame, type Room } from "./FrameReader.ts"

/** Mutable; one for each broker. */
export class ArrivingFrames {
  readonly #limits: Limits
  readonly #all: Semaphore.Semaphore
  readonly #perPeer = new Map<NodeId, number>()

  constructor(limits: Limits) {
    this.#limits = limits
    this.#all = Semaphore.makeUnsafe(limits.arrivingBytesMax)
  }

  /** Waits until there is room for so many bytes; a peer that has too much on its way already is refused. */
  admit(peer: NodeId, sizeBytes: number): Effect.Effect<Room, BadFrame> {
    return Effect.suspend(() => {
      const own = (this.#perPeer.get(peer) ?? 0) + sizeBytes
      if (own > this.#limits.arrivingBytesPerPeerMax)
        return Effect.fail(new BadFrame({ detail: "too many long frames of this peer are on their way" }))
      this.#perPeer.set(peer, own)
      const release = (permits: number) => () => {
        this.#leave(peer, sizeBytes)
        if (permits > 0) Effect.runSync(this.#all.release(permits))
      }
      return this.#all.take(sizeBytes).pipe(
        Effect.as({ release: release(sizeBytes), timeoutMs: this.#limits.arrivingMs }),
        Effect.onInterrupt(() => Effect.sync(release(0)))
      )
    })
  }

  #leave(peer: NodeId, sizeBytes: number): void {
    const own = (this.#perPeer.get(peer) ?? 0) - sizeBytes
    if (own <= 0) this.#perPeer.delete(peer)
    else this.#perPeer.set(peer, own)
  }
}
