/**
 * The networks this node is in (decision 77): joining and leaving, and the lists of revoked members, which members tell each
 * other. Each tells what it holds when it starts and every hour; who holds a newer list answers with it, so one that was away
 * learns by its own first words.
 */
import { Effect, Result, type Scope } from "effect"
import * as NetworkNotice from "../../protocol/trust/NetworkNotice.ts"
import * as NetworkTable from "../../protocol/trust/NetworkTable.ts"
import * as NetworkToken from "../../protocol/trust/NetworkToken.ts"
import { Input } from "../../protocol/trust/TrustHandshake.ts"
import { NodeId } from "../../protocol/wire/Address.ts"
import type * as Admissions from "./Admissions.ts"
import * as HandshakeStream from "./HandshakeStream.ts"
import * as PeerIdentity from "./PeerIdentity.ts"
import type { TrustActor } from "./TrustActor.ts"
import type { TrustContext } from "./TrustContext.ts"
import { TrustError } from "./TrustError.ts"
import * as TrustLedger from "./TrustLedger.ts"

/** The service. */
export type Networks = Admissions.Networks

/** The service, and an ear for what peers tell. Tells them in the surrounding scope. */
export const make = Effect.fn("Networks.make")(function* (
  context: TrustContext,
  actor: TrustActor
): Effect.fn.Return<
  {
    readonly service: Networks
    /** A message about trust with this node was dealt with. */
    readonly met: (node: NodeId) => Effect.Effect<void>
    readonly noticed: (node: NodeId, notice: NetworkNotice.NetworkNotice) => Effect.Effect<void>
  },
  never,
  Scope.Scope
> {
  const scope = yield* Effect.scope
  const self: Self = {
    context,
    actor,
    told: new Set(),
    tell: (node, network) => Effect.forkIn(tell(self, node, network), scope)
  }
  const tellAll = Effect.suspend(() =>
    Effect.forEach([...actor.admission().networks.keys()], (network) => tellMembers(self, network), { discard: true })
  )
  yield* Effect.forkScoped(
    Effect.andThen(Effect.sleep(FIRST_TELL), Effect.forever(Effect.andThen(tellAll, Effect.sleep(TELL_INTERVAL))))
  )
  return {
    service: {
      joinNetwork: (text) => join(self, text),
      leaveNetwork: (name) => leave(self, name),
      networks: Effect.map(TrustLedger.nowSeconds, (nowSeconds) =>
        [...actor.admission().networks].map(([network, membership]) => rowOf(network, membership, nowSeconds))
      ),
      reviseNetwork: (text) => revise(self, text),
      barMember: (publicKey) => bar(self, publicKey)
    },
    met: (node) => met(self, node),
    noticed: (node, notice) => noticed(self, node, notice)
  }
})

const bar = ({ actor, context }: Self, publicKey: Uint8Array): Effect.Effect<void, TrustError> =>
  Effect.suspend(() => {
    if (actor.admission().networks.size === 0) return Effect.void
    const member = PeerIdentity.fingerprintOf(context, publicKey)
    return actor.amend({
      kind: "Narrowing",
      change: (admission) =>
        Result.succeed({
          admission: { ...admission, networks: NetworkTable.bar(admission.networks, member) },
          value: undefined
        })
    })
  })

interface Self {
  readonly context: TrustContext
  readonly actor: TrustActor
  /** Members that have heard of this node's lists in this life. */
  readonly told: Set<NodeId>
  /** Beside whoever asks. */
  readonly tell: (node: NodeId, network: string) => Effect.Effect<unknown>
}

const join = Effect.fn("Networks.join")(function* (
  { actor, context }: Self,
  text: string
): Effect.fn.Return<Admissions.NetworkRow, TrustError> {
  const token = NetworkToken.decode(text)
  if (token === undefined) return yield* failed("NotValid", "this is no token of a network, or a damaged one")
  if (!NetworkToken.isGenuine(token, context.crypto.verify))
    return yield* failed("NotValid", "the network's key has not signed this token")
  const own = PeerIdentity.fingerprintOf(context, context.identity.publicKey)
  if (token.member !== own)
    return yield* failed("NotValid", `the token is for the key ${token.member}, this node has ${own}`)
  const nowSeconds = yield* TrustLedger.nowSeconds
  if (nowSeconds >= token.expiresAtSeconds) return yield* failed("NotValid", "the token has expired")
  const network = PeerIdentity.fingerprintOf(context, token.publicKey)
  return yield* actor.amend({
    kind: "Widening",
    change: (admission) => {
      const joined = NetworkTable.join(admission.networks, network, token)
      if (Result.isFailure(joined)) return Result.fail(failed("NotValid", JOIN_REFUSALS[joined.failure]))
      const value = rowOf(network, joined.success.get(network)!, nowSeconds)
      return Result.succeed({ admission: { ...admission, networks: joined.success }, value })
    }
  })
})

const leave = ({ actor }: Self, name: string): Effect.Effect<boolean, TrustError> =>
  actor.amend({
    kind: "Narrowing",
    change: (admission) => {
      const networks = NetworkTable.leave(admission.networks, name)
      const isKnown = networks !== undefined
      return Result.succeed({ admission: { ...admission, networks: networks ?? admission.networks }, value: isKnown })
    }
  })

