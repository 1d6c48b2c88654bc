/**
 * Finds nodes on the local network, and lets itself be found there, without any rendezvous.
 *
 * Owns the table of neighbours. Every minute it says where this node is, signed, and asks who else is there. Told by the network
 * what others say; tells the node through `found` where peers are whose pinned key has signed it. What anybody else says is
 * kept to be shown to people, and for nothing else. Mailbox full: what is heard is dropped, and said again within a minute.
 * Restarted with an empty table.
 */
import { Clock, Effect, Result, type Scope } from "effect"
import * as Actor from "../../core/actor/Actor.ts"
import * as MonotonicTime from "../../core/actor/MonotonicTime.ts"
import { Crypto, type SigningKey } from "../../core/crypto/Crypto.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import type { Endpoint } from "../../core/data/Endpoint.ts"
import { ExpiringMap } from "../../core/data/ExpiringMap.ts"
import { TokenBucket } from "../../core/data/TokenBucket.ts"
import { LanDiscovery, type LanHeard, type LanPresence } from "../../core/net/LanDiscovery.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import * as LanAnnouncement from "../../protocol/wire/LanAnnouncement.ts"
import type { Neighbour } from "./Node.ts"

/** Who is to be found, and who wants to know. */
export interface Options {
  readonly identity: SigningKey
  /** Which registry's ids these are: `LanAnnouncement.registry`. */
  readonly registry: string
  /** Called before each announcement: who the node is may have changed. */
  readonly before: Effect.Effect<void>
  readonly node: () => NodeId
  /** What it calls itself; nothing for a private node. */
  readonly name: () => string
  /** The node's socket; a wildcard stands for all addresses of this machine. */
  readonly local: Endpoint
  readonly pinned: (node: NodeId) => Uint8Array | undefined
  /** Where a peer with a pinned key says it is, the likeliest first. */
  readonly found: (node: NodeId, endpoints: ReadonlyArray<Endpoint>) => Effect.Effect<void>
}

type Message =
  | { readonly _tag: "Heard"; readonly heard: LanHeard }
  /** Another second or another name: it is time to say it. */
  | { readonly _tag: "Say" }

/** Starts it in the surrounding scope; gives who is there now. Where there is no multicast, nobody is. */
export const spawn = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<() => ReadonlyArray<Neighbour>, never, LanDiscovery | Crypto | Scope.Scope> {
  const lan = yield* LanDiscovery
  const crypto = yield* Crypto
  const clock = yield* Clock.Clock
  const presence = yield* Effect.result(lan.open(LanAnnouncement.SERVICE))
  if (Result.isFailure(presence)) {
    yield* Effect.logDebug(`no nodes are looked for on the local network: ${presence.failure.detail}`)
    return () => []
  }
  const nowMs = () => MonotonicTime.nowMsUnsafe(clock)
  const unixSeconds = () => Math.floor(clock.currentTimeMillisUnsafe() / 1000)
  let neighbours = new Neighbours(options, crypto.verify, nowMs())
  const ref = yield* Actor.spawn<Message, never, never>({
    name: "lan",
    mailbox: { capacity: MAILBOX_CAPACITY, overflow: "dropNewest" },
    restart: { intensity: 3, periodMs: 60_000 },
    start: Effect.sync(() => {
      neighbours = new Neighbours(options, crypto.verify, nowMs())
      return {
        receive: (message: Message) => {
          if (message._tag === "Say")
            return Effect.map(options.before, () => say(options, presence.success, unixSeconds()))
          const found = neighbours.hear(message.heard, nowMs(), unixSeconds())
          return found === undefined ? undefined : options.found(found.node, found.endpoints)
        }
      }
    })
  })
  presence.success.onHeard((heard) => void ref.tellUnsafe({ _tag: "Heard", heard }))
  const repeat = Effect.andThen(
    Effect.sync(() => void ref.tellUnsafe({ _tag: "Say" })),
    Effect.sleep(SAY_MS)
  )
  yield* Effect.forkScoped(Effect.forever(repeat), { startImmediately: true })
  return () => neighbours.rows(nowMs())
})

