/**
 * A network of whole nodes in one process, on virtual time, that misbehaves as told. One seed decides everything: the same
 * test with the same seed goes the same way, down to every byte on the wire, and a failure says which seed it was.
 *
 * ```ts
 * it.effect("delivers although the office link dies", () => Effect.gen(function* () {
 *   const net = yield* SimNet.make({ seed: 42 })
 *   const office = yield* net.node("office", { nat: "symmetric" })
 *   const cloud = yield* net.node("cloud", { link: { rttMs: 30, loss: 0.02 } })
 *   yield* net.trust(office, cloud)
 *   yield* office.run(serve).pipe(Effect.forkScoped)
 *   yield* net.at("5 seconds", net.cut(office))
 *   yield* net.at("9 seconds", net.heal(office))
 *   assert.deepStrictEqual(yield* cloud.run(ask), expected)
 * }))
 * ```
 *
 * Standing checkers run all the time: see `StreamLedger`, `ClearText`, and `close` below for what must be gone at the end.
 */
import { Duration, Effect, Exit, Scope } from "effect"
import type { Endpoint } from "../core/data/Endpoint.ts"
import { defaults as streamDefaults } from "../protocol/stream/StreamConfig.ts"
import * as SimDisturbances from "./SimDisturbances.ts"
import * as SimFront from "./SimFront.ts"
import * as SimKeeper from "./SimKeeper.ts"
import * as SimLink from "./SimLink.ts"
import * as SimNat from "./SimNat.ts"
import * as SimNode from "./SimNode.ts"
import * as SimRendezvous from "./SimRendezvous.ts"
import * as SimShim from "./SimShim.ts"
import * as SimTrust from "./SimTrust.ts"
import * as SimWorld from "./SimWorld.ts"
import type { Loss, Passage } from "./VirtualNetwork.ts"
import type { PipeEnd } from "./VirtualPipe.ts"
import type { Program } from "./VirtualSpawner.ts"

/** What a simulation starts from. */
export interface Options {
  readonly seed: number
  /** Of every host that says nothing else. */
  readonly link?: SimLink.SimLink
  /** The rendezvous has a good one unless told otherwise. */
  readonly rendezvousLink?: SimLink.SimLink
  /** Virtual time after which a simulation has failed; an hour by default. */
  readonly limit?: Duration.Input
}

/** Where a node is and what it is told. */
export interface Placement extends SimNode.Settings {
  /**
   * Nothing for a public address; one translator of its own, a chain of them (its own first), or a shared one. They
   * translate IPv4; every host has a public address of IPv6 besides.
   */
  readonly nat?: SimNat.Location
  readonly link?: SimLink.SimLink
  /** Its access lets no UDP through. */
  readonly isUdpBlocked?: boolean
  /** How far its time of day is off. */
  readonly skew?: Duration.Input
  /** By how many parts per million its clock runs fast, or slow. */
  readonly drift?: number
  /** What commands the machine has, for MCP servers that the node exposes. */
  readonly programs?: Readonly<Record<string, Program>>
}

/** A running simulation. Nothing happens in it unless somebody waits for something that happens in it. */
export interface SimNet extends SimDisturbances.Disturbances {
  readonly seed: number
  /** Milliseconds since the simulation began. */
  readonly nowMs: () => number
  /** Of everything that has happened; equal for equal seeds. */
  readonly hash: () => string
  /** Datagrams lost, by reason. */
  readonly losses: () => ReadonlyMap<Loss, number>
  /** Bytes read from streams and found to be those written. */
  readonly checkedBytes: () => number
  /**
   * Shows every datagram when a host sends it, also those that will be lost. The addresses are those of its own network:
   * translators change them on the way.
   */
  readonly tap: (observe: (passage: Passage) => void) => Effect.Effect<void>
  /** A datagram with a forged sender's address appears on the public network now. */
  readonly inject: (from: Endpoint, to: Endpoint, bytes: Uint8Array) => Effect.Effect<void>
  /** Another rendezvous, of another operator; it runs when this returns. */
  readonly rendezvous: (name: string, link?: SimLink.SimLink) => Effect.Effect<SimRendezvous.SimRendezvous>
  /** Starts a node: it is registered when this returns. */
  readonly node: (name: string, placement?: Placement) => Effect.Effect<SimNode.SimNode, SimNode.StartError>
  /** A translator on the public network, or inside another one. */
  readonly nat: (kind: SimNat.NatKind, outside?: SimNat.Nat) => SimNat.Nat
  /** Makes two nodes trust each other, by their own handshake. */
  readonly trust: (asking: SimNode.SimNode, approving: SimNode.SimNode) => Effect.Effect<void>
  /** Lets peers use one of the node's programs as an MCP server: `pilotctl mcp expose`. */
  readonly expose: (node: SimNode.SimNode, exposure: SimKeeper.Exposure) => Effect.Effect<void>
  /**
   * `pilotctl mcp connect PEER/NAME` beside a node: lines written are requests to the server, lines read its answers. It
   * ends with the scope, and with the power of the node's machine.
   */
  readonly connect: (node: SimNode.SimNode, peer: string, service: string) => Effect.Effect<PipeEnd, never, Scope.Scope>
  /** `pilotctl mcp front` beside a node, over the services of these peers; the same kind of client's end as `connect`. */
  readonly front: (node: SimNode.SimNode, peers: ReadonlyArray<string>) => Effect.Effect<PipeEnd, never, Scope.Scope>
  /** Runs an effect in the world, on no node: what it sleeps is virtual. */
  readonly run: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  readonly sleep: (duration: Duration.Input) => Effect.Effect<void>
  /** Plans something for a time after the beginning; returns at once. A time that has passed means now. */
  readonly at: (time: Duration.Input, effect: Effect.Effect<void>) => Effect.Effect<void>
  readonly crashRendezvous: Effect.Effect<void>
  readonly restartRendezvous: Effect.Effect<void>
}

