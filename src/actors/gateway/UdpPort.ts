/** The two kinds of UDP doors: a port of this host that leads to one of a peer, and a virtual port that leads to this host. */
import { Effect, Queue, type Scope } from "effect"
import type { Endpoint } from "../../core/data/Endpoint.ts"
import * as EndpointText from "../../core/data/Endpoint.ts"
import { TcpError } from "../../core/net/Tcp.ts"
import type { BindError, Datagram } from "../../core/net/UdpEndpoint.ts"
import type { Address } from "../../protocol/wire/Address.ts"
import { type OpenDoor, opened, type UdpPeerDoor, type UdpSelfDoor } from "./Door.ts"
import type { House } from "./House.ts"
import * as UdpWays from "./UdpWays.ts"

/** Bound when this returns, served in its scope. Each program of this host that sends has a port of its own on the overlay. */
export const servePeer = Effect.fnUntraced(function* (
  { overlay, udp }: House,
  door: UdpPeerDoor
): Effect.fn.Return<OpenDoor, TcpError, Scope.Scope> {
  const socket = yield* Effect.mapError(udp.bind({ ...door.listen, receiveBufferBytes: BUFFER_BYTES }), bindFailed)
  const state = opened(door, socket.local)
  const ways = yield* UdpWays.make(state)
  const arrived = yield* arriving
  socket.onBatch(arrived.push)
  const open = (from: Endpoint, key: string) =>
    Effect.gen(function* () {
      const held = yield* overlay.datagrams(undefined)
      const peer = yield* overlay.locate(door.peer)
      // Only the port that was written to may answer.
      const answer = Effect.map(held.receive, ({ payload, source, sourcePort }) => {
        if (source.node !== peer.node || sourcePort !== door.port) state.refused++
        else if (ways.answered(key, payload.length)) socket.send(payload, from)
      })
      return {
        send: (payload: Uint8Array) => held.send(peer, door.port, payload),
        // A daemon that restarts has forgotten the port.
        over: Effect.ignore(Effect.forever(answer))
      }
    })
  const one = Effect.flatMap(arrived.next, ({ bytes, from }) => {
    const key = EndpointText.format(from)
    return ways.carry({ key, payload: bytes, open: open(from, key) })
  })
  yield* Effect.forkScoped(Effect.forever(one))
  return state
})

/** The node may be away now: the door waits for it. Each port of a peer has a socket of its own on this host. */
export const serveSelf = Effect.fnUntraced(function* (
  { overlay, udp }: House,
  door: UdpSelfDoor
): Effect.fn.Return<OpenDoor, never, Scope.Scope> {
  const state = opened(door, undefined)
  state.problem = "the node has not been reached yet"
  const serving = Effect.gen(function* () {
    const held = yield* overlay.datagrams(door.port)
    const ways = yield* UdpWays.make(state)
    state.problem = undefined
    const answers = yield* Queue.dropping<Answer>(ARRIVING_MAX)
    const answer = Effect.flatMap(Queue.take(answers), ({ payload, to, toPort }) => held.send(to, toPort, payload))
    yield* Effect.forkScoped(Effect.forever(answer))
    const open = (to: Address, toPort: number, key: string) =>
      Effect.map(
        Effect.mapError(udp.bind({ host: sourceFor(door.to), port: 0, receiveBufferBytes: BUFFER_BYTES }), bindFailed),
        (socket) => {
          socket.onBatch((batch) => {
            for (const { bytes, from } of batch) {
              if (!EndpointText.equals(from, door.to) || !ways.answered(key, bytes.length)) continue
              if (!Queue.offerUnsafe(answers, { to, toPort, payload: bytes })) state.refused++
            }
          })
          const send = (payload: Uint8Array) => Effect.sync(() => socket.send(payload, door.to))
          return { send, over: Effect.never }
        }
      )
    const one = Effect.flatMap(held.receive, ({ payload, source, sourcePort }) => {
      if (door.allow !== undefined && !door.allow.has(source.node)) {
        state.refused++
        return Effect.void
      }
      const key = `${source.node}:${sourcePort}`
      return ways.carry({ key, peer: source.node, payload, open: open(source, sourcePort, key) })
    })
    return yield* Effect.forever(one)
  })
  const again = serving.pipe(
    Effect.scoped,
    Effect.catch(({ message }) =>
      Effect.sync(() => {
        state.problem = message
      })
    ),
    Effect.andThen(Effect.sleep(RETRY)),
    Effect.forever
  )
  yield* Effect.forkScoped(again)
  return state
})

interface Answer {
  readonly to: Address
  readonly toPort: number
  readonly payload: Uint8Array
}

/** From the socket's callback to a fiber; the newest are dropped when it does not keep up. */
const arriving = Effect.map(
  Effect.suspend(() => Queue.dropping<Datagram>(ARRIVING_MAX)),
  (queue) => ({
    next: Queue.take(queue),
    push: (batch: ReadonlyArray<Datagram>) => {
      for (const datagram of batch) Queue.offerUnsafe(queue, datagram)
    }
  })
)

/** A local server sees its own host. */
const sourceFor = (to: Endpoint): string => (to.host.includes(":") ? "::1" : "127.0.0.1")

const bindFailed = ({ detail, reason }: BindError): TcpError => new TcpError({ reason, detail })

/** Datagrams of a door that wait for their way. */
const ARRIVING_MAX = 1024
const BUFFER_BYTES = 1 << 20
const RETRY = "500 millis"
