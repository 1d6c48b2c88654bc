/**
 * The peers of one node: at most one `TunnelActor` per node id, each in a scope of its own so that it can end alone.
 * Owned by `NodeSupervisor`.
 */
import { Effect, Exit, Scope } from "effect"
import type { NodeId } from "../../protocol/wire/Address.ts"
import * as LoopbackActor from "./LoopbackActor.ts"
import type { NodeContext } from "./NodeContext.ts"
import type { Running } from "./PeerMessage.ts"
import * as PlainActor from "./PlainActor.ts"
import * as TunnelActor from "./TunnelActor.ts"

/** A peer and the scope it lives in. */
interface Entry extends Ending {
  readonly running: Running
  readonly scope: Scope.Closeable
}

/** Which life of which peer is over. No two have the same `life`, which is nothing else. */
export interface Ending {
  readonly node: NodeId
  readonly life: object
}

/** The table. */
export class Peers {
  readonly #entries = new Map<NodeId, Entry>()
  /** Peers that began as strangers and had not opened anything when last looked at. */
  readonly #strangers = new Set<NodeId>()
  #sweepsSkipped = 0
  readonly #scope: Scope.Scope
  readonly #ended: (ending: Ending, isIdle: boolean) => Effect.Effect<void>

  /** `ended` is called when a peer has nothing left to do, or is gone; the owner then calls `remove` if it `isOver`. */
  constructor(scope: Scope.Scope, ended: (ending: Ending, isIdle: boolean) => Effect.Effect<void>) {
    this.#scope = scope
    this.#ended = ended
  }

  /** Not if there is another one in its place by now, nor if one that was idle is busy again. */
  isOver({ life, node }: Ending, isIdle: boolean): boolean {
    const entry = this.#entries.get(node)
    return entry?.life === life && !(isIdle && entry.running.isBusy())
  }

  /** The peer, if there is one. */
  find(node: NodeId): Running | undefined {
    return this.#entries.get(node)?.running
  }

  /** All of them. */
  all(): ReadonlyArray<Running> {
    return Array.from(this.#entries.values(), (entry) => entry.running)
  }

  /**
   * Whether somebody who has only sent a datagram may become a peer. Those whose key is not pinned share a smaller room
   * until a frame of theirs has opened, so that forged ones shut out nobody we know.
   */
  admits(node: NodeId, isPinned: boolean): boolean {
    if (this.#entries.size >= PEERS_MAX) return false
    if (isPinned || this.#entries.has(node)) return true
    if (this.#strangers.size >= STRANGERS_MAX && !this.#sweep()) return false
    this.#strangers.add(node)
    return true
  }

  /** The peer, started if need be. Called by one actor only, so there is never a second one. */
  ensure(context: NodeContext, node: NodeId): Effect.Effect<Running> {
    return Effect.suspend(() => {
      const known = this.#entries.get(node)
      return known === undefined ? this.#start(context, node) : Effect.succeed(known.running)
    })
  }

  /** Those that have proven themselves are strangers no longer; looked for seldom, for it is a flood that asks. */
  #sweep(): boolean {
    this.#sweepsSkipped = (this.#sweepsSkipped + 1) % SWEEP_EVERY
    if (this.#sweepsSkipped !== 1) return false
    for (const node of this.#strangers) if (this.find(node)?.hasOpened() === true) this.#strangers.delete(node)
    return this.#strangers.size < STRANGERS_MAX
  }

  /** Ends a peer, its tunnel and its connections. */
  remove(node: NodeId): Effect.Effect<void> {
    return Effect.suspend(() => {
      const entry = this.#entries.get(node)
      this.#strangers.delete(node)
      if (entry === undefined) return Effect.void
      this.#entries.delete(node)
      return Scope.close(entry.scope, Exit.void)
    })
  }

  /** Ends all of them. */
  readonly removeAll: Effect.Effect<void> = Effect.suspend(() =>
    Effect.forEach([...this.#entries.keys()], (node) => this.remove(node), { discard: true })
  )

  #start(context: NodeContext, node: NodeId): Effect.Effect<Running> {
    return Effect.gen({ self: this }, function* () {
      const scope = yield* Scope.fork(this.#scope)
      const ending = { node, life: {} }
      const ends = { idle: this.#ended(ending, true), gone: this.#ended(ending, false) }
      const spawn =
        node === context.address.node
          ? LoopbackActor.spawn(context)
          : (context.encrypt ? TunnelActor : PlainActor).spawn({ context, node, ...ends })
      const running = yield* Scope.provide(spawn, scope)
      this.#entries.set(node, { ...ending, running, scope })
      return running
    })
  }
}

/** Peers with a tunnel at once (wire §15.2). */
export const PEERS_MAX = 16_384
/** Peers at once that only claim to be somebody. */
export const STRANGERS_MAX = 4096
/** Refusals between two looks at who is no stranger any more. */
const SWEEP_EVERY = 256
