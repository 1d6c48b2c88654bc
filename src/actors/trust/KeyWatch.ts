/**
 * What follows from the chains of peers' keys (security rule 9): people are told, trust goes along with the key, a forked peer is
 * cut off. And where chains come from: a stream to port 444, and a look at the registry now and then, since a key that is
 * announced there shows in no lookup that this node has another reason for.
 */
import { Effect, type Scope } from "effect"
import * as MonotonicTime from "../../core/actor/MonotonicTime.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import type * as KeyChain from "../../protocol/identity/KeyChain.ts"
import * as KeyChainMessage from "../../protocol/identity/KeyChainMessage.ts"
import * as Relation from "../../protocol/trust/Relation.ts"
import { Input } from "../../protocol/trust/TrustHandshake.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import * as Names from "../registry/Names.ts"
import { RegistryClient } from "../registry/RegistryClient.ts"
import * as HandshakeStream from "./HandshakeStream.ts"
import type { KeyFact } from "./KeyChains.ts"
import * as PeerIdentity from "./PeerIdentity.ts"
import type { TrustActor } from "./TrustActor.ts"
import type { TrustContext } from "./TrustContext.ts"

/** The running watch. */
export interface KeyWatch {
  /** Lets time pass, and asks the registry about trusted peers if it is time again. */
  readonly look: Effect.Effect<void>
  /** Tells the chain of this node to every trusted peer that has a tunnel now; the others find it at the registry. */
  readonly spread: (chain: KeyChain.KeyChain) => Effect.Effect<void>
}

/** Watches in the surrounding scope. What the pins have done without the trust list is made up for first. */
export const make = Effect.fn("KeyWatch.make")(function* (
  context: TrustContext,
  actor: TrustActor
): Effect.fn.Return<KeyWatch, never, Scope.Scope> {
  const { chains } = context.keys
  for (const [node, relation] of actor.table()) {
    const to = context.keys.pinned(node)
    for (const from of Relation.keysOf(relation)) {
      if (to !== undefined && !Bytes.equals(from, to) && chains.follows(node, from))
        yield* Effect.ignore(actor.apply(node, Input.KeyFollowed({ from, to })))
    }
  }
  yield* chains.listen((fact) => heed(context, actor, fact))
  let lookedAtMs = Number.NEGATIVE_INFINITY
  // Where the next look goes on, among more peers than one look asks about.
  let begun = 0
  const sweep = Effect.gen(function* () {
    const nowMs = yield* MonotonicTime.nowMs
    if (nowMs - lookedAtMs < LOOK_INTERVAL_MS) return
    lookedAtMs = nowMs
    const trusted = [...actor.table()].filter(([, relation]) => relation.trusted !== undefined).map(([node]) => node)
    const from = begun < trusted.length ? begun : 0
    const turn = trusted.slice(from, from + LOOKUPS_MAX)
    begun = from + turn.length
    const own = yield* context.node.address
    // The registry's answer is learnt from wherever it is asked for (`LearningRegistry`).
    yield* Effect.forEach([own.node, ...turn], (node) => Effect.ignore(context.registry.lookup(node)), {
      concurrency: LOOKUPS_AT_ONCE,
      discard: true
    })
  })
  return {
    look: Effect.andThen(chains.settle, sweep),
    spread: (chain) => spread(context, actor, chain)
  }
})

const heed = Effect.fnUntraced(function* (context: TrustContext, actor: TrustActor, fact: KeyFact) {
  const text = (key: Uint8Array) => PeerIdentity.fingerprintOf(context, key)
  const peer = fact.node
  switch (fact._tag) {
    case "Announced":
      return context.report({ _tag: "KeyAnnounced", peer, key: text(fact.next), fromSeconds: fact.fromSeconds })
    case "Cancelled":
      return context.report({ _tag: "KeyCancelled", peer, key: text(fact.next) })
    case "Moved":
      yield* Effect.provideService(Names.forget(peer), RegistryClient, context.registry)
      context.report({ _tag: "KeyMoved", peer, from: text(fact.from), to: text(fact.to) })
      yield* Effect.ignore(actor.apply(peer, Input.KeyFollowed({ from: fact.from, to: fact.to })))
      return
    case "Accepted": {
      const from = fact.from === undefined ? "" : text(fact.from)
      return context.report({ _tag: "KeyAccepted", peer, from, to: text(fact.to) })
    }
    case "Forked":
      context.report({ _tag: "KeyForked", peer, keys: fact.keys.map(text).join(", ") })
      // Not waited for: it may be the stream of this very peer that brought the news.
      return yield* Effect.asVoid(Effect.forkDetach(context.node.dropPeer(peer)))
    case "RecoveryEnrolled":
      return context.report({ _tag: "RecoveryKeyEnrolled", peer, key: text(fact.key), fromSeconds: fact.fromSeconds })
    case "RecoveryContested":
      return context.report({ _tag: "RecoveryKeyContested", peer })
    case "Thawed":
      return
  }
})

const spread = Effect.fnUntraced(function* (context: TrustContext, actor: TrustActor, chain: KeyChain.KeyChain) {
  const own = yield* context.node.address
  const { peers } = yield* context.node.status
  const bytes = KeyChainMessage.encode({ node: own.node, chain })
  const near = peers.filter(
    ({ authenticated, node }) => authenticated && actor.table().get(node)?.trusted !== undefined
  )
  yield* Effect.forEach(near, ({ node }) => Effect.ignore(send(context, node, bytes)), {
    concurrency: SENDS_AT_ONCE,
    discard: true
  })
})

const send = (context: TrustContext, node: NodeId, bytes: Uint8Array) =>
  Effect.scoped(
    Effect.gen(function* () {
      const key = yield* PeerIdentity.tunnelKey(context, node)
      if (key === undefined) return
      const connection = yield* HandshakeStream.open(context, node, key, SEND_TIMEOUT_MS)
      yield* connection.write(bytes)
      yield* HandshakeStream.linger(connection)
    })
  )

/** Between two looks at the registry. */
const LOOK_INTERVAL_MS = 900_000
/** Trusted peers that are looked up each time. */
const LOOKUPS_MAX = 1024
const LOOKUPS_AT_ONCE = 4
const SENDS_AT_ONCE = 16
const SEND_TIMEOUT_MS = 3000
