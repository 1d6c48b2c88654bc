/**
 * The correspondents of one UDP door. A way is what one of them has: a socket on the other side, so that answers find back to
 * whom they are for, as behind a NAT. One that carried nothing for `IDLE_MS` is closed; when there are too many, the one that was
 * silent longest makes room. What cannot be passed on is dropped and counted, as on any network.
 */
import { Clock, Effect, FiberMap, Queue, type Scope } from "effect"
import * as MonotonicTime from "../../core/actor/MonotonicTime.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import type { OpenDoor } from "./Door.ts"

/** The other side of a way; lives as long as the scope it was opened in. */
export interface OtherSide {
  readonly send: (payload: Uint8Array) => Effect.Effect<void>
  /** Ends when the other side is gone, and the way with it. */
  readonly over: Effect.Effect<unknown>
}

/** A datagram of a correspondent. */
export interface Carried {
  /** Who it is. */
  readonly key: string
  /** The peer it belongs to, if peers are counted. */
  readonly peer?: NodeId
  readonly payload: Uint8Array
  /** Opens the other side, for the first datagram. */
  readonly open: Effect.Effect<OtherSide, { readonly message: string }, Scope.Scope>
}

/** The ways of a door. */
export interface UdpWays {
  readonly carry: (carried: Carried) => Effect.Effect<void>
  /** An answer came by this way; false when it is closed, and the answer is for nobody. */
  readonly answered: (key: string, sizeBytes: number) => boolean
}

/** None yet; they are closed with the scope. */
export const make = Effect.fnUntraced(function* (state: OpenDoor): Effect.fn.Return<UdpWays, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const nowMs = () => MonotonicTime.nowMsUnsafe(clock)
  const fibers = yield* FiberMap.make<string>()
  // In the order of their last use.
  const ways = new Map<string, Way>()
  const ofPeers = new Map<NodeId, number>()

  const begin = (carried: Carried): Effect.Effect<Way> =>
    Effect.gen(function* () {
      const { key, open, peer } = carried
      const oldest = ways.keys().next().value
      if (ways.size >= WAYS_MAX && oldest !== undefined) yield* FiberMap.remove(fibers, oldest)
      const way: Way = { waiting: yield* Queue.dropping<Uint8Array>(WAITING_MAX), usedAtMs: nowMs() }
      ways.set(key, way)
      if (peer !== undefined) ofPeers.set(peer, (ofPeers.get(peer) ?? 0) + 1)
      state.open++
      state.connections++
      const over = Effect.sync(() => {
        state.open--
        if (ways.get(key) === way) ways.delete(key)
        if (peer === undefined) return
        const left = (ofPeers.get(peer) ?? 1) - 1
        if (left === 0) ofPeers.delete(peer)
        else ofPeers.set(peer, left)
      })
      const carrying = Effect.flatMap(open, (side) =>
        Effect.raceFirst(Effect.forever(Effect.flatMap(Queue.take(way.waiting), side.send)), side.over)
      ).pipe(
        Effect.scoped,
        Effect.catch(({ message }) => {
          state.refused++
          state.problem = message
          return Effect.logWarning(`gateway: UDP: ${message}`)
        }),
        Effect.ensuring(over)
      )
      yield* FiberMap.run(fibers, key, carrying)
      return way
    })

  const used = (key: string, way: Way): void => {
    way.usedAtMs = nowMs()
    ways.delete(key)
    ways.set(key, way)
  }

  const sweep = Effect.suspend(() => {
    const before = nowMs() - IDLE_MS
    const silent = [...ways].filter(([, way]) => way.usedAtMs <= before)
    return Effect.forEach(silent, ([key]) => FiberMap.remove(fibers, key), { discard: true })
  })
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(SWEEP_INTERVAL), sweep)))

  return {
    carry: (carried) =>
      Effect.suspend(() => {
        const { key, payload, peer } = carried
        const known = ways.get(key)
        const isFull = peer !== undefined && (ofPeers.get(peer) ?? 0) >= WAYS_OF_PEER_MAX
        if (payload.length > PAYLOAD_BYTES_MAX || (known === undefined && isFull)) {
          state.refused++
          return Effect.void
        }
        return Effect.map(known === undefined ? begin(carried) : Effect.succeed(known), (way) => {
          used(key, way)
          if (Queue.offerUnsafe(way.waiting, payload)) state.bytes += payload.length
          else state.refused++
        })
      }),
    answered: (key, sizeBytes) => {
      const way = ways.get(key)
      if (way === undefined || sizeBytes > PAYLOAD_BYTES_MAX) {
        state.refused++
        return false
      }
      used(key, way)
      state.bytes += sizeBytes
      return true
    }
  }
})

interface Way {
  readonly waiting: Queue.Queue<Uint8Array>
  usedAtMs: number
}

/** Correspondents of one door at the same time. */
const WAYS_MAX = 512
/** Of one peer that comes in. */
const WAYS_OF_PEER_MAX = 64
/** A little more than NATs promise at least (RFC 4787 REQ-5 asks for two minutes, and many give one). */
const IDLE_MS = 120_000
const SWEEP_INTERVAL = "10 seconds"
/** Datagrams of one way that wait for its other side. */
const WAITING_MAX = 64
/** What fits a UDP datagram with everything around it. */
const PAYLOAD_BYTES_MAX = 60_000
