/**
 * Starts one membership of a node: a registry client, pins and a trust list of its own, a UDP socket of its own, its peers; what
 * the node serves it shares with the others through `Doors`. Nothing of one membership is told to the registry of another.
 */
import { Context, Duration, Effect, Layer, PubSub, type Scope } from "effect"
import * as MonotonicTime from "../../core/actor/MonotonicTime.ts"
import { Crypto } from "../../core/crypto/Crypto.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import { WebSocketClient } from "../../core/net/WebSocketClient.ts"
import * as PrivateDirectory from "../../core/storage/PrivateDirectory.ts"
import type { KeyChain } from "../../protocol/identity/KeyChain.ts"
import type { ProtocolEvent } from "../../protocol/ProtocolEvent.ts"
import { defaultLimits, PortTable } from "../../protocol/stream/PortTable.ts"
import * as StreamConfig from "../../protocol/stream/StreamConfig.ts"
import * as TunnelConfig from "../../protocol/tunnel/TunnelConfig.ts"
import { NodeId } from "../../protocol/wire/Address.ts"
import { Capability } from "../../protocol/wire/Announcement.ts"
import * as LocalNode from "../../protocol/wire/LocalNode.ts"
import * as OwnKeyState from "../identity/OwnKeyState.ts"
import * as MemberKeys from "../membership/MemberKeys.ts"
import * as OutsideConnection from "../membership/OutsideConnection.ts"
import type { Card, Member, Roster } from "../membership/Roster.ts"
import type { Doors } from "../node/Doors.ts"
import { NatMemory } from "../node/NatMemory.ts"
import { Node } from "../node/Node.ts"
import type { NodeEvent } from "../node/NodeEvent.ts"
import * as NodeSupervisor from "../node/NodeSupervisor.ts"
import * as PolicyGuard from "../policy/PolicyGuard.ts"
import * as LearningRegistry from "../registry/LearningRegistry.ts"
import * as Names from "../registry/Names.ts"
import { RegistryClient, type RegistryError } from "../registry/RegistryClient.ts"
import * as RegistryClientActor from "../registry/RegistryClientActor.ts"
import type { RegistryPins } from "../registry/RegistryPins.ts"
import { PeerKeys } from "../trust/PeerKeys.ts"
import * as PeerKeysStore from "../trust/PeerKeysStore.ts"
import * as TrustStoreFile from "../trust/TrustStoreFile.ts"
import * as TrustSupervisor from "../trust/TrustSupervisor.ts"
import * as HostAddress from "./HostAddress.ts"
import * as IdentityLayer from "./IdentityLayer.ts"
import * as LanStart from "./LanStart.ts"
import * as LastKnown from "./LastKnown.ts"
import * as MemberCatchUp from "./MemberCatchUp.ts"
import type { NodeConfig } from "./NodeConfig.ts"
import { NodeError } from "./NodeError.ts"
import * as NodeFailure from "./NodeFailure.ts"
import * as OutsideEvent from "./OutsideEvent.ts"
import * as ShelvedTrust from "./ShelvedTrust.ts"
import * as WebSocketPlace from "./WebSocketPlace.ts"

/** What the memberships of one node share. */
export interface Options {
  readonly config: NodeConfig
  /** The key of the node, the same everywhere, and what is to be known of it. */
  readonly own: OwnKeyState.OwnKeyState
  readonly roster: Roster
  readonly doors: Doors
  /** Certificates of registries that were met without a pin. */
  readonly registryPins: RegistryPins
  readonly report: (event: ProtocolEvent) => void
}

/** A membership that has not registered yet, in the surrounding scope; it is in the roster until that ends. */
export const prepare = Effect.fnUntraced(function* (options: Options, card: Card) {
  const { roster } = options
  const { directory } = placesOf(options.config, card)
  // Added first, so that what is closed before it still finds its membership.
  let made: Member | undefined
  yield* Effect.addFinalizer(() => Effect.sync(() => (made === undefined ? undefined : roster.remove(made))))
  yield* Effect.mapError(PrivateDirectory.make(directory), (error) =>
    NodeFailure.stateUnusable(directory, error.message)
  )
  const ownKeys = yield* Effect.mapError(
    Effect.map(Layer.build(PeerKeysStore.layer(`${directory}/pins.json`)), Context.get(PeerKeys)),
    (error) => NodeFailure.trustUnusable(error.path, error.detail)
  )
  const places = yield* WebSocketPlace.of(options.config, card, options.registryPins)
  const client = yield* RegistryClientActor.make({
    ...HostAddress.split(card.registry),
    through: places?.registry,
    security: securityOf(options, card),
    key: options.own.key,
    keyChain: () => OwnKeyState.published(options.own)
  })
  yield* IdentityLayer.resume(options.own, client)
  const noteOwn = (chain: KeyChain) => {
    member.heard = [...member.heard, ...chain].slice(-HEARD_MAX)
  }
  const learning = LearningRegistry.make(client, (node, chain) =>
    node === member.ownNode ? Effect.sync(() => noteOwn(chain)) : ownKeys.chains.learn(node, chain)
  )
  const shelf = yield* ShelvedTrust.make({
    path: placesOf(options.config, card).trust,
    setTrusted: (trusted) => member.keys.setTrusted(trusted),
    ended: (peer) => reporting(options, member)({ _tag: "TrustRevoked", peer, by: "here" })
  })
  const member: Member = {
    card,
    registry: watched(learning, () => member),
    keys: MemberKeys.forMember(roster, ownKeys, () => member),
    ownKeys,
    up: undefined,
    shelf,
    state: "joining",
    detail: "",
    trusted: new Map(),
    trustedTexts: new Set(),
    met: new Map(),
    ownNode: undefined,
    heard: []
  }
  made = member
  roster.add(member)
  return member
})