/** A network with a rendezvous and no nodes. It ends with the scope, and fails it if a checker found anything. */
export const make = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<SimNet, never, Scope.Scope> {
  const world = new SimWorld.SimWorld(options.seed)
  world.driver.limitMs = Duration.toMillis(options.limit ?? LIMIT)
  const services = world.services("nobody")
  const scope = Scope.makeUnsafe("sequential")
  const nodes = new Map<string, Parts>()

  const link = { ...SimLink.defaults, ...options.link }
  const further: Array<SimRendezvous.SimRendezvous> = []
  const inWorld = <A, E, R>(effect: Effect.Effect<A, E, R>) => world.driver.run(effect, services)
  const establish = Effect.fnUntraced(function* (name: string, at?: SimLink.SimLink) {
    const access = SimLink.access({ ...SimLink.defaults, ...at })
    const machine = SimWorld.makeMachine(world, name, world.network.public, access)
    const made = yield* inWorld(Scope.provide(SimRendezvous.make(machine), scope))
    further.push(made)
    yield* inWorld(made.start)
    return {
      ...made,
      start: inWorld(made.start),
      crash: inWorld(made.crash)
    } satisfies SimRendezvous.SimRendezvous
  })
  const machines = () => ({
    nodes: [...nodes.values()].map(({ node }) => node.machine),
    rendezvous: further.map(({ machine }) => machine)
  })
  yield* Effect.addFinalizer((exit) => close(world, scope, machines(), exit))
  const rendezvous = yield* establish("rendezvous", options.rendezvousLink)
  yield* Effect.sync(() => world.addCheck(() => overLimit(world, nodes.size + further.length)))

  const parts = (node: SimNode.SimNode): Parts => {
    const found = nodes.get(node.name)
    if (found === undefined) throw world.problem(`${node.name} is no node of this network`)
    return found
  }
  const add = (name: string, placement: Placement): Parts => {
    const segment = SimNat.segmentOf(world.network, placement.nat)
    const host = SimWorld.makeMachine(world, name, segment, SimLink.access({ ...link, ...placement.link }))
    host.clock.skewMs = Duration.toMillis(placement.skew ?? 0)
    host.host.isUdpBlocked = placement.isUdpBlocked ?? false
    host.clock.drift(placement.drift ?? 0, world.time.nowMs)
    const { node, start } = SimNode.make(host, rendezvous, placement)
    const keeper = SimKeeper.make(node, placement.programs ?? {})
    const made = { node, keeper, start: Effect.andThen(start, inWorld(keeper.boot)) }
    nodes.set(name, made)
    return made
  }
  /** A program beside a node, ended with its scope. */
  const beside = (open: Effect.Effect<PipeEnd, never, Scope.Scope>) =>
    Effect.flatMap(Scope.make("sequential"), (own) =>
      Effect.acquireRelease(
        Effect.map(inWorld(Scope.provide(open, own)), fromOutside(inWorld)),
        // Its goodbye takes time in the world, which stands still while nobody waits for it.
        (_, exit) => inWorld(Scope.close(own, exit))
      )
    )
  return {
    seed: options.seed,
    nowMs: () => world.time.nowMs,
    hash: () => world.trace.hash,
    losses: () => world.network.losses,
    checkedBytes: () => world.ledger.checkedBytes,
    tap: (observe) => Effect.sync(() => world.network.tap(observe)),
    inject: (from, to, bytes) => Effect.sync(() => world.network.inject(from, to, bytes)),
    nat: (kind, outside) => SimNat.make(world.network, kind, outside?.inside),
    node: (name, placement = {}) =>
      Effect.suspend(() => {
        const { node, start } = add(name, placement)
        return Effect.as(start, node)
      }),
    rendezvous: establish,
    trust: (asking, approving) => inWorld(SimTrust.establish(world, asking, approving)),
    expose: (node, exposure) => inWorld(parts(node).keeper.expose(exposure)),
    connect: (node, peer, service) => beside(SimShim.open(node, { peer, service })),
    front: (node, peers) => beside(SimFront.open(node, peers)),
    run: (effect) => inWorld(effect),
    sleep: (duration) => inWorld(Effect.sleep(duration)),
    at: (time, effect) =>
      Effect.sync(() => {
        world.time.at(Duration.toMillis(time), () => void Effect.runForkWith(services)(effect))
      }),
    ...SimDisturbances.make(world, link, parts),
    crashRendezvous: rendezvous.crash,
    restartRendezvous: rendezvous.start
  }
})

