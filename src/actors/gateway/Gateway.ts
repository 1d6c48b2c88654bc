/**
 * Ports of this host that lead to peers, and ports of peers that lead to this host (node §7). Each door has a scope of its
 * own and each connection a fiber in it: closing a door ends what goes through it, and a connection that fails ends alone.
 */
import { Effect, Exit, FiberSet, Scope, Semaphore } from "effect"
import type { Endpoint } from "../../core/data/Endpoint.ts"
import * as Quota from "../../core/data/Quota.ts"
import { HttpRelay } from "../../core/net/HttpRelay.ts"
import { Tcp, type TcpConnection, type TcpError } from "../../core/net/Tcp.ts"
import { UdpEndpoint } from "../../core/net/UdpEndpoint.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import { type Door, type OpenDoor, opened, type PeerDoor, type ProxyDoor, type SelfDoor } from "./Door.ts"
import type { House } from "./House.ts"
import type { Overlay } from "./Overlay.ts"
import * as PeerPort from "./PeerPort.ts"
import * as ProxyPort from "./ProxyPort.ts"
import * as SelfPort from "./SelfPort.ts"
import * as UdpPort from "./UdpPort.ts"

/** The doors of one gateway. */
export interface Gateway {
  /** Opens a door in the place of one of that id, and tells where it listens. Fails if the place is taken. */
  readonly open: (id: string, door: Door) => Effect.Effect<Endpoint | undefined, TcpError>
  /** Closes a door and what goes through it; false if there is none. */
  readonly close: (id: string) => Effect.Effect<boolean>
  readonly doors: () => ReadonlyMap<string, OpenDoor>
}

/** A gateway without doors; its scope closes them. */
export const make = Effect.fnUntraced(function* (
  overlay: Overlay
): Effect.fn.Return<Gateway, never, Tcp | HttpRelay | UdpEndpoint | Scope.Scope> {
  const parent = yield* Effect.scope
  const house: House = {
    overlay,
    tcp: yield* Tcp,
    http: yield* HttpRelay,
    udp: yield* UdpEndpoint,
    places: Quota.make({ countMax: CONNECTIONS_MAX, perKeyMax: CONNECTIONS_MAX })
  }
  const changing = yield* Semaphore.make(1)
  const doors = new Map<string, OpenDoor & { readonly scope: Scope.Closeable }>()

  const close = (id: string) =>
    Effect.suspend(() => {
      const door = doors.get(id)
      if (door === undefined) return Effect.succeed(false)
      doors.delete(id)
      return Effect.as(Scope.close(door.scope, Exit.void), true)
    })
  const open = Effect.fnUntraced(function* (id: string, door: Door) {
    yield* close(id)
    const scope = yield* Scope.fork(parent)
    const state = yield* serve(house, door).pipe(
      Effect.provideService(Scope.Scope, scope),
      Effect.onError(() => Scope.close(scope, Exit.void))
    )
    doors.set(id, Object.assign(state, { scope }))
    return state.local
  })
  return {
    open: (id, door) => changing.withPermit(open(id, door)),
    close: (id) => changing.withPermit(close(id)),
    doors: () => doors
  }
})

const serve = (house: House, door: Door): Effect.Effect<OpenDoor, TcpError, Scope.Scope> => {
  switch (door._tag) {
    case "Self":
      return serveSelf(house, door)
    case "UdpPeer":
      return UdpPort.servePeer(house, door)
    case "UdpSelf":
      return UdpPort.serveSelf(house, door)
    default:
      return serveLocal(house, door)
  }
}

/** A door of this host: bound when this returns, served in its scope. */
const serveLocal = Effect.fnUntraced(function* (house: House, door: PeerDoor | ProxyDoor) {
  const listener = yield* house.tcp.listen(door.listen, BACKLOG)
  const fibers = yield* FiberSet.make()
  const state = opened(door, listener.local)
  const pass = (connection: TcpConnection) =>
    door._tag === "Peer"
      ? PeerPort.pass(house, state, door, connection)
      : ProxyPort.pass(house, state, door, connection)
  const admit = (connection: TcpConnection) => {
    const passed = Effect.ensuring(
      Effect.suspend(() => pass(connection)),
      connection.end
    )
    return place(house, state, undefined, connection.reset, passed)
  }
  const one = Effect.flatMap(listener.accept, (connection) => FiberSet.run(fibers, admit(connection)))
  yield* Effect.forkScoped(Effect.forever(one))
  return state
})

/** A virtual port. The node may be away now: the door waits for it. */
const serveSelf = Effect.fnUntraced(function* (house: House, door: SelfDoor) {
  const fibers = yield* FiberSet.make()
  const state = opened(door, undefined)
  state.problem = "the node has not been reached yet"
  const serving = house.overlay.serve(
    door.port,
    (stream) => {
      const peer = stream.remote.node
      if (door.allow !== undefined && !door.allow.has(peer)) {
        state.refused++
        return stream.close
      }
      const passed = Effect.ensuring(
        Effect.suspend(() => SelfPort.pass(house, state, door, stream)),
        stream.close
      )
      return Effect.asVoid(FiberSet.run(fibers, place(house, state, peer, stream.close, passed)))
    },
    (problem) =>
      Effect.sync(() => {
        state.problem = problem
      })
  )
  yield* Effect.forkScoped(serving)
  return state
})

/** Runs it in one of the places that there are, or turns it away. */
const place = (
  { places }: House,
  state: OpenDoor,
  peer: NodeId | undefined,
  turnAway: Effect.Effect<void>,
  passing: Effect.Effect<void>
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const isFull = (places.perKey.get(peer) ?? 0) >= (peer === undefined ? CONNECTIONS_MAX : CONNECTIONS_PER_PEER_MAX)
    if (isFull || !Quota.enter(places, peer)) {
      state.refused++
      return turnAway
    }
    state.open++
    state.connections++
    const left = Effect.sync(() => {
      Quota.leave(places, peer)
      state.open--
    })
    return Effect.ensuring(passing, left)
  })

/** Connections of a gateway at the same time. */
const CONNECTIONS_MAX = 8192
/** Of one peer that comes in. */
const CONNECTIONS_PER_PEER_MAX = 2048
/** Connections of one door that wait to be accepted. */
const BACKLOG = 1024