/** Whom the membership trusts holds in the others also while its registry is away. */
export const recall = ({ config }: Options, { card, shelf }: Member): Effect.Effect<void, NodeError> => {
  const { trust } = placesOf(config, card)
  return Effect.mapError(shelf.recall, (error) => NodeFailure.trustUnusable(trust, error.detail))
}

/** Registers and serves in the surrounding scope; its end leaves the registry. */
export const raise = Effect.fnUntraced(function* (options: Options, member: Member) {
  const { config, own, roster } = options
  const report = reporting(options, member)
  const dependencies = Context.make(PeerKeys, member.keys).pipe(Context.add(RegistryClient, member.registry))
  // An id that is none outside is a stranger's.
  const guard = PolicyGuard.renamed(yield* PolicyGuard.PolicyGuard, (node) => roster.outside(member, node) ?? NodeId(0))
  const lastKnown = yield* LastKnown.make(
    `${placesOf(config, member.card).directory}/last-known.json`,
    member.card.registry,
    own.key.publicKey
  )
  yield* Effect.provideContext(
    Names.remember((node) => lastKnown.place(node, member.keys.pinned(node))),
    dependencies
  )
  const running = yield* startNode(options, member, report, lastKnown).pipe(
    Effect.provideService(PolicyGuard.PolicyGuard, guard),
    Effect.provideContext(dependencies)
  )
  const address = yield* running.node.address
  if (LocalNode.make(member.card.slot, address.node) === undefined)
    return yield* new NodeError({
      reason: "RegistryRefused",
      detail: `the registry ${member.card.registry} gave this node the id ${address.node}`,
      hint: `only ids up to ${LocalNode.REGISTRY_ID_MAX} can be told apart from those of other registries`
    })
  const { trust: path } = placesOf(config, member.card)
  const store = yield* TrustStoreFile.make(path)
  const trust = yield* TrustSupervisor.start({ identity: own.key, store, report }).pipe(
    Effect.mapError((error) =>
      error._tag === "PortInUse" ? NodeFailure.portTaken(error) : NodeFailure.trustUnusable(path, error.detail)
    ),
    Effect.provideContext(Context.add(dependencies, Node, running.node))
  )
  const isFindable = member.card.slot === LocalNode.HOME_SLOT && !config.noLan
  const node = isFindable ? yield* LanStart.spawn(own, member, running, options.registryPins) : running.node
  yield* follow(running.events, trust, noteOwn(running.node, lastKnown))
  if (!running.isLate) yield* noteOwn(running.node, lastKnown)
  yield* notePeers(running.node, lastKnown)
  member.ownNode = address.node
  yield* MemberCatchUp.all(roster, member, trust.trust)
  const { spread } = trust.watch
  member.up = { node, trust: trust.trust, renewTunnels: running.renewTunnels, spread }
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      member.up = undefined
    })
  )
})

/** What happens in one membership, as it reads outside. */
const reporting =
  ({ report, roster }: Options, member: Member) =>
  (event: ProtocolEvent): void => {
    const told = OutsideEvent.of(roster, member, event)
    if (told !== undefined) report(told)
  }

/** Where a membership keeps its state: home's is where that of a node always was. */
export const placesOf = (config: NodeConfig, { alias, slot }: Card) => {
  if (slot !== LocalNode.HOME_SLOT) {
    const directory = `${config.home}/memberships/${alias}`
    return { directory, trust: `${directory}/trust.json` }
  }
  return { directory: config.home, trust: `${config.identity.slice(0, config.identity.lastIndexOf("/"))}/trust.json` }
}

const securityOf = ({ registryPins }: Options, { fingerprint, plaintext }: Card) => {
  if (plaintext === true) return { _tag: "Plaintext" as const }
  return fingerprint === undefined
    ? { _tag: "FirstUse" as const, pins: registryPins }
    : { _tag: "Pinned" as const, fingerprint }
}

/** The client, which notes how its registry does. */
const watched = (client: RegistryClient["Service"], member: () => Member): RegistryClient["Service"] => {
  const noting = <A>(call: Effect.Effect<A, RegistryError>): Effect.Effect<A, RegistryError> =>
    call.pipe(
      Effect.tap(() => Effect.sync(() => note(member(), "joined", ""))),
      Effect.tapError(({ detail }) =>
        Effect.sync(() => note(member(), member().up === undefined ? "joining" : "away", detail))
      )
    )
  return { ...client, register: (options) => noting(client.register(options)), heartbeat: noting(client.heartbeat) }
}