const say = (options: Options, presence: LanPresence, unixSeconds: number): void => {
  const { host, port } = options.local
  const hosts = host === "0.0.0.0" ? presence.addresses() : [host]
  const announcement: LanAnnouncement.LanAnnouncement = {
    node: options.node(),
    registry: options.registry,
    publicKey: options.identity.publicKey,
    unixSeconds,
    endpoints: hosts.slice(0, LanAnnouncement.ENDPOINTS_MAX).map((address) => ({ host: address, port })),
    name: options.name()
  }
  presence.ask()
  if (announcement.node === 0 || announcement.endpoints.length === 0) return
  const signature = options.identity.sign(Bytes.fromUtf8(LanAnnouncement.signedText(announcement)))
  const instance = `pilot-${options.registry.slice(0, 4)}-${announcement.node}-${Bytes.toHex(announcement.publicKey.subarray(0, 4))}`
  presence.publish({ instance, port, texts: LanAnnouncement.encode({ announcement, signature }) })
}

/** Whom the network has told of. Mutable; owned by the actor. */
class Neighbours {
  readonly #options: Options
  readonly #verify: Crypto["Service"]["verify"]
  /** By key. */
  readonly #rows = new ExpiringMap<string, Neighbour>({ entriesMax: NEIGHBOURS_MAX, lifeMs: NEIGHBOUR_LIFE_MS })
  /** Signatures of peers that are known, and of everybody else, so that nobody shuts the first out. */
  readonly #budgets: readonly [TokenBucket, TokenBucket]

  constructor(options: Options, verify: Crypto["Service"]["verify"], nowMs: number) {
    this.#options = options
    this.#verify = verify
    const bucket = () => new TokenBucket({ capacity: VERIFICATIONS, perSecond: VERIFICATIONS }, nowMs)
    this.#budgets = [bucket(), bucket()]
  }

  rows(nowMs: number): ReadonlyArray<Neighbour> {
    return this.#rows.entries(nowMs).map(([, row]) => ({ ...row, isKnown: this.#isKnown(row) }))
  }

  /** A known peer that is somewhere it was not, or that has not been heard of for a while. */
  hear({ from, texts }: LanHeard, nowMs: number, unixSeconds: number): Neighbour | undefined {
    const decoded = LanAnnouncement.decode(texts)
    if (Result.isFailure(decoded)) return undefined
    const { announcement, signature } = decoded.success
    const { endpoints, name, node, publicKey, registry, unixSeconds: atSeconds } = announcement
    const key = Bytes.toHex(publicKey)
    const before = this.#rows.get(key, nowMs)
    // What was recorded once leads back to where somebody was.
    const isStale = before !== undefined && atSeconds <= before.unixSeconds
    if (isStale || Math.abs(atSeconds - unixSeconds) > SKEW_SECONDS) return undefined
    if (Bytes.equals(publicKey, this.#options.identity.publicKey)) return undefined
    const isSameRendezvous = registry === this.#options.registry
    const isKnown = this.#isKnown({ isSameRendezvous, node, publicKey })
    if (!this.#budgets[isKnown ? 0 : 1].take(nowMs)) return undefined
    if (!this.#verify(publicKey, Bytes.fromUtf8(LanAnnouncement.signedText(announcement)), signature)) return undefined
    // It is certainly where it was heard from, if it says so itself.
    const sorted = endpoints.toSorted((a, b) => Number(b.host === from) - Number(a.host === from))
    const row: Neighbour = {
      node,
      publicKey,
      name,
      endpoints: sorted,
      isKnown,
      isSameRendezvous,
      unixSeconds: atSeconds
    }
    this.#rows.set(key, row, nowMs)
    return isKnown ? row : undefined
  }

  #isKnown({ isSameRendezvous, node, publicKey }: Pick<Neighbour, "isSameRendezvous" | "node" | "publicKey">): boolean {
    const pinned = isSameRendezvous ? this.#options.pinned(node) : undefined
    return pinned !== undefined && Bytes.equals(pinned, publicKey)
  }
}

const MAILBOX_CAPACITY = 256
/** Between two announcements. */
const SAY_MS = 60_000
/** Remembered at once, known or not. */
const NEIGHBOURS_MAX = 256
/** Three announcements were missed. */
const NEIGHBOUR_LIFE_MS = 200_000
/** Signatures checked per second, of peers that are known and again of others. */
const VERIFICATIONS = 20
/** By which clocks on one network may differ. */
const SKEW_SECONDS = 3_600