/** A whole test in the world: its own waiting is virtual too, so nothing outside can disturb it. */
export const run = <A, E, R>(
  options: Options,
  body: (net: SimNet) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, Exclude<R, Scope.Scope>> =>
  Effect.scoped(Effect.flatMap(make(options), (net) => net.run(Effect.scoped(body(net)))))

interface Parts extends SimDisturbances.Parts {
  readonly node: SimNode.SimNode
}

/** A pipe whose other end is in the world, for somebody who may be outside. */
const fromOutside =
  (inWorld: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>) =>
  (pipe: PipeEnd): PipeEnd => ({
    read: inWorld(pipe.read),
    readLine: inWorld(pipe.readLine),
    write: (bytes) => inWorld(pipe.write(bytes)),
    writeLine: (line) => inWorld(pipe.writeLine(line)),
    end: inWorld(pipe.end),
    hangUp: inWorld(pipe.hangUp)
  })

const overLimit = ({ ledger, network, time }: SimWorld.SimWorld, machines: number): string | undefined => {
  if (time.fibers > machines * FIBERS_MAX) return `${time.fibers} fibers`
  if (time.timers > machines * TIMERS_MAX + network.flights) return `${time.timers} timers`
  return ledger.unreadBytesMax > UNREAD_BYTES_MAX ? `a stream holds ${ledger.unreadBytesMax} bytes` : undefined
}

/** Stops every node in good order, then the rendezvous; after that nothing may be left. */
const close = Effect.fnUntraced(function* (
  world: SimWorld.SimWorld,
  scope: Scope.Closeable,
  machines: { readonly nodes: ReadonlyArray<SimWorld.Machine>; readonly rendezvous: ReadonlyArray<SimWorld.Machine> },
  exit: Exit.Exit<unknown, unknown>
) {
  const violation = world.driver.failure
  const { hash } = world.trace
  world.driver.forgive()
  const shutDown = Effect.gen(function* () {
    yield* Effect.forEach(machines.nodes, SimWorld.stopProcesses, { discard: true })
    // The rendezvous last, because nodes leave them.
    yield* Effect.forEach(machines.nodes, SimWorld.shutDown, { concurrency: "unbounded", discard: true })
    yield* Effect.forEach(machines.rendezvous, SimWorld.shutDown, { discard: true })
    yield* Effect.sleep(SETTLE)
    yield* Scope.close(scope, Exit.void)
  })
  const closed = yield* Effect.exit(world.driver.run(shutDown, world.services("nobody")))
  const problem = violation ?? world.driver.failure ?? (Exit.isFailure(exit) ? undefined : leak(world))
  if (Exit.isFailure(exit)) console.error(`simulation failed: seed ${world.seed}, trace ${hash}`)
  if (problem !== undefined && !Exit.isFailure(exit)) return yield* Effect.die(problem)
  if (Exit.isFailure(closed)) return yield* Effect.failCause(closed.cause)
})

const leak = (world: SimWorld.SimWorld): SimWorld.SimulationFailed | undefined => {
  const { network, tcp, time } = world
  if (time.fibers > 0) return world.problem(`${time.fibers} fibers are left after everything was stopped`)
  if (network.sockets > 0) return world.problem(`${network.sockets} sockets are left after everything was stopped`)
  return tcp.size > 0 ? world.problem(`${tcp.size} connections are left after everything was stopped`) : undefined
}

const LIMIT = Duration.hours(1)
/** For what is under way when everything has been stopped. */
const SETTLE = Duration.minutes(2)
/** Of one machine; a node with a hundred open streams has some four hundred. */
const FIBERS_MAX = 4000
const TIMERS_MAX = 4000
/** What a stream may hold: its send buffer, its receive buffer twice (see `StreamConfig`), and one large write. */
const UNREAD_BYTES_MAX = streamDefaults.sendBufferBytesMax + 2 * streamDefaults.receiveBytesMax + (64 << 20)
