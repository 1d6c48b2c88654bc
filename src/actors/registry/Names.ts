/**
 * Names as this node uses them (security rule 1): a name is an alias of a key. Its first use pins the key the registry
 * gives for it; afterwards another key behind it is refused until a person accepts it.
 *
 * What was found is remembered for a moment, so that dialling one peer over and over costs one question, whichever program
 * of this node dials. What a dial will need to know is asked at once: where a name led before is asked about together
 * with the name, since it probably leads there still; and whoever reaches peers is told, who may begin with what needs no
 * answer.
 */
import { Effect } from "effect"
import * as MonotonicTime from "../../core/actor/MonotonicTime.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import type { Endpoint } from "../../core/data/Endpoint.ts"
import { ExpiringMap } from "../../core/data/ExpiringMap.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import * as Address from "../../protocol/wire/Address.ts"
import { type KeyChanged, type NameMoved, PeerKeys } from "../trust/PeerKeys.ts"
import { Away } from "./Away.ts"
import { type LookedUp, RegistryClient, type RegistryError } from "./RegistryClient.ts"

type Failure = RegistryError | NameMoved | KeyChanged

/** Success is remembered under the target and its node, failure forgets the target. */
function remembering<E, R>(
  found: Effect.Effect<LookedUp, E, R>,
  target: string | NodeId
): Effect.Effect<LookedUp, E, R | RegistryClient> {
  return found.pipe(
    Effect.tap((value) =>
      Effect.gen(function* () {
        const { found } = yield* memory
        const nowMs = yield* MonotonicTime.nowMs
        found.set(target, value, nowMs)
        found.set(value.node, value, nowMs)
      })
    ),
    Effect.tapError(() => forget(target))
  )
}

/** Resolves a name, and checks or pins its key. */
export const resolve = Effect.fn("Names.resolve")(function* (
  name: string
): Effect.fn.Return<LookedUp, Failure, RegistryClient | PeerKeys> {
  return yield* routed(name, orPinned(anew))
})

/** Looks a node id up, and checks or pins its key. */
export const lookup = Effect.fn("Names.lookup")(function* (
  node: NodeId
): Effect.fn.Return<LookedUp, Failure, RegistryClient | PeerKeys> {
  return yield* routed(node, orPinned(anew))
})

/**
 * What `resolve` or `lookup` found a moment ago, else what they find now, and where the peer is with it. For reaching a peer: the
 * pin just checked holds whatever the registry would say now, and the peer has to show its key again.
 */
export const recent = (target: string | NodeId): Effect.Effect<LookedUp, Failure, RegistryClient | PeerKeys> =>
  routed(target, recently)

/** What was found a moment ago needs no patience with the registry. */
const recently: Reach = (target) =>
  Effect.flatMap(recalled(target), (known) =>
    known === undefined ? orPinned(askedFor)(target) : Effect.succeed(known)
  )

/** While the registry is away, what is pinned is found nevertheless. */
const orPinned =
  (reach: Reach): Reach =>
  (target) =>
    Effect.flatMap(Effect.all([pinned(target), memory]), ([known, { away }]) =>
      known === undefined ? reach(target) : away.orElse(reach(target), () => known)
    )

/** What the pins alone say: enough to reach a peer while the registry is away, since it has to show its key. */
const pinned = (target: string | NodeId): Effect.Effect<LookedUp | undefined, never, PeerKeys> =>
  Effect.map(PeerKeys, (keys) => {
    const node = typeof target === "string" ? keys.guess(target) : target
    const publicKey = node === undefined ? undefined : keys.pinned(node)
    if (node === undefined || publicKey === undefined) return undefined
    const hostname = typeof target === "string" ? target : ""
    const raw = { node_id: node, hostname, public_key: Bytes.toBase64(publicKey), registry_away: true }
    return { node, address: Address.make(0, node), publicKey, hostname, isPublic: false, endpoint: undefined, raw }
  })

