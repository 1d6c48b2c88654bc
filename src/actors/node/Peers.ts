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
interface Entry {
  readonly running: Running
  readonly scope: Scope.Closeable
}

/** The table. */
export class Peers {
  readonly #entries = new Map<NodeId, Entry>()
  readonly #scope: Scope.Scope
  readonly #ended: (node: NodeId) => Effect.Effect<void>

  /** `ended` is called when a peer has nothing left to do; the owner then calls `remove`. */
  constructor(scope: Scope.Scope, ended: (node: NodeId) => Effect.Effect<void>) {
    this.#scope = scope
    this.#ended = ended
  }

  /** The peer, if there is one. */
  find(node: NodeId): Running | undefined {
    return this.#entries.get(node)?.running
  }

  /** All of them. */
  all(): ReadonlyArray<Running> {
    return Array.from(this.#entries.values(), (entry) => entry.running)
  }

  /** Whether a stranger may still become a peer. */
  get hasRoom(): boolean {
    return this.#entries.size < PEERS_MAX
  }

  /** The peer, started if need be. Called by one actor only, so there is never a second one. */
  ensure(context: NodeContext, node: NodeId): Effect.Effect<Running> {
    return Effect.suspend(() => {
      const known = this.#entries.get(node)
      return known === undefined ? this.#start(context, node) : Effect.succeed(known.running)
    })
  }

  /** Ends a peer, its tunnel and its connections. */
  remove(node: NodeId): Effect.Effect<void> {
    return Effect.suspend(() => {
      const entry = this.#entries.get(node)
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
      const spawn =
        node === context.address.node
          ? LoopbackActor.spawn(context)
          : (context.encrypt ? TunnelActor : PlainActor).spawn({ context, node, idle: this.#ended(node) })
      const running = yield* Scope.provide(spawn, scope)
      this.#entries.set(node, { running, scope })
      return running
    })
  }
}

/** Peers with a tunnel at once (wire §15.2). */
export const PEERS_MAX = 16_384
