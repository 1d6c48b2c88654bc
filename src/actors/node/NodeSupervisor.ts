/**
 * One node: its socket, its peers, its ports, its registration.
 *
 * Owns the table of peers; a mailbox makes sure that a peer is started once. Told by the socket of strangers, by peers of
 * their end, by the `Node` service of whom it needs; tells peers what is theirs. Mailbox full: strangers are dropped,
 * callers wait. Restarted with its peers: what is broken then is local.
 */
import { type Context, Data, Deferred, Effect, FiberHandle, type PubSub, type Scope } from "effect"
import * as Actor from "../../core/actor/Actor.ts"
import * as Provided from "../../core/actor/Provided.ts"
import type { Crypto } from "../../core/crypto/Crypto.ts"
import type { Endpoint } from "../../core/data/Endpoint.ts"
import { type BindError, UdpEndpoint } from "../../core/net/UdpEndpoint.ts"
import * as Path from "../../nat/Path.ts"
import type { Address, NodeId } from "../../protocol/wire/Address.ts"
import * as Names from "../registry/Names.ts"
import { RegistryClient, type RegistryError } from "../registry/RegistryClient.ts"
import type { PeerKeys } from "../trust/PeerKeys.ts"
import * as Keepalive from "./Keepalive.ts"
import * as NetworkWatch from "./NetworkWatch.ts"
import type { Node } from "./Node.ts"
import * as NodeCore from "./NodeCore.ts"
import type { NodeEvent } from "./NodeEvent.ts"
import * as Outgoing from "./Outgoing.ts"
import * as PeerMessage from "./PeerMessage.ts"
import type { Ending } from "./Peers.ts"
import * as PortMapper from "./PortMapper.ts"
import * as RegistrationActor from "./RegistrationActor.ts"

/** A running node. */
export interface Running {
  readonly node: Node["Service"]
  /** Registrations and heartbeats, from the subscription on. */
  readonly events: PubSub.PubSub<NodeEvent>
  /** Every tunnel agrees on new keys under the identity of now; streams go on. */
  readonly renewTunnels: Effect.Effect<void>
  /** A peer that there is may be at these places. */
  readonly learn: (node: NodeId, endpoints: ReadonlyArray<Endpoint>) => Effect.Effect<void>
  /** The registry was away: the node has begun with its last address, and registers when it can. */
  readonly isLate: boolean
}

type Message = Data.TaggedEnum<{
  Ensure: { readonly node: NodeId; readonly reply: Deferred.Deferred<PeerMessage.Running> }
  Stranger: { readonly node: NodeId; readonly frames: ReadonlyArray<PeerMessage.Inbound> }
  /** It is probably about to be dialled. */
  Expected: { readonly node: NodeId }
  Ended: { readonly ending: Ending; readonly isIdle: boolean }
  Drop: { readonly node: NodeId; readonly reply: Deferred.Deferred<void> }
  Moved: { readonly address: Address }
}>
const Message = Data.taggedEnum<Message>()

/**
 * Starts a node in the surrounding scope: binds, registers, announces. Fails when the port or the registry refuses, and when
 * the registry is away from a node that has never been registered.
 */
export const start = Effect.fn("NodeSupervisor.start")(function* (
  options: NodeCore.Options
): Effect.fn.Return<
  Running,
  BindError | RegistryError,
  Scope.Scope | Crypto | UdpEndpoint | RegistryClient | PeerKeys
> {
  let tell: (message: Message) => boolean = () => false
  const core = yield* NodeCore.make(options, {
    stranger: (node, frames) => void tell(Message.Stranger({ node, frames })),
    ended: (ending, isIdle) => void tell(Message.Ended({ ending, isIdle }))
  })
  const registered = yield* registeredOrLate(core)
  const isLate = registered === undefined
  core.address = registered ?? options.lastAddress ?? core.address
  if (!isLate) yield* RegistrationActor.restore(core.registration)
  if (!isLate) yield* anyWay(core)
  const ref = yield* spawnActor(core)
  tell = (message) => ref.tellUnsafe(message)
  const services = yield* Provided.services<RegistryClient>()
  yield* Names.anticipate((node) => void tell(Message.Expected({ node })))
  const tellPeers = (message: PeerMessage.Message) =>
    Effect.suspend(() => {
      const peers = core.peers.all().filter(({ node }) => node !== core.address.node)
      return Effect.forEach(peers, (peer) => Effect.ignore(peer.ref.tell(message)), { discard: true })
    })
  yield* RegistrationActor.spawn({
    ...core.registration,
    isLate,
    registered: (address) => {
      options.report({ _tag: "NodeReregistered", address })
      return Effect.andThen(
        Effect.ignore(ref.tell(Message.Moved({ address }))),
        core.publish({ _tag: "Registered", address, isFirst: false })
      )
    },
    heartbeat: core.publish({ _tag: "HeartbeatAnswered" }),
    moved: (isAnnounced) => tellPeers(PeerMessage.Message.NetworkChanged({ isAnnounced }))
  })
  const measuring = yield* FiberHandle.make()
  // On another network the answers are others, so a measurement that is under way there is given up first.
  const measure =
    options.nat?.isMeasured === true
      ? Effect.andThen(FiberHandle.clear(measuring), FiberHandle.run(measuring, core.parts.nat.measure))
      : Effect.void
  yield* measure
  const holdPort = options.mapsPorts === false ? Effect.void : yield* portHolder(core)
  yield* holdPort
  const keepalive: Keepalive.Options = {
    heartbeatMs: options.keepaliveMs,
    keepaliveMs: () => core.parts.nat.keepaliveMs,
    // The node announces itself then, as when the beacon asked for it.
    refresh: Effect.sync(() => core.parts.mapping.wake())
  }
  yield* Effect.forkScoped(Keepalive.run(keepalive))
  if (!isLate) options.report({ _tag: "NodeRegistered", address: core.address, endpoint: core.parts.mapping.endpoint })
  yield* Effect.addFinalizer(() => farewell(core).pipe(Effect.provide(services)))
  if (!isLate) yield* core.publish({ _tag: "Registered", address: core.address, isFirst: true })
  const networkChanged = Effect.andThen(
    Effect.andThen(
      Effect.sync(() => core.parts.mapping.wake(true)),
      Effect.andThen(measure, holdPort)
    ),
    tellPeers(PeerMessage.Message.NetworkChanged({ isAnnounced: false }))
  )
  const isBusy = () => core.peers.all().some((peer) => peer.isBusy())
  yield* Effect.forkScoped(NetworkWatch.run(core.parts.addresses, isBusy, networkChanged))
  return {
    node: service(core, ref, services),
    events: core.parts.events,
    renewTunnels: tellPeers(PeerMessage.Message.RenewKeys()),
    isLate,
    learn: learning(core)
  }
})

