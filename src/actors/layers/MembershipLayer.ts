/**
 * The memberships of a node (decision 58): home, of which the configuration tells, and those joined besides, which a file
 * remembers. Each lives in a scope of its own. One that cannot be registered when the node starts is tried again and again
 * beside the others; only a node that could be registered nowhere does not start.
 */
import { type Context, Deferred, Effect, Exit, FileSystem, type Path, Result, Scope, Semaphore } from "effect"
import type { AddressResolver } from "effect/net"
import * as Provided from "../../core/actor/Provided.ts"
import { Crypto } from "../../core/crypto/Crypto.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import type { LanDiscovery } from "../../core/net/LanDiscovery.ts"
import type { TlsClient } from "../../core/net/TlsClient.ts"
import type { UdpEndpoint } from "../../core/net/UdpEndpoint.ts"
import type { WebSocketClient } from "../../core/net/WebSocketClient.ts"
import type { ProtocolEvent } from "../../protocol/ProtocolEvent.ts"
import * as LocalNode from "../../protocol/wire/LocalNode.ts"
import type { OwnKeyState } from "../identity/OwnKeyState.ts"
import {
  MEMBERSHIPS_MAX,
  MembershipError,
  type MembershipStatus,
  type Memberships,
  type Wanted
} from "../membership/Memberships.ts"
import { type Card, type Member, Roster } from "../membership/Roster.ts"
import { Doors } from "../node/Doors.ts"
import * as MemberStart from "./MemberStart.ts"
import * as MembershipFile from "./MembershipFile.ts"
import type { NodeConfig } from "./NodeConfig.ts"
import type { NodeError } from "./NodeError.ts"
import * as RegistryPinsFile from "./RegistryPinsFile.ts"
import * as RendezvousText from "./RendezvousText.ts"

/** What runs. */
export interface Running {
  readonly roster: Roster
  readonly doors: Doors
  readonly memberships: Memberships["Service"]
}

/** Registers the node with every rendezvous it knows, in the surrounding scope; returns when home, or else another, has it. */
export const start = Effect.fn("MembershipLayer.start")(function* (
  config: NodeConfig,
  own: OwnKeyState,
  report: (event: ProtocolEvent) => void
) {
  const scope = yield* Effect.scope
  const roster = new Roster()
  const crypto = yield* Crypto
  const options: MemberStart.Options = {
    config,
    own,
    roster,
    doors: new Doors(() => Bytes.readU16(crypto.randomBytes(2), 0)),
    registryPins: yield* RegistryPinsFile.make(`${config.home}/registry-pins.json`),
    report
  }
  const file = yield* MembershipFile.make(`${config.home}/memberships.json`)
  const home = yield* MemberStart.prepare(options, homeCard(config))
  const content = yield* merged(config, yield* file.load)
  if (content.isChanged) yield* Effect.ignore(file.save(content))
  const further = yield* Effect.forEach(content.cards, (card) => begin(options, card, scope))
  yield* raiseHome(options, home, further, scope)
  const services = yield* Provided.services<Needs>()
  return {
    roster,
    doors: options.doors,
    memberships: yield* service({ options, file, scope, further, lastSlot: content.lastSlot }, services)
  }
})

/** What joining needs of the surroundings. */
type Needs =
  | AddressResolver.AddressResolver
  | Crypto
  | FileSystem.FileSystem
  | LanDiscovery
  | Path.Path
  | TlsClient
  | UdpEndpoint
  | WebSocketClient

interface Further {
  readonly member: Member
  readonly scope: Scope.Closeable
  /** Done when its registry has registered this node, or has first not done so. */
  readonly tried: Deferred.Deferred<void, NodeError>
}

const homeCard = (config: NodeConfig): Card => ({
  alias: RendezvousText.HOME,
  slot: LocalNode.HOME_SLOT,
  registry: config.registry,
  beacon: config.beacon,
  ...(config.registryPlaintext ? { plaintext: true } : {}),
  ...(config.registryFingerprint === undefined ? {} : { fingerprint: config.registryFingerprint })
})