const askedFor: Reach = (target) =>
  Effect.gen(function* () {
    const { expected } = yield* memory
    const { guess } = yield* PeerKeys
    const node = typeof target === "string" ? guess(target) : target
    if (node !== undefined) expected.peer(node)
    // A name that was never used may be of a node that is pinned, and to be told of once the registry has said which.
    const look: Look = (named) =>
      Effect.suspend(() => {
        if (named !== node) expected.peer(named)
        return located(named)
      })
    return yield* remembering(typeof target === "string" ? resolved(target, look) : located(target), target)
  })

/** From now on `peer` is told of every node that is probably about to be reached, before the registry has confirmed it. */
export const anticipate = (peer: (node: NodeId) => void): Effect.Effect<void, never, RegistryClient> =>
  Effect.map(memory, ({ expected }) => {
    expected.peer = peer
  })

/** What was found of a node a moment ago, its key checked. */
export const remembered = (node: NodeId): Effect.Effect<LookedUp | undefined, never, RegistryClient> => recalled(node)

const recalled = (target: string | NodeId): Effect.Effect<LookedUp | undefined, never, RegistryClient> =>
  Effect.flatMap(memory, ({ found }) => Effect.map(MonotonicTime.nowMs, (nowMs) => found.get(target, nowMs)))

/**
 * Where a node is, as it was said just now, else asked. A refusal is no failure: a private node that does not trust us yet
 * has no place for us.
 */
export const endpoint = (node: NodeId): Effect.Effect<Endpoint | undefined, never, RegistryClient> =>
  Effect.gen(function* () {
    const { places } = yield* memory
    const known = places.get(node, yield* MonotonicTime.nowMs)
    return known === undefined ? yield* askEndpoint(node) : known.endpoint
  })

/** The same, asked again where it was refused: trust may have come since. */
export const seekEndpoint = (node: NodeId): Effect.Effect<Endpoint | undefined, never, RegistryClient> =>
  Effect.gen(function* () {
    const { places } = yield* memory
    return places.get(node, yield* MonotonicTime.nowMs)?.endpoint ?? (yield* askEndpoint(node))
  })

/** The same, asked in any case. */
export const askEndpoint = Effect.fnUntraced(function* (
  node: NodeId
): Effect.fn.Return<Endpoint | undefined, never, RegistryClient> {
  const registry = yield* RegistryClient
  const { away, hints, known, places } = yield* memory
  const nowMs = yield* MonotonicTime.nowMs
  const otherwise = () => hints.get(node, nowMs) ?? known.place(node)
  const endpoint = yield* Effect.orElseSucceed(away.orElse(registry.resolve(node), otherwise), otherwise)
  places.set(node, { endpoint }, yield* MonotonicTime.nowMs)
  return endpoint
})

/** Where somebody else than the registry says a node is: tried for a while where the registry does not say. */
export const hint = (node: NodeId, endpoint: Endpoint): Effect.Effect<void, never, RegistryClient> =>
  Effect.gen(function* () {
    const { hints } = yield* memory
    hints.set(node, endpoint, yield* MonotonicTime.nowMs)
  })

/** From now on `place` says where a peer was, for when neither the registry nor anybody else does. */
export const remember = (place: (node: NodeId) => Endpoint | undefined): Effect.Effect<void, never, RegistryClient> =>
  Effect.map(memory, ({ known }) => {
    known.place = place
  })

/** What the registry answers, or the alternative when it is away: not waited for long where that is. */
export const unlessAway = <A, E, R>(
  answer: Effect.Effect<A, E, R>,
  otherwise: () => A
): Effect.Effect<A, E, R | RegistryClient> => Effect.flatMap(memory, ({ away }) => away.orElse(answer, otherwise))

/** The peer could not be reached where it was a moment ago: the next one asks again. */
export const forget = (target: string | NodeId): Effect.Effect<void, never, RegistryClient> =>
  Effect.flatMap(RegistryClient, ({ several }) =>
    several === undefined
      ? forgetHere(target)
      : Effect.forEach(
          several.members(),
          ({ inside, registry }) => {
            const known = inside(target)
            return known === undefined
              ? Effect.void
              : Effect.provideService(forgetHere(known), RegistryClient, registry)
          },
          { discard: true }
        )
  )

