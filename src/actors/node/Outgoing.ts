/**
 * What a node starts: dials, datagrams, pings. Confirms whom it reaches for (security rule 1), finds where that peer is,
 * and says what went wrong in terms a user can act on.
 */
import { Context, Effect, Result, Scope } from "effect"
import { Timers } from "../../core/actor/Timers.ts"
import type { Endpoint } from "../../core/data/Endpoint.ts"
import * as Path from "../../nat/Path.ts"
import type { Address, NodeId, Port } from "../../protocol/wire/Address.ts"
import * as AddressText from "../../protocol/wire/Address.ts"
import * as Packet from "../../protocol/wire/Packet.ts"
import * as Names from "../registry/Names.ts"
import type { RegistryClient } from "../registry/RegistryClient.ts"
import type * as ConnectionActor from "./ConnectionActor.ts"
import type { KeyDirectory } from "./KeyDirectory.ts"
import { type Connection, DialError, type Node, PingTimeout } from "./Node.ts"
import type { NodeContext } from "./NodeContext.ts"
import * as PeerMessage from "./PeerMessage.ts"

/** Starts a peer, or gives the one there is. */
export type Ensure = (node: NodeId) => Effect.Effect<PeerMessage.Running, unknown>

/** What starting something needs. */
export interface Options {
  readonly context: () => NodeContext
  readonly keys: KeyDirectory
  readonly ensure: Ensure
  readonly find: (node: NodeId) => PeerMessage.Running | undefined
  readonly nowMs: () => number
  readonly services: Context.Context<RegistryClient>
  /** The node's own. */
  readonly scope: Scope.Scope
}

/** The outgoing half of the `Node` service. */
export type Outgoing = Pick<Node["Service"], "dial" | "ping" | "sendDatagram">

/** Over the peers of one node. */
export const make = (options: Options): Outgoing => ({
  dial: (target, port, settings) => {
    const timeoutMs = settings?.timeoutMs ?? DIAL_TIMEOUT_MS
    const once = Effect.flatMap(reach(options, target), (peer) =>
      // Whoever gives up waiting must not wait for the rest of the time-out.
      Effect.uninterruptibleMask((restore) =>
        // `acquireRelease` would keep the whole context, span and all, as long as the connection lives.
        Effect.tap(open(options, peer, target, port, timeoutMs, restore), closeWithScope)
      )
    )
    // A tunnel that ends for idleness just then takes the stream along; if the node ends, it says so again.
    return Effect.catchIf(
      once,
      ({ reason }) => reason === "NodeStopped",
      () => once
    )
  },
  ping: Effect.fnUntraced(function* (target, timeoutMs) {
    const peer = yield* reach(options, target)
    const answer = peer.ref.ask<number>((reply) => PeerMessage.Message.Ping({ target, reply }), timeoutMs)
    return yield* Effect.mapError(answer, () => new PingTimeout({ target: AddressText.format(target) }))
  }),
  sendDatagram: Effect.fnUntraced(function* (target, port, payload, sourcePort) {
    const peer = yield* reach(options, target)
    const { address, ports } = options.context()
    const source =
      sourcePort === undefined ? ports.allocate({ address: target, port }, options.nowMs()) : Result.succeed(sourcePort)
    if (Result.isFailure(source)) return yield* failure(target, "PortsExhausted", "all ephemeral ports are in use")
    const packet = Packet.encode({
      ...NO_STREAM,
      protocol: Packet.Protocol.Datagram,
      source: address,
      destination: target,
      sourcePort: source.success,
      destinationPort: port,
      payload
    })
    peer.ref.tellUnsafe(PeerMessage.Message.Send({ packets: [packet] }))
  })
})

const closeWithScope = (connection: Connection): Effect.Effect<void, never, Scope.Scope> =>
  Effect.flatMap(Effect.scope, (scope) => Scope.addFinalizerExit(scope, () => connection.close))

/** The peer with its key confirmed and its whereabouts known; immediate when its tunnel is open. */
const reach = Effect.fnUntraced(function* (options: Options, target: Address) {
  const context = options.context()
  if (target.node === context.address.node) return yield* ensured(options, target)
  const known = options.find(target.node)
  if (known?.hasOpened() === true) {
    if (known.isRelayed()) {
      yield* Effect.forkIn(seekDirect(options, known, target), options.scope, { startImmediately: true })
    }
    return known
  }
  const where = Effect.map(Names.endpoint(target.node), pathTo)
  const found = [confirm(options, target), Effect.provide(where, options.services)] as const
  const [, path] = yield* Effect.all(found, { concurrency: 2 })
  if (path === undefined && context.beacon === undefined) {
    return yield* failure(target, "NoPath", "the registry gives no endpoint for it and no beacon is configured")
  }
  const peer = yield* ensured(options, target)
  if (path !== undefined) yield* Effect.ignore(peer.ref.tell(PeerMessage.Message.LearnPath({ path })))
  // Ahead of what needs the keys, which takes a moment to make.
  yield* Effect.ignore(peer.ref.tell(PeerMessage.Message.Connect()))
  return peer
})

/** Keys were agreed on before the place was known, or trust has come since, and with it the right to know the place. */
const seekDirect = (options: Options, peer: PeerMessage.Running, target: Address): Effect.Effect<void> =>
  Effect.flatMap(Effect.provide(Names.seekEndpoint(target.node), options.services), (endpoint) => {
    const path = pathTo(endpoint)
    return path === undefined ? Effect.void : Effect.ignore(peer.ref.tell(PeerMessage.Message.LearnPath({ path })))
  })