/** Each time it is run, it asks the router that leads out then; what another one gave means nothing any more. */
const portHolder = Effect.fnUntraced(function* (core: NodeCore.NodeCore) {
  const udp = yield* UdpEndpoint
  const holding = yield* FiberHandle.make()
  let times = 0
  return Effect.suspend(() => {
    const time = ++times
    if (time > 1) core.portMappingChanged(undefined, undefined)
    const port = PortMapper.run({
      udp,
      crypto: core.parts.crypto,
      internalPort: core.parts.socket.local.port,
      // One that is left may still be taking leave.
      changed: (mapping, detail) => time === times && core.portMappingChanged(mapping, detail)
    })
    return FiberHandle.run(holding, port)
  })
})

const learning = (core: NodeCore.NodeCore) => (node: NodeId, endpoints: ReadonlyArray<Endpoint>) =>
  Effect.suspend(() => {
    const peer = core.peers.find(node)
    if (peer === undefined) return Effect.void
    return Effect.forEach(
      endpoints,
      (endpoint) => Effect.ignore(peer.ref.tell(PeerMessage.Message.LearnPath({ path: Path.direct(endpoint) }))),
      { discard: true }
    )
  })

/** Nothing when the registry does not answer and the node knows what it was called. */
const registeredOrLate = (core: NodeCore.NodeCore) =>
  Effect.catch(RegistrationActor.register(core.registration), (error) =>
    core.options.lastAddress !== undefined && (error.reason === "Unavailable" || error.reason === "Timeout")
      ? Effect.as(
          Effect.logWarning("the registry is away; this node begins with its last address", error.detail),
          undefined
        )
      : Effect.fail(error)
  )

/** Where UDP gets no answers, nobody reaches the node, nor it anybody, before its WebSocket is there; for a moment it is waited for. */
const anyWay = ({ options, parts }: NodeCore.NodeCore): Effect.Effect<unknown> =>
  parts.beaconSocket === undefined || options.endpoint !== undefined || parts.mapping.endpoint !== undefined
    ? Effect.void
    : Effect.timeoutOption(parts.beaconSocket.settled, ANY_WAY_TIMEOUT)

const spawnActor = (core: NodeCore.NodeCore) =>
  Actor.spawn<Message, never, never>({
    name: "node",
    mailbox: { capacity: MAILBOX_CAPACITY, overflow: "backpressure" },
    start: Effect.succeed({ receive: (message) => receive(core, message) }),
    restart: { intensity: 3, periodMs: 60_000 },
    onExit: () => core.peers.removeAll
  })

const receive = (core: NodeCore.NodeCore, message: Message): Effect.Effect<void> => {
  switch (message._tag) {
    case "Ensure":
      return Effect.flatMap(core.peers.ensure(core.context(), message.node), (peer) =>
        Effect.asVoid(Deferred.succeed(message.reply, peer))
      )
    case "Stranger":
      if (!core.peers.admits(message.node, core.parts.trust.pinned(message.node) !== undefined)) return Effect.void
      return Effect.map(core.peers.ensure(core.context(), message.node), (peer) => {
        peer.ref.tellUnsafe(PeerMessage.Message.Frames({ frames: message.frames }))
      })
    case "Expected":
      return meet(core, message.node)
    case "Ended": {
      const { ending, isIdle } = message
      if (!core.peers.isOver(ending, isIdle)) return Effect.void
      if (core.peers.find(ending.node)?.hasOpened() === true)
        core.options.report({ _tag: "PeerLost", peer: ending.node })
      return core.peers.remove(ending.node)
    }
    case "Drop":
      return Effect.andThen(dismiss(core, message.node), Effect.asVoid(Deferred.succeed(message.reply, undefined)))
    case "Moved":
      return message.address.node === core.address.node ? Effect.void : move(core, message.address)
  }
}

