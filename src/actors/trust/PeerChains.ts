/**
 * The chains of keys of peers (security rule 9): learns statements, decides by `KeyStanding`, moves pins. What is on disk is
 * what was learnt and when, so a decision that was interrupted is made again at the next start.
 */
import { Clock, Effect, Semaphore } from "effect"
import type { Crypto } from "../../core/crypto/Crypto.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import type { KeyChain } from "../../protocol/identity/KeyChain.ts"
import * as KeyHistory from "../../protocol/identity/KeyHistory.ts"
import * as KeyStanding from "../../protocol/identity/KeyStanding.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import type { KeyChains, KeyFact } from "./KeyChains.ts"

/** Where histories outlive the process. */
export interface ChainStore<E> {
  readonly load: Effect.Effect<ReadonlyMap<NodeId, KeyHistory.KeyHistory>, E>
  readonly save: (
    histories: ReadonlyMap<NodeId, KeyHistory.KeyHistory>
  ) => Effect.Effect<void, { readonly message: string }>
}

/** The pins, which this module moves and nobody else does for these reasons. */
export interface Pins {
  readonly pinned: (node: NodeId) => Uint8Array | undefined
  readonly move: (node: NodeId, publicKey: Uint8Array) => Effect.Effect<void>
  readonly isProtected: (publicKey: Uint8Array) => boolean
}

/** The service, and what the pins tell it. */
export interface PeerChains extends KeyChains {
  /** A node was pinned for the first time: what came with it is its ground. */
  readonly begun: (node: NodeId, publicKey: Uint8Array) => Effect.Effect<void>
  /** A person has decided for a key; `former` was pinned before. */
  readonly decided: (node: NodeId, publicKey: Uint8Array, former: Uint8Array | undefined) => Effect.Effect<void>
}

/** Chains kept; those of trusted peers do not count. */
export const CHAINS_MAX = 1024
/** Chains of nodes that are not pinned, kept for the moment in which they may be. */
const HEARD_MAX = 256

/** Over any store. Pins that should have followed before this process began follow now. */
export const make = Effect.fn("PeerChains.make")(function* <E>(
  crypto: Crypto["Service"],
  store: ChainStore<E>,
  pins: Pins
): Effect.fn.Return<PeerChains, E> {
  const histories = new Map(yield* store.load)
  const standings = new Map<NodeId, KeyStanding.KeyStanding>()
  const heard = new Map<NodeId, KeyChain>()
  const listeners = new Set<(fact: KeyFact) => Effect.Effect<void>>()
  const turn = yield* Semaphore.make(1)

  const tell = (facts: ReadonlyArray<KeyFact>) =>
    Effect.forEach(facts, (fact) => Effect.forEach([...listeners], (listener) => listener(fact)), { discard: true })
  const persist = Effect.suspend(() => store.save(histories)).pipe(
    Effect.catch((error) =>
      Effect.logError("key chains hold for this run only; they could not be written", error.message)
    )
  )
  /** Decides about one node; a pin moves only when its reason is on disk. */
  const decide = Effect.fnUntraced(function* (node: NodeId) {
    const history = histories.get(node)
    const pinned = pins.pinned(node)
    if (history === undefined || pinned === undefined) return []
    const before = standings.get(node)
    const standing = KeyStanding.at(history, yield* nowSeconds)
    standings.set(node, standing)
    const facts = factsOf(node, before, standing, pinned)
    for (const fact of facts) if (fact._tag === "Moved") yield* pins.move(node, fact.to)
    return facts
  })
  /**
   * Listeners are told when the next one may decide: they wait for others, who may wait for a decision. It goes on when whoever
   * brought the news waits no more, because nobody decides again about what is known already.
   */
  const told = (deciding: Effect.Effect<ReadonlyArray<KeyFact>>) =>
    Effect.uninterruptible(Effect.flatMap(turn.withPermit(deciding), tell))
  const change = (node: NodeId, history: KeyHistory.KeyHistory) =>
    Effect.suspend(() => {
      histories.delete(node)
      histories.set(node, history)
      for (const dropped of surplus(histories, pins)) {
        histories.delete(dropped)
        standings.delete(dropped)
      }
      return Effect.andThen(persist, decide(node))
    })
  const verify = crypto.verify
  const learn = Effect.fnUntraced(function* (node: NodeId, chain: KeyChain) {
    if (chain.length === 0) return []
    const pinned = pins.pinned(node)
    if (pinned === undefined) {
      remember(heard, node, chain)
      return []
    }
    const before = histories.get(node) ?? KeyHistory.begin(pinned)
    const after = KeyHistory.learn(before, chain, { atSeconds: yield* nowSeconds, isFirst: false, verify })
    return after === before ? [] : yield* change(node, after)
  })

  for (const node of histories.keys()) yield* decide(node)
  return {
    learn: (node, chain) => told(learn(node, chain)),
    settle: told(
      Effect.flatMap(nowSeconds, (seconds) =>
        Effect.map(
          Effect.forEach(
            [...standings].filter(([, standing]) => KeyStanding.dueAtSeconds(standing) <= seconds),
            ([node]) => decide(node)
          ),
          (facts) => facts.flat()
        )
      )
    ),
    standings: () => standings,
    follows: (node, former) => isFollowed(standings.get(node), pins.pinned(node), former),
    formerKeys: (node) => {
      const standing = standings.get(node)
      return standing === undefined || standing.fork !== undefined ? [] : standing.path.slice(0, -1)
    },
    rival: (node) => {
      const pinned = pins.pinned(node)
      const fork = standings.get(node)?.fork
      return fork?.find((key) => pinned === undefined || !Bytes.equals(key, pinned))
    },
    refuse: (node) =>
      Effect.suspend(() => {
        const next = standings.get(node)?.pending?.next
        if (next === undefined) return Effect.undefined
        const history = histories.get(node) ?? KeyHistory.begin(next)
        return Effect.as(told(change(node, KeyHistory.refuse(history, next))), next)
      }),
    begun: (node, publicKey) =>
      // Not waited for: whoever pins may be the one who is told.
      Effect.flatMap(
        turn.withPermit(
          Effect.flatMap(nowSeconds, (atSeconds) => {
            const chain = heard.get(node) ?? []
            heard.delete(node)
            const begun = KeyHistory.begin(publicKey)
            const history = KeyHistory.learn(begun, chain, { atSeconds, isFirst: true, verify })
            return history === begun ? Effect.succeed([]) : change(node, history)
          })
        ),
        (facts) => (facts.length === 0 ? Effect.void : Effect.asVoid(Effect.forkDetach(tell(facts))))
      ).pipe(Effect.uninterruptible),
    decided: (node, publicKey, former) =>
      told(
        Effect.suspend(() => {
          const history = histories.get(node)
          const accepted: KeyFact = { _tag: "Accepted", node, from: former, to: publicKey }
          return history === undefined
            ? Effect.succeed([accepted])
            : Effect.map(change(node, KeyHistory.decided(history, publicKey)), (facts) => [accepted, ...facts])
        })
      ),
    listen: (listener) =>
      Effect.asVoid(
        Effect.acquireRelease(
          Effect.sync(() => listeners.add(listener)),
          () => Effect.sync(() => listeners.delete(listener))
        )
      )
  }
})