/** Statements about this node that its registry has told of, until they are looked at. */
const HEARD_MAX = 32

const note = (member: Member, state: Member["state"], detail: string): void => {
  member.state = state
  member.detail = detail
}

const startNode = Effect.fnUntraced(function* (
  { config, doors, own, registryPins, roster }: Options,
  member: Member,
  report: (event: ProtocolEvent) => void,
  lastKnown: LastKnown.LastKnown
) {
  const { card } = member
  const isHome = card.slot === LocalNode.HOME_SLOT
  const nowMs = yield* MonotonicTime.nowMs
  const crypto = yield* Crypto
  const places = yield* WebSocketPlace.of(config, card, registryPins)
  const beacon = yield* beaconOf(card, places)
  const listen = yield* HostAddress.listening(config.listen, beacon)
  const endpoint = config.endpoint === undefined || !isHome ? undefined : yield* HostAddress.resolve(config.endpoint)
  const [first] = roster.up()
  const known = first === undefined ? undefined : yield* first.up.node.status
  return yield* NodeSupervisor.start({
    identity: own.key,
    identityPersisted: true,
    encrypt: config.encrypt,
    // The configuration names one port; every membership has a socket of its own.
    listen: isHome ? listen : { ...listen, port: 0 },
    beacon,
    bridge: places === undefined ? undefined : { client: yield* WebSocketClient, target: places.beacon },
    nat: yield* NatMemory,
    endpoint,
    lastAddress: lastKnown.address,
    lastPort: lastKnown.port,
    owner: config.owner,
    hostname: card.hostname ?? known?.hostname ?? config.hostname,
    isPublic: known?.isPublic ?? config.public,
    keepaliveMs: Duration.toMillis(config.keepalive),
    stream: StreamConfig.make({
      // What is written within one turn travels together anyway, and a request must not wait for an acknowledgement.
      noDelay: true,
      keepaliveMs: Duration.toMillis(config.keepalive),
      idleMs: Duration.toMillis(config.idleTimeout),
      timeWaitMs: Duration.toMillis(config.timeWait)
    }),
    tunnel: config.noPortGuessing ? TunnelConfig.without(Capability.Birthday) : TunnelConfig.defaultConfig,
    mapsPorts: !config.noPortMapping,
    ports: new PortTable(
      {
        ...defaultLimits,
        connectionsMax: config.maxConnsTotal,
        connectionsPerPortMax: config.maxConnsPerPort,
        synRate: config.synRateLimit
      },
      nowMs,
      Bytes.readU16(crypto.randomBytes(2), 0)
    ),
    doors,
    outside: {
      address: (address) => roster.outsideAddress(member, address),
      connection: (connection) => {
        const remote = roster.outsideAddress(member, connection.remote)
        return remote === undefined ? undefined : OutsideConnection.named(connection, remote)
      }
    },
    opened: (node, publicKey) => MemberKeys.opened(member, node, publicKey),
    report
  }).pipe(
    Effect.mapError((error) =>
      error._tag === "BindError" ? NodeFailure.listenFailed(error) : NodeFailure.registryFailed(card.registry, error)
    )
  )
})

/** Where only a proxy leads out, it alone may know names. */
const beaconOf = ({ beacon }: Card, places: WebSocketPlace.Places | undefined) =>
  Effect.catch(HostAddress.resolve(beacon), (error) =>
    places === undefined ? Effect.fail(error) : Effect.succeed({ ...HostAddress.split(beacon), host: NOBODY })
  )

/** An address that nobody has (RFC 5737), in the place of one that this host cannot find out. */
const NOBODY = "192.0.2.1"

/** For a start without the registry. */
const noteOwn = (node: Node["Service"], lastKnown: LastKnown.LastKnown): Effect.Effect<void> =>
  Effect.flatMap(node.status, ({ address, local }) => lastKnown.registered(address, local.port))

/** Where peers are met, now and then and at the end. */
const notePeers = (node: Node["Service"], lastKnown: LastKnown.LastKnown): Effect.Effect<void, never, Scope.Scope> => {
  const note = Effect.flatMap(node.status, ({ peers }) => lastKnown.met(peers))
  return Effect.andThen(
    Effect.addFinalizer(() => note),
    Effect.asVoid(Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(NOTE_MS), note))))
  )
}

/** Between two looks at where peers are. */
const NOTE_MS = 30_000

/** A heartbeat is the occasion to poll; a new registration may have lost what was reported (rendezvous §9.2–9.3). */
const follow = Effect.fnUntraced(function* (
  events: PubSub.PubSub<NodeEvent>,
  trust: TrustSupervisor.Running,
  registered: Effect.Effect<void>
): Effect.fn.Return<void, never, Scope.Scope> {
  const subscription = yield* PubSub.subscribe(events)
  yield* PubSub.take(subscription).pipe(
    Effect.flatMap((event) =>
      Effect.andThen(
        event._tag === "HeartbeatAnswered" ? trust.trust.poll : Effect.andThen(registered, trust.reregistered),
        trust.watch.look
      )
    ),
    Effect.forever,
    Effect.forkScoped
  )
})