/** A private node that does not trust us yet is reached by relay only. */
const pathTo = (endpoint: Endpoint | undefined): Path.Path | undefined =>
  // A node without UDP has registered port 0.
  endpoint === undefined || endpoint.port === 0 ? undefined : Path.direct(endpoint)

const ensured = (options: Options, target: Address): Effect.Effect<PeerMessage.Running, DialError> =>
  Effect.catch(options.ensure(target.node), () => failure(target, "NodeStopped", "this node is stopping"))

const confirm = (options: Options, target: Address): Effect.Effect<void, DialError> =>
  options.keys.confirmed(target.node).pipe(
    Effect.asVoid,
    Effect.catchTags({
      KeyChanged: (error) =>
        failure(
          target,
          "KeyChanged",
          `pinned key ${error.pinnedFingerprint}, the registry now gives ${error.offeredFingerprint}`
        ),
      RegistryError: (error) =>
        error.reason === "Refused" || error.reason === "NotFound"
          ? failure(target, "NotFound", "the registry knows no such node")
          : failure(target, "RegistryUnavailable", error.detail)
    })
  )

const open = Effect.fnUntraced(function* (
  options: Options,
  peer: PeerMessage.Running,
  target: Address,
  port: Port,
  timeoutMs: number,
  restore: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
): Effect.fn.Return<Connection, DialError, Scope.Scope> {
  const { ports } = options.context()
  const remote = { address: target, port }
  const local = ports.allocate(remote, options.nowMs())
  if (Result.isFailure(local)) return yield* failure(target, "PortsExhausted", "all ephemeral ports are in use")
  if (!ports.open(local.success, remote)) {
    return yield* failure(target, "TooManyConnections", "this node has as many connections as it may")
  }
  const running = yield* peer.ref
    .ask<ConnectionActor.Running>((reply) => PeerMessage.Message.Dial({ localPort: local.success, remote, reply }))
    .pipe(
      Effect.tapError(() => Effect.sync(() => ports.close(local.success, remote, options.nowMs()))),
      Effect.catch(() => failure(target, "NodeStopped", "this node is stopping"))
    )
  return yield* established(running, timeoutMs, () => isUp(peer) && !options.context().isTrusted(target.node)).pipe(
    restore,
    Effect.as(running.handle),
    Effect.catch((reason) => Effect.andThen(running.handle.reset, unopened(options, peer, target, port, reason))),
    Effect.onInterrupt(() => running.handle.reset)
  )
})

/** Gives up at the time-out; sooner on a peer that is up but answers no strangers, since waiting changes nothing. */
const established = (
  running: ConnectionActor.Running,
  timeoutMs: number,
  isStranger: () => boolean
): Effect.Effect<void, ConnectionActor.OpenFailure> =>
  Effect.clockWith((clock) => {
    const timers = Timers.of(clock)
    const startMs = timers.nowMs
    const graceMs = Math.min(timeoutMs, STRANGER_TIMEOUT_MS)
    const waited = () => {
      if (timeoutMs === graceMs || isStranger()) running.giveUp()
      else timer = timers.arm(startMs + timeoutMs, () => running.giveUp(), NOTHING)
    }
    let timer = timers.arm(startMs + graceMs, waited, NOTHING)
    return Effect.onExit(running.established, () => Effect.sync(() => timers.cancel(timer)))
  })

const isUp = (peer: PeerMessage.Running): boolean => peer.hasOpened() && !peer.isAway()

/** Silence of a peer whose tunnel is open has one common reason. */
const unopened = (
  options: Options,
  peer: PeerMessage.Running,
  target: Address,
  port: Port,
  reason: ConnectionActor.OpenFailure
): Effect.Effect<never, DialError> => {
  if (reason === "NoListener") return failure(target, "Refused", `nothing listens on port ${port}`)
  // Peers of the reference do not say why.
  if (reason === "Refused") return failure(target, "Refused", `the peer refuses port ${port}; nothing may listen there`)
  if (reason === "NotTrusted") return failure(target, "Untrusted", "the peer does not trust this node")
  if (reason === "Overloaded")
    return failure(target, "TooManyConnections", `the peer takes no more connections on port ${port} now`)
  if (reason === "Reset") return failure(target, "NodeStopped", "the connection ended before it opened")
  if (!isUp(peer)) return failure(target, "Timeout", "the peer does not answer; it may be offline")
  return options.context().isTrusted(target.node)
    ? failure(target, "Timeout", `the peer is up but silent on port ${port}; it may have revoked its trust`)
    : failure(target, "Untrusted", "the peer is up but does not answer strangers")
}

const failure = (target: Address, reason: DialError["reason"], detail: string): Effect.Effect<never, DialError> =>
  Effect.fail(new DialError({ reason, target: AddressText.format(target), detail }))

const NOTHING = Context.empty()
const NO_STREAM = { flags: 0, sequence: 0, acknowledgement: 0, window: 0 }
/** Several repeats of a SYN over any path whose keys have been agreed. */
const STRANGER_TIMEOUT_MS = 5_000
/** Relay and direct paths are tried at once, so a peer that can be reached answers in a few round trips. */
const DIAL_TIMEOUT_MS = 30_000