/** What was joined, and what the configuration names besides; of one that both name, the configuration says where it is. */
const merged = Effect.fnUntraced(function* (config: NodeConfig, stored: MembershipFile.Content) {
  const wanted = Result.getOrElse(RendezvousText.parse(config.rendezvous), () => [])
  const cards = [...stored.cards]
  let { lastSlot } = stored
  let isChanged = false
  for (const one of wanted) {
    const at = cards.findIndex(({ alias, registry }) => alias === one.alias || registry === one.registry)
    const slot = at < 0 ? freeSlot(cards, lastSlot) : cards[at]!.slot
    if (slot === undefined || one.registry === config.registry) {
      yield* Effect.logWarning(
        `the rendezvous ${one.registry} is not joined: it is home already, or there are too many`
      )
      continue
    }
    const card = cardOf(one, slot, (alias) => cards.some((known) => known.alias === alias))
    if (at < 0) cards.push(card)
    else cards[at] = { ...cards[at]!, ...card, alias: cards[at]!.alias }
    if (at < 0) lastSlot = slot
    isChanged = true
  }
  return { cards, lastSlot, isChanged }
})

const cardOf = (wanted: Wanted, slot: number, isTaken: (alias: string) => boolean): Card => ({
  alias: wanted.alias ?? RendezvousText.aliasOf(wanted.registry, slot, isTaken),
  slot,
  registry: wanted.registry,
  beacon: RendezvousText.beaconOf(wanted),
  ...(wanted.fingerprint === undefined ? {} : { fingerprint: wanted.fingerprint }),
  ...(wanted.isPlaintext === true ? { plaintext: true } : {}),
  ...(wanted.hostname === undefined ? {} : { hostname: wanted.hostname })
})

/** The next after the one given last. */
const freeSlot = (cards: ReadonlyArray<Card>, lastSlot: number): number | undefined => {
  for (let step = 0; step < LocalNode.SLOT_MAX; step++) {
    const slot = ((lastSlot + step) % LocalNode.SLOT_MAX) + 1
    if (!cards.some((card) => card.slot === slot)) return slot
  }
  return undefined
}

/** A membership that registers when it can. */
const begin = Effect.fnUntraced(function* (options: MemberStart.Options, card: Card, parent: Scope.Scope) {
  const scope = yield* Scope.fork(parent)
  const member = yield* Scope.provide(MemberStart.prepare(options, card), scope)
  yield* MemberStart.recall(options, member)
  const tried = yield* Deferred.make<void, NodeError>()
  yield* Effect.forkIn(keepRaising(options, member, scope, tried), scope, { startImmediately: true })
  return { member, scope, tried } satisfies Further
})

/** Until it is registered; from then on its own actors keep it so. */
const keepRaising = Effect.fnUntraced(function* (
  options: MemberStart.Options,
  member: Member,
  scope: Scope.Scope,
  tried: Deferred.Deferred<void, NodeError>
) {
  for (let delayMs = RETRY_MIN_MS; ; delayMs = Math.min(2 * delayMs, RETRY_MAX_MS)) {
    const own = yield* Scope.fork(scope)
    const raised = yield* Effect.exit(Scope.provide(MemberStart.raise(options, member), own))
    if (Exit.isSuccess(raised)) return yield* Deferred.succeed(tried, undefined)
    yield* Scope.close(own, raised)
    const failure = Exit.findErrorOption(raised)
    if (failure._tag === "None") return yield* Effect.interrupt
    member.detail = failure.value.detail
    if (!(yield* Deferred.isDone(tried)))
      yield* Effect.logWarning(`not registered at the rendezvous ${member.card.alias} yet: ${failure.value.detail}`)
    yield* Deferred.fail(tried, failure.value)
    yield* Effect.sleep(delayMs)
  }
})

/** Home as ever; when its registry is away and another one is not, the node begins without it. */
const raiseHome = Effect.fnUntraced(function* (
  options: MemberStart.Options,
  home: Member,
  further: ReadonlyArray<Further>,
  scope: Scope.Scope
) {
  if (further.length === 0) return yield* MemberStart.raise(options, home)
  const tried = yield* Deferred.make<void, NodeError>()
  const own = yield* Scope.fork(scope)
  yield* MemberStart.recall(options, home)
  yield* Effect.forkIn(keepRaising(options, home, own, tried), own, { startImmediately: true })
  yield* Effect.catch(Deferred.await(tried), (failure) =>
    failure.reason !== "RegistryUnavailable"
      ? Effect.fail(failure)
      : Effect.mapError(Effect.firstSuccessOf(further.map((one) => Deferred.await(one.tried))), () => failure)
  )
})

interface State {
  readonly options: MemberStart.Options
  readonly file: MembershipFile.MembershipFile
  readonly scope: Scope.Scope
  further: ReadonlyArray<Further>
  lastSlot: number
}