/** For as long as the process lives. */
export const MEMORY: ChainStore<never> = { load: Effect.succeed(new Map()), save: () => Effect.void }

const factsOf = (
  node: NodeId,
  before: KeyStanding.KeyStanding | undefined,
  { current, fork, isRecoveryContested, pending, recovery }: KeyStanding.KeyStanding,
  pinned: Uint8Array
): ReadonlyArray<KeyFact> => {
  const facts: Array<KeyFact> = []
  const had = before?.pending?.next
  if (fork !== undefined && before?.fork === undefined) facts.push({ _tag: "Forked", node, keys: fork })
  if (fork === undefined && before?.fork !== undefined) facts.push({ _tag: "Thawed", node })
  if (fork === undefined && !Bytes.equals(current, pinned))
    facts.push({ _tag: "Moved", node, from: pinned, to: current })
  else if (fork === undefined && had !== undefined && !isSame(pending?.next, had) && !Bytes.equals(current, had))
    facts.push({ _tag: "Cancelled", node, next: had })
  if (pending !== undefined && !isSame(had, pending.next))
    facts.push({ _tag: "Announced", node, next: pending.next, fromSeconds: pending.fromSeconds })
  if (recovery !== undefined && !isSame(before?.recovery?.key, recovery.key))
    facts.push({ _tag: "RecoveryEnrolled", node, ...recovery })
  if (isRecoveryContested && before?.isRecoveryContested !== true) facts.push({ _tag: "RecoveryContested", node })
  return facts
}

const isSame = (one: Uint8Array | undefined, other: Uint8Array): boolean =>
  one !== undefined && Bytes.equals(one, other)

const isFollowed = (
  standing: KeyStanding.KeyStanding | undefined,
  pinned: Uint8Array | undefined,
  former: Uint8Array
): boolean =>
  standing !== undefined &&
  pinned !== undefined &&
  standing.fork === undefined &&
  Bytes.equals(standing.current, pinned) &&
  KeyStanding.isOnPath(standing, former)

/** The oldest of those that are not trusted. */
const surplus = (histories: ReadonlyMap<NodeId, KeyHistory.KeyHistory>, pins: Pins): ReadonlyArray<NodeId> => {
  if (histories.size <= CHAINS_MAX) return []
  const droppable = [...histories.keys()].slice(0, -1).filter((node) => {
    const pinned = pins.pinned(node)
    return pinned === undefined || !pins.isProtected(pinned)
  })
  return droppable.slice(0, Math.max(0, droppable.length - CHAINS_MAX + 1))
}

const remember = (heard: Map<NodeId, KeyChain>, node: NodeId, chain: KeyChain): void => {
  heard.delete(node)
  heard.set(node, chain)
  if (heard.size > HEARD_MAX) heard.delete(heard.keys().next().value!)
}

const nowSeconds = Effect.map(Clock.currentTimeMillis, (ms) => Math.floor(ms / 1000))