const revise = Effect.fn("Networks.revise")(function* (
  self: Self,
  text: string
): Effect.fn.Return<boolean, TrustError> {
  const { actor, context } = self
  const list = NetworkToken.decodeRevocations(text)
  if (list === undefined) return yield* failed("NotValid", "this is no list of revoked members, or a damaged one")
  const network = PeerIdentity.fingerprintOf(context, list.publicKey)
  // Asked first: a signature costs more, and anybody may send lists.
  const known = actor.admission().networks.get(network)
  if (known === undefined) return yield* failed("NotValid", `this node is not in the network ${list.name}`)
  if (NetworkTable.serialOf(known) >= list.serial) return false
  if (!NetworkToken.isGenuineList(list, context.crypto.verify))
    return yield* failed("NotValid", "the network's key has not signed this list")
  // A member that has been let in again, by a later token, is on later lists too.
  const fresh = list.revoked.filter(
    (row) =>
      !known.revocations?.revoked.some(({ atSeconds, member }) => member === row.member && atSeconds === row.atSeconds)
  )
  const isNews = yield* actor.amend({
    kind: "Narrowing",
    change: (admission) => {
      const revised = NetworkTable.revise(admission.networks, network, list)
      const networks = Result.getOrElse(revised, () => admission.networks)
      return Result.succeed({ admission: { ...admission, networks }, value: Result.isSuccess(revised) })
    }
  })
  if (!isNews) return false
  for (const [node, { trusted }] of actor.table()) {
    if (trusted === undefined || trusted.network !== list.number) continue
    const member = PeerIdentity.fingerprintOf(context, trusted.publicKey)
    if (fresh.some((row) => row.member === member)) yield* Effect.ignore(actor.apply(node, Input.RevocationChosen()))
  }
  yield* tellMembers(self, network)
  return true
})

/** Who has just come in may hold a newer list, or none: each tells the other what it holds. */
const met = (self: Self, node: NodeId): Effect.Effect<void> =>
  Effect.suspend(() => {
    const number = self.actor.table().get(node)?.trusted?.network ?? 0
    const found = [...self.actor.admission().networks].find(([, { token }]) => token.number === number)
    if (found === undefined || self.told.has(node)) return Effect.void
    if (self.told.size >= TOLD_KEPT_MAX) self.told.clear()
    self.told.add(node)
    return Effect.asVoid(self.tell(node, found[0]))
  })

/** News is taken from anybody, since the network has signed it; only members are answered. */
const noticed = Effect.fnUntraced(function* (self: Self, node: NodeId, notice: NetworkNotice.NetworkNotice) {
  const known = self.actor.admission().networks.get(notice.network)
  if (known === undefined) return
  const serial = NetworkTable.serialOf(known)
  if (notice.serial > serial) return yield* Effect.ignore(revise(self, notice.list))
  const isMember = self.actor.table().get(node)?.trusted?.network === known.token.number
  if (notice.serial < serial && isMember) yield* self.tell(node, notice.network)
})

const tellMembers = ({ actor, tell }: Self, network: string): Effect.Effect<void> => {
  const number = actor.admission().networks.get(network)?.token.number
  const members = [...actor.table()].filter(([, { trusted }]) => trusted !== undefined && trusted.network === number)
  return Effect.forEach(members.slice(0, TOLD_MAX), ([node]) => tell(node, network), { discard: true })
}

const tell = ({ actor, context }: Self, node: NodeId, network: string): Effect.Effect<void> =>
  Effect.gen(function* () {
    const publicKey = actor.table().get(node)?.trusted?.publicKey
    const membership = actor.admission().networks.get(network)
    if (publicKey === undefined || membership === undefined) return
    const { revocations } = membership
    const own = yield* context.node.address
    const list = revocations === undefined ? "" : NetworkToken.encodeRevocations(revocations)
    const notice = { node: own.node, network, serial: NetworkTable.serialOf(membership), list }
    const connection = yield* HandshakeStream.open(context, node, publicKey, TELL_TIMEOUT_MS)
    yield* connection.write(NetworkNotice.encode(notice))
    yield* HandshakeStream.linger(connection)
  }).pipe(Effect.scoped, Effect.ignore)

const rowOf = (fingerprint: string, membership: NetworkTable.Membership, nowSeconds: number): Admissions.NetworkRow => {
  const { revocations, token } = membership
  return {
    ...{ name: token.name, number: token.number, fingerprint, text: NetworkToken.encode(token) },
    expiresAtSeconds: token.expiresAtSeconds,
    isOpen: NetworkTable.isOpen(membership, nowSeconds),
    serial: NetworkTable.serialOf(membership),
    revoked: revocations?.revoked ?? [],
    list: revocations === undefined ? "" : NetworkToken.encodeRevocations(revocations)
  }
}

const failed = (reason: TrustError["reason"], detail: string): TrustError =>
  new TrustError({ reason, node: NodeId(0), detail })

const JOIN_REFUSALS = {
  TooMany: "this node is in as many networks as it may be",
  NumberTaken: "this node is in another network with that number",
  NameTaken: "this node is in another network of that name",
  Older: "this node holds a later token of that network"
} as const

/** After the first poll; a member that was away hears what it has missed. */
const FIRST_TELL = "5 seconds"
const TELL_INTERVAL = "1 hour"
const TELL_TIMEOUT_MS = 3000
/** Members of whom that is remembered; then all are told again when they are met. */
const TOLD_KEPT_MAX = 4096
/** Members told at once. */
const TOLD_MAX = 256