const forgetHere = (target: string | NodeId): Effect.Effect<void, never, RegistryClient> =>
  Effect.gen(function* () {
    const { found, places } = yield* memory
    const nowMs = yield* MonotonicTime.nowMs
    const node = typeof target === "string" ? found.get(target, nowMs)?.node : target
    found.delete(target, nowMs)
    if (node === undefined) return
    found.delete(node, nowMs)
    places.delete(node, nowMs)
  })

type Reach = (target: string | NodeId) => Effect.Effect<LookedUp, Failure, RegistryClient | PeerKeys>

const anew: Reach = (target) =>
  remembering(typeof target === "string" ? resolved(target, checked) : checked(target), target)

/** Of several registries the one that knows the target answers, by its own ids and pins, in words that hold outside. */
const routed = (target: string | NodeId, reach: Reach): Effect.Effect<LookedUp, Failure, RegistryClient | PeerKeys> =>
  Effect.flatMap(RegistryClient, ({ several }) =>
    several === undefined
      ? reach(target)
      : Effect.flatMap(several.route(target), (route) =>
          reach(route.target).pipe(
            Effect.mapBoth({ onFailure: (error) => route.failed<RegistryError>(error), onSuccess: route.found }),
            Effect.provideService(RegistryClient, route.registry),
            Effect.provideService(PeerKeys, route.keys)
          )
        )
  )

type Look = (node: NodeId) => Effect.Effect<LookedUp, RegistryError | KeyChanged, RegistryClient | PeerKeys>

const checked: Look = Effect.fnUntraced(function* (node) {
  const registry = yield* RegistryClient
  const keys = yield* PeerKeys
  const found = yield* registry.lookup(node)
  yield* keys.pinNode(node, found.publicKey)
  return found
})

const located: Look = (node) =>
  Effect.map(Effect.all([checked(node), askEndpoint(node)], { concurrency: 2 }), ([found]) => found)

const resolved = Effect.fnUntraced(function* (
  name: string,
  look: Look
): Effect.fn.Return<LookedUp, Failure, RegistryClient | PeerKeys> {
  const registry = yield* RegistryClient
  const keys = yield* PeerKeys
  const guess = keys.guess(name)
  const [{ node }, guessed] = yield* Effect.all(
    [registry.resolveHostname(name), guess === undefined ? Effect.succeed(undefined) : Effect.exit(look(guess))],
    { concurrency: 2 }
  )
  const found = yield* guessed !== undefined && guess === node ? guessed : look(node)
  yield* keys.pinName(name, found.publicKey)
  return found
})

/** What a registry's client has answered; a node has one client. */
interface Memory {
  readonly found: ExpiringMap<string | NodeId, LookedUp>
  readonly places: ExpiringMap<NodeId, { readonly endpoint: Endpoint | undefined }>
  readonly hints: ExpiringMap<NodeId, Endpoint>
  readonly expected: { peer: (node: NodeId) => void }
  readonly known: { place: (node: NodeId) => Endpoint | undefined }
  readonly away: Away
}

const memory: Effect.Effect<Memory, never, RegistryClient> = Effect.map(RegistryClient, (registry) => {
  const known = MEMORIES.get(registry)
  if (known !== undefined) return known
  const made: Memory = {
    found: new ExpiringMap({ entriesMax: RECENT_MAX, lifeMs: RECENT_MS }),
    places: new ExpiringMap({ entriesMax: RECENT_MAX, lifeMs: PLACE_MS }),
    hints: new ExpiringMap({ entriesMax: RECENT_MAX, lifeMs: HINT_MS }),
    expected: { peer: () => {} },
    known: { place: () => undefined },
    away: new Away()
  }
  MEMORIES.set(registry, made)
  return made
})

const MEMORIES = new WeakMap<RegistryClient["Service"], Memory>()
/** Peers remembered, and for so long. */
const RECENT_MAX = 1024
const RECENT_MS = 10_000
/** Where a peer was is of use to the dial that asked, and not much longer: it moves, and trust changes what one is told. */
const PLACE_MS = 1_000
/** Long enough for a redeemed invitation to be answered. */
const HINT_MS = 600_000
