/**
 * UDP in memory: hosts by IP address, joined by links with delay, loss, duplication and reordering from one seeded
 * generator. Time is Effect's clock, so a test on `TestClock` decides when anything arrives. Datagrams due in the same
 * turn reach a socket as one batch, as from `NodeUdpEndpoint`.
 */
import { Clock, Effect, Layer, type Scope } from "effect"
import * as Actor from "../core/actor/Actor.ts"
import * as MonotonicTime from "../core/actor/MonotonicTime.ts"
import * as Bytes from "../core/data/Bytes.ts"
import type * as Endpoint from "../core/data/Endpoint.ts"
import {
  BindError,
  type Datagram,
  type UdpCounters,
  UdpEndpoint,
  type UdpSocket,
  uncounted
} from "../core/net/UdpEndpoint.ts"
import * as Link from "./Link.ts"
import * as SeededRandom from "./SeededRandom.ts"

/** `link` holds for every pair of hosts that `setLink` does not name. */
export interface Options {
  readonly seed: number
  readonly link?: Partial<Link.Link>
  /** MTU of every host's interface, Ethernet's unless told otherwise; links may carry less. */
  readonly mtuBytes?: number
}

/** One datagram as its sender gave it to the network. `copies` is 0 when it was lost or had no way to go. */
export interface Passage {
  readonly from: Endpoint.Endpoint
  readonly to: Endpoint.Endpoint
  readonly bytes: Uint8Array
  readonly sentAtMs: number
  readonly copies: number
}

/** A network; it exists as long as the scope it was made in. */
export interface MemoryNetwork {
  /** UDP as the host with this IP address has it. The same address gives the same host. */
  readonly host: (ip: string) => Layer.Layer<UdpEndpoint>
  /** Changes one direction between two hosts; what is under way is not affected. */
  readonly setLink: (from: string, to: string, link: Partial<Link.Link>) => void
  /** Shows every datagram, lost ones too, when it is sent. */
  readonly tap: (observe: (passage: Passage) => void) => void
  /** Cuts all links between the two groups in both directions; what is under way is lost. Cuts add up. */
  readonly partition: (some: ReadonlyArray<string>, others: ReadonlyArray<string>) => void
  /** Ends all partitions. */
  readonly heal: () => void
}

/** A network without hosts; they come into being when they are named. */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<MemoryNetwork, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const state = makeState(options, () => MonotonicTime.nowMsUnsafe(clock))
  const carrier = yield* Actor.spawn<Flight, never, never>({
    name: "MemoryNetwork",
    mailbox: { capacity: FLIGHTS_MAX, overflow: "fail" },
    restart: "never",
    start: Effect.succeed({
      receive: (flight) => insert(state.flights, flight),
      afterBatch: () => land(state),
      deadlineMs: () => state.flights.at(-1)?.dueAtMs,
      // Whatever is due lands after the batch.
      timerFired: () => {}
    })
  })
  const launch = (flight: Flight) => state.flights.length < FLIGHTS_MAX && carrier.tellUnsafe(flight)
  return {
    host: (ip) => Layer.succeed(UdpEndpoint, { bind: (where) => bind(state, launch, ip, where) }),
    setLink: (from, to, link) =>
      void state.links.set(pair(from, to), { link: { ...state.defaultLink, ...link }, queue: Link.idle() }),
    tap: (observe) => void state.taps.push(observe),
    partition: (some, others) => {
      for (const a of some) for (const b of others) state.cuts.add(pair(a, b)).add(pair(b, a))
    },
    heal: () => state.cuts.clear()
  }
})

/** One copy under way. `host` is where it goes: with a loopback address, back to its sender. */
interface Flight {
  readonly dueAtMs: number
  /** Order of sending, which decides between equal times. */
  readonly sequence: number
  readonly host: string
  readonly from: Endpoint.Endpoint
  readonly to: Endpoint.Endpoint
  readonly bytes: Uint8Array
}

interface Bound {
  readonly address: string
  readonly counters: UdpCounters
  receive: (batch: ReadonlyArray<Datagram>) => void
}

interface State {
  readonly nowMs: () => number
  readonly mtuBytes: number
  readonly random: SeededRandom.SeededRandom
  readonly defaultLink: Link.Link
  /** One for each direction that was named or used. */
  readonly links: Map<string, Direction>
  readonly cuts: Set<string>
  readonly taps: Array<(passage: Passage) => void>
  /** By host and port. */
  readonly sockets: Map<string, Bound>
  /** The next one to land is last. */
  readonly flights: Array<Flight>
  sequence: number
}

interface Direction {
  readonly link: Link.Link
  readonly queue: Link.LinkState
}

type Launch = (flight: Flight) => boolean

const makeState = (options: Options, nowMs: () => number): State => ({
  nowMs,
  mtuBytes: options.mtuBytes ?? MTU_BYTES,
  random: SeededRandom.make(options.seed),
  defaultLink: { ...Link.PERFECT, ...options.link },
  links: new Map(),
  cuts: new Set(),
  taps: [],
  sockets: new Map(),
  flights: [],
  sequence: 0
})

