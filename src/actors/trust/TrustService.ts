/** The `Trust` service over the actor: what a person decides, and what a person sees. */
import { Effect, Fiber } from "effect"
import * as Justification from "../../protocol/trust/Justification.ts"
import * as NetworkTable from "../../protocol/trust/NetworkTable.ts"
import * as Relation from "../../protocol/trust/Relation.ts"
import { Input } from "../../protocol/trust/TrustHandshake.ts"
import * as TrustTable from "../../protocol/trust/TrustTable.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import * as Invitations from "./Invitations.ts"
import type * as Networks from "./Networks.ts"
import * as PeerIdentity from "./PeerIdentity.ts"
import type { Trust } from "./Trust.ts"
import type { TrustActor } from "./TrustActor.ts"
import type { TrustContext } from "./TrustContext.ts"
import { TrustError } from "./TrustError.ts"
import * as TrustLedger from "./TrustLedger.ts"

/** What the service stands on. */
export interface Options {
  readonly context: TrustContext
  readonly actor: TrustActor
  readonly limits: TrustTable.Limits
  readonly poll: Effect.Effect<void>
  readonly networks: Networks.Networks
}

/** The service. */
export const make = (options: Options): Trust["Service"] => ({
  request: (node, justification) => request(options, node, justification),
  approve: (node, fingerprint) => approve(options, node, fingerprint),
  reject: (node, reason) => reject(options, node, reason),
  revoke: (node) => revoke(options, node),
  pending: Effect.map(relations(options), (table) =>
    [...table].flatMap(([node, { pending }]) => {
      if (pending === undefined) return []
      const { publicKey, justification, receivedAtSeconds } = pending
      return [{ node, publicKey, justification, receivedAtSeconds }]
    })
  ),
  trusted: Effect.map(relations(options), (table) =>
    [...table].flatMap(([node, { trusted }]) => {
      if (trusted === undefined) return []
      const { publicKey, approvedAtSeconds, mutual, network } = trusted
      return [{ node, publicKey, approvedAtSeconds, mutual, network }]
    })
  ),
  standing: (node) =>
    Effect.map(relations(options), (table) => {
      const relation = TrustTable.relation(table, node)
      return { standing: Relation.standing(relation), refusal: relation.refused?.reason }
    }),
  admissions: { ...Invitations.make(options), ...options.networks },
  poll: options.poll
})

/** The key is fixed here: whatever answers later must be this one (security rule 1). */
const request = Effect.fn("Trust.request")(function* (options: Options, node: NodeId, justification: string) {
  const { context, actor } = options
  const own = yield* context.node.address
  if (node === own.node)
    return yield* new TrustError({ reason: "UnknownPeer", node, detail: "this is this node itself" })
  const publicKey = yield* PeerIdentity.confirmed(context, node)
  const shown = NetworkTable.claims(actor.admission().networks, yield* TrustLedger.nowSeconds)
  const input = Input.RequestChosen({
    publicKey,
    justification: Justification.clean(`${shown} ${justification}`.trim()),
    isInsisting: false
  })
  const { choice, delivery } = yield* actor.apply(node, input)
  if (choice === "AlreadyTrusted") return "already_trusted" as const
  if (choice === "TooManyOutgoing")
    return yield* new TrustError({ reason: "NotStored", node, detail: "too many requests of this node are unanswered" })
  yield* Fiber.join(delivery)
  return "sent" as const
})

const approve = Effect.fn("Trust.approve")(function* (options: Options, node: NodeId, fingerprint?: string) {
  const pending = yield* waiting(options, node)
  if (pending === undefined) return { known: false }
  const publicKey = yield* PeerIdentity.approved(options.context, node, pending, fingerprint)
  const { choice } = yield* options.actor.apply(node, Input.ApprovalChosen({ publicKey }))
  return { known: choice === "Approved" }
})

const reject = Effect.fn("Trust.reject")(function* (options: Options, node: NodeId, reason: string) {
  const pending = yield* waiting(options, node)
  if (pending === undefined) return { known: false }
  const { choice } = yield* options.actor.apply(node, Input.RejectionChosen({ reason: Justification.clean(reason) }))
  return { known: choice === "Rejected" }
})

/** Returns when the peer was told, or could not be, and its tunnel is gone. No network brings it back. */
const revoke = Effect.fn("Trust.revoke")(function* (options: Options, node: NodeId) {
  const { trusted } = TrustTable.relation(options.actor.table(), node)
  if (trusted !== undefined) yield* Effect.ignore(options.networks.barMember(trusted.publicKey))
  const { choice, delivery } = yield* options.actor.apply(node, Input.RevocationChosen())
  if (choice !== "Revoked")
    return yield* new TrustError({ reason: "NotTrusted", node, detail: `node ${node} was not trusted` })
  yield* Effect.ignore(Fiber.join(delivery))
})

/** A request that nobody has seen yet may wait at the registry. */
const waiting = Effect.fnUntraced(function* (options: Options, node: NodeId) {
  const pending = pendingOf(yield* relations(options), node)
  if (pending !== undefined) return pending
  yield* options.poll
  return pendingOf(yield* relations(options), node)
})

const pendingOf = (table: TrustTable.TrustTable, node: NodeId): Relation.Pending | undefined =>
  TrustTable.relation(table, node).pending

const relations = (options: Options): Effect.Effect<TrustTable.TrustTable> =>
  Effect.map(TrustLedger.nowSeconds, (nowSeconds) =>
    TrustTable.expire(options.actor.table(), options.limits, nowSeconds)
  )