/**
 * Agrees on keys with a peer by the relay while the registry is still being asked where it is: its pin says who it must
 * be, whatever the answer. Without a pin or a relay there is nothing to do yet.
 */
const meet = (core: NodeCore.NodeCore, node: NodeId): Effect.Effect<void> => {
  const { beacon, encrypt } = core.options
  const isKnown = node !== core.address.node && core.parts.trust.pinned(node) !== undefined
  if (beacon === undefined || !encrypt || !isKnown || core.peers.find(node)?.hasOpened() === true) return Effect.void
  return Effect.map(core.peers.ensure(core.context(), node), ({ ref }) => {
    ref.tellUnsafe(PeerMessage.Message.Connect())
  })
}

/** The registry gave another id: tunnels and streams are bound to the old one. */
const move = (core: NodeCore.NodeCore, address: Address): Effect.Effect<void> =>
  Effect.map(core.peers.removeAll, () => {
    core.address = address
  })

/** Resets reach the peer before the tunnel that carries them is gone. */
const dismiss = (core: NodeCore.NodeCore, node: NodeId): Effect.Effect<void> => {
  const peer = core.peers.find(node)
  if (peer === undefined) return Effect.void
  return peer.ref
    .tell(PeerMessage.Message.ResetConnections({ reason: "TrustRevoked" }))
    .pipe(Effect.ignore, Effect.andThen(Effect.sleep(RESET_GRACE_MS)), Effect.andThen(core.peers.remove(node)))
}

/**
 * Ends every stream with FIN, waits a moment for what was written, and leaves the registry (rendezvous §9.4). Peers that
 * keep their direction open are told that nobody is there any more.
 */
const farewell = Effect.fnUntraced(function* (core: NodeCore.NodeCore): Effect.fn.Return<void, never, RegistryClient> {
  const registry = yield* RegistryClient
  const peers = core.peers.all()
  for (const peer of peers) yield* Effect.ignore(peer.ref.tell(PeerMessage.Message.CloseConnections()))
  const isQuiet = () => peers.every((peer) => peer.connections().every((row) => row.state === "TIME_WAIT"))
  for (let polls = 0; polls < FAREWELL_POLLS && !isQuiet(); polls++) yield* Effect.sleep(FAREWELL_POLL_MS)
  if (!isQuiet()) {
    const stopping = PeerMessage.Message.ResetConnections({ reason: "NodeStopped" })
    for (const peer of peers) yield* Effect.ignore(peer.ref.tell(stopping))
    yield* Effect.sleep(FAREWELL_POLL_MS)
  }
  yield* Effect.ignore(registry.deregister)
  core.options.report({ _tag: "NodeDeregistered", address: core.address })
})

const service = (
  core: NodeCore.NodeCore,
  ref: Actor.ActorRef<Message>,
  services: Context.Context<RegistryClient>
): Node["Service"] => {
  const outgoing = Outgoing.make({
    context: () => core.context(),
    keys: core.parts.keys,
    ensure: (node) => ref.ask<PeerMessage.Running>((reply) => Message.Ensure({ node, reply })),
    find: (node) => core.peers.find(node),
    nowMs: () => core.nowMs(),
    services,
    scope: core.parts.scope
  })
  return {
    dial: outgoing.dial,
    ping: outgoing.ping,
    sendDatagram: outgoing.sendDatagram,
    address: Effect.sync(() => core.address),
    status: Effect.sync(() => core.status()),
    peer: (node) => Effect.sync(() => core.peer(node)),
    nat: Effect.map(core.parts.nat.discover, () => core.parts.nat.knowledge),
    listen: (port) => core.listeners.listen(port),
    datagrams: (capacity) => core.doors.datagrams.all(capacity),
    holdDatagrams: (wanted, capacity) =>
      Effect.map(core.doors.datagrams.hold(wanted, capacity), (held) => ({
        ...held,
        send: (target, port, payload) => outgoing.sendDatagram(target, port, payload, held.port)
      })),
    closeConnection: (id) =>
      Effect.forEach(
        core.peers.all(),
        (peer) => Effect.ignore(peer.ref.tell(PeerMessage.Message.CloseConnection({ id }))),
        { discard: true }
      ),
    dropPeer: (node) => Effect.ignore(ref.ask<void>((reply) => Message.Drop({ node, reply }))),
    setHostname: (name) =>
      Effect.sync(() => {
        core.hostname = name
      }),
    setPublic: (isPublic) =>
      Effect.sync(() => {
        core.isPublic = isPublic
      })
  }
}

const MAILBOX_CAPACITY = 256
const RESET_GRACE_MS = 50
const FAREWELL_POLL_MS = 20
const FAREWELL_POLLS = 25
const ANY_WAY_TIMEOUT = "2 seconds"