const service = Effect.fnUntraced(function* (initial: State, services: Context.Context<Needs>) {
  const state = { ...initial }
  const changing = yield* Semaphore.make(1)
  return {
    list: Effect.suspend(() =>
      Effect.forEach(state.options.roster.all(), (member) => statusOf(state.options.roster, member))
    ),
    join: (wanted: Wanted) => changing.withPermit(join(state, wanted)).pipe(Effect.provideContext(services)),
    leave: (alias: string) => changing.withPermit(leave(state, alias)).pipe(Effect.provideContext(services))
  } satisfies Memberships["Service"]
})

const join = Effect.fnUntraced(function* (state: State, wanted: Wanted) {
  const { file, options, scope } = state
  const { roster } = options
  const asked = yield* Effect.mapError(Effect.fromResult(RendezvousText.checked(wanted)), (detail) =>
    refused("Malformed", detail)
  )
  const known = roster.all().find(({ card }) => isSame(card, asked))
  if (known !== undefined)
    return yield* refused("AlreadyJoined", `${asked.registry} is joined already, as ${known.card.alias}`)
  if (asked.alias !== undefined && roster.called(asked.alias) !== undefined)
    return yield* refused("AliasTaken", `another rendezvous is called ${asked.alias} here`)
  const cards = state.further.map(({ member }) => member.card)
  const slot = freeSlot(cards, state.lastSlot)
  if (slot === undefined)
    return yield* refused("TooMany", `this node has ${MEMBERSHIPS_MAX} memberships, the most it may have`)
  const card = cardOf(asked, slot, (alias) => roster.called(alias) !== undefined)
  const own = yield* Scope.fork(scope)
  const joined = Effect.gen(function* () {
    const member = yield* MemberStart.prepare(options, card)
    yield* MemberStart.raise(options, member)
    yield* Effect.mapError(file.save({ cards: [...cards, card], lastSlot: slot }), (error) =>
      refused("NotStored", error.detail)
    )
    return member
  }).pipe(
    Scope.provide(own),
    Effect.mapError((error) => (error._tag === "NodeError" ? refused("NotJoined", error.detail) : error))
  )
  // Nothing stays of an attempt that fails, or that nobody waits for any more.
  const member = yield* Effect.onError(joined, () => Effect.andThen(Scope.close(own, Exit.void), forget(options, card)))
  state.further = [...state.further, { member, scope: own, tried: Deferred.makeUnsafe() }]
  state.lastSlot = slot
  return yield* statusOf(roster, member)
})

const leave = Effect.fnUntraced(function* (state: State, alias: string) {
  const { file, options } = state
  if (alias === RendezvousText.HOME)
    return yield* refused(
      "IsHome",
      "home is the rendezvous of the configuration: start the daemon with another --registry"
    )
  const found = state.further.find(({ member }) => member.card.alias === alias)
  if (found === undefined) return yield* refused("Unknown", `no rendezvous is called ${alias} here`)
  const rest = state.further.filter((one) => one !== found)
  yield* Effect.mapError(
    file.save({ cards: rest.map(({ member }) => member.card), lastSlot: state.lastSlot }),
    (error) => refused("NotStored", error.detail)
  )
  state.further = rest
  yield* Effect.uninterruptible(Effect.andThen(Scope.close(found.scope, Exit.void), forget(options, found.member.card)))
})

const isSame = (card: Card, wanted: Wanted): boolean =>
  card.registry === wanted.registry || (card.fingerprint !== undefined && card.fingerprint === wanted.fingerprint)

/** Pins and trust of ids that mean nothing any more. */
const forget = Effect.fnUntraced(function* ({ config }: MemberStart.Options, card: Card) {
  const files = yield* FileSystem.FileSystem
  yield* Effect.ignore(files.remove(MemberStart.placesOf(config, card).directory, { recursive: true, force: true }))
})

const statusOf = Effect.fnUntraced(function* (roster: Roster, member: Member): Effect.fn.Return<MembershipStatus> {
  const { card, detail, state, up } = member
  const status = up === undefined ? undefined : yield* up.node.status
  return {
    alias: card.alias,
    slot: card.slot,
    registry: card.registry,
    beacon: card.beacon,
    fingerprint: card.fingerprint,
    state: up === undefined ? "joining" : state,
    detail,
    registryAddress: status?.address,
    address: status === undefined ? undefined : roster.outsideAddress(member, status.address),
    hostname: status?.hostname ?? "",
    local: status?.local,
    mapped: status?.mapped,
    peers: status?.peers.length ?? 0
  }
})

const refused = (reason: MembershipError["reason"], detail: string): MembershipError =>
  new MembershipError({ reason, detail })

/** Between two attempts to register where it could not be done yet. */
const RETRY_MIN_MS = 1_000
const RETRY_MAX_MS = 60_000