const bind = Effect.fnUntraced(function* (
  state: State,
  launch: Launch,
  ip: string,
  { counters = uncounted(), host, port }: Parameters<UdpEndpoint["Service"]["bind"]>[0]
): Effect.fn.Return<UdpSocket, BindError, Scope.Scope> {
  const refuse = (reason: BindError["reason"]) => new BindError({ host, port, reason, detail: `simulated host ${ip}` })
  if (host !== ip && !isWildcard(host) && !isLoopback(host)) return yield* refuse("AddressNotAvailable")
  const chosen = port === 0 ? freePort(state, ip) : port
  if (chosen === undefined || state.sockets.has(pair(ip, chosen))) return yield* refuse("PortInUse")

  const bound: Bound = { address: host, counters, receive: () => {} }
  const release = Effect.sync(() => state.sockets.delete(pair(ip, chosen)))
  yield* Effect.acquireRelease(
    Effect.sync(() => state.sockets.set(pair(ip, chosen), bound)),
    () => release
  )
  return {
    local: { host, port: chosen },
    counters,
    onBatch: (receive) => {
      bound.receive = receive
    },
    send: (pieces, to) => {
      // The kernel would copy too: what the sender does to its bytes later concerns nobody.
      const bytes = Bytes.copy(Bytes.join(pieces))
      const isOpen = state.sockets.get(pair(ip, chosen)) === bound
      if (!isOpen || bytes.length > PAYLOAD_BYTES_MAX || !canReach(bound, to.host)) {
        counters.sendErrors++
        return
      }
      counters.sentDatagrams++
      counters.sentBytes += bytes.length
      send(state, launch, ip, { host: isLoopback(to.host) ? to.host : ip, port: chosen }, to, bytes)
    },
    mtuTowards: (to) => Effect.succeed(isLoopback(to.host) || to.host === ip ? LOOPBACK_MTU_BYTES : state.mtuBytes)
  }
})

const send = (
  state: State,
  launch: Launch,
  sender: string,
  from: Endpoint.Endpoint,
  to: Endpoint.Endpoint,
  bytes: Uint8Array
): void => {
  const sentAtMs = state.nowMs()
  const host = isLoopback(to.host) ? sender : to.host
  const { link, queue } = directionOf(state, sender, host)
  const fate = Link.transmit(link, queue, bytes.length, sentAtMs, state.random)
  const delaysMs = fate._tag === "Lost" || state.cuts.has(pair(sender, host)) ? [] : fate.delaysMs
  const launched = delaysMs.filter((delayMs) =>
    launch({ dueAtMs: sentAtMs + delayMs, sequence: state.sequence++, host, from, to, bytes: bytes.slice() })
  )
  for (const observe of state.taps) observe({ from, to, bytes, sentAtMs, copies: launched.length })
}

const directionOf = (state: State, sender: string, host: string): Direction => {
  if (host === sender) return LOOPBACK
  const known = state.links.get(pair(sender, host))
  if (known !== undefined) return known
  const direction = { link: state.defaultLink, queue: Link.idle() }
  state.links.set(pair(sender, host), direction)
  return direction
}

/** Delivers what is due, one batch to each socket. */
const land = (state: State): void => {
  const nowMs = state.nowMs()
  const batches = new Map<Bound, Array<Datagram>>()
  while ((state.flights.at(-1)?.dueAtMs ?? Number.POSITIVE_INFINITY) <= nowMs) {
    const { bytes, from, host, to } = state.flights.pop()!
    const bound = state.sockets.get(pair(host, to.port))
    const isCut = !isLoopback(from.host) && state.cuts.has(pair(from.host, host))
    if (bound === undefined || isCut || !canReach(bound, to.host)) continue
    const batch = batches.get(bound) ?? []
    batches.set(bound, batch)
    batch.push({ bytes, from })
    bound.counters.receivedDatagrams++
    bound.counters.receivedBytes += bytes.length
  }
  for (const [bound, batch] of batches) bound.receive(batch)
}

const insert = (flights: Array<Flight>, flight: Flight): void => {
  let low = 0
  let high = flights.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const other = flights[middle]!
    const isLater =
      other.dueAtMs > flight.dueAtMs || (other.dueAtMs === flight.dueAtMs && other.sequence > flight.sequence)
    if (isLater) low = middle + 1
    else high = middle
  }
  flights.splice(low, 0, flight)
}

/** A socket bound to the loopback sees and reaches only its own host there; another one the world, or both. */
const canReach = (bound: Bound, host: string): boolean =>
  isWildcard(bound.address) || isLoopback(bound.address) === isLoopback(host)

const freePort = (state: State, ip: string): number | undefined => {
  for (let port = EPHEMERAL_PORT_MIN; port <= PORT_MAX; port++) if (!state.sockets.has(pair(ip, port))) return port
  return undefined
}

const isWildcard = (host: string): boolean => host === "0.0.0.0" || host === "::"
const isLoopback = (host: string): boolean => host === "::1" || host.startsWith("127.")
const pair = (a: string, b: string | number): string => `${a} ${b}`

/** Ethernet's, and that of a loopback of Linux. */
const MTU_BYTES = 1500
const LOOPBACK_MTU_BYTES = 65_536
const LOOPBACK: Direction = { link: Link.PERFECT, queue: Link.idle() }
/** Datagrams under way at one time; more are lost, as in any network. */
export const FLIGHTS_MAX = 65_536
/** The largest UDP payload over IPv4. */
const PAYLOAD_BYTES_MAX = 65_507
const EPHEMERAL_PORT_MIN = 49_152
const PORT_MAX = 65_535
