/**
 * The trust list of this node (node §2): who may reach it, who asks to, whom it asked.
 *
 * Owns the `TrustLedger`. Told by people (through `TrustService`), by `HandshakeReceiver` of checked messages, by
 * `HandshakePoll` of what the registry relays. Every change is on disk before it is answered or acted upon. It never
 * waits for the network: deliveries run beside it and tell it how they ended. Mailbox full: callers wait. Restarted
 * from the file.
 */
import { Data, Deferred, Effect, type Fiber, type Scope, Semaphore } from "effect"
import * as Actor from "../../core/actor/Actor.ts"
import type { ActorStopped, AskTimeout, MailboxFull } from "../../core/actor/ActorError.ts"
import * as Quota from "../../core/data/Quota.ts"
import type { Admission } from "../../protocol/trust/Admission.ts"
import * as AdmissionChange from "../../protocol/trust/AdmissionChange.ts"
import * as NetworkTable from "../../protocol/trust/NetworkTable.ts"
import type { Relation } from "../../protocol/trust/Relation.ts"
import type * as TrustHandshake from "../../protocol/trust/TrustHandshake.ts"
import type * as TrustOutput from "../../protocol/trust/TrustOutput.ts"
import * as TrustTable from "../../protocol/trust/TrustTable.ts"
import { NodeId } from "../../protocol/wire/Address.ts"
import * as PeerIdentity from "./PeerIdentity.ts"
import type { TrustContext } from "./TrustContext.ts"
import * as TrustDelivery from "./TrustDelivery.ts"
import { TrustError } from "./TrustError.ts"
import * as TrustLedger from "./TrustLedger.ts"
import * as TrustReport from "./TrustReport.ts"
import type { TrustNotStored, TrustStore } from "./TrustStore.ts"

/** What became of an input: the answer for a person, and the delivery of what followed from it. */
export interface Applied {
  readonly choice: TrustOutput.Choice | undefined
  /** Fails only when a request of ours found no way. */
  readonly delivery: Fiber.Fiber<void, TrustError>
}

/** What may be told to the actor. */
export type Message = Data.TaggedEnum<{
  Apply: {
    readonly node: NodeId
    readonly input: TrustHandshake.Input
    readonly reply: Deferred.Deferred<Applied, TrustError>
  }
  /** One input about every peer that has no delivery under way. */
  ApplyToAll: { readonly input: TrustHandshake.Input; readonly reply: Deferred.Deferred<void> }
  /** Of what was allowed beforehand; `perform` answers its caller. */
  Amend: { readonly perform: (ledger: TrustLedger.TrustLedger) => Effect.Effect<void> }
}>
/** Constructors of `Message`. */
export const Message = Data.taggedEnum<Message>()

/** The running actor, with the questions it answers. */
export interface TrustActor {
  readonly apply: (node: NodeId, input: TrustHandshake.Input) => Effect.Effect<Applied, TrustError>
  readonly applyToAll: (input: TrustHandshake.Input) => Effect.Effect<void>
  /** Stored when it succeeds. */
  readonly amend: <A>(amendment: TrustLedger.Amendment<A>) => Effect.Effect<A, TrustError>
  /** What was allowed beforehand, as it is now. */
  readonly admission: () => Admission
  /** As it is now; what has outlived its time may still be in it. */
  readonly table: () => TrustTable.TrustTable
}

/** Starts the actor in the surrounding scope. Fails when the file cannot be read. */
export const spawn = Effect.fn("TrustActor.spawn")(function* (options: {
  readonly context: TrustContext
  readonly store: TrustStore
  readonly limits: TrustTable.Limits
}): Effect.fn.Return<TrustActor, TrustNotStored, Scope.Scope> {
  const { context, limits } = options
  const open = TrustLedger.open(options.store, context.keys, limits, {
    ownKey: context.identity.publicKey,
    hmac: context.crypto.hmacSha256,
    verify: context.crypto.verify,
    fingerprintOf: (publicKey) => PeerIdentity.fingerprintOf(context, publicKey)
  })
  // Opened here first, so that an unreadable file fails the start instead of the first life.
  let ledger = yield* open
  let lives = 0
  const deliveries: Deliveries = {
    context,
    scope: yield* Effect.scope,
    permits: yield* Semaphore.make(DELIVERIES_MAX),
    busy: Quota.make({ countMax: Number.POSITIVE_INFINITY, perKeyMax: Number.POSITIVE_INFINITY }),
    relation: (node) => TrustTable.relation(ledger.table, node),
    vouch: (network) =>
      Effect.map(TrustLedger.nowSeconds, (seconds) => NetworkTable.claims(ledger.admission.networks, seconds, network)),
    tell: (node, input) => Effect.ignore(apply(node, input))
  }
  const ref = yield* Actor.spawn<Message, TrustNotStored, never>({
    name: "trust",
    mailbox: { capacity: MAILBOX_CAPACITY, overflow: "backpressure" },
    start: Effect.gen(function* () {
      if (lives++ > 0) ledger = yield* open
      return { receive: (message) => receive(ledger, deliveries, message) }
    }),
    restart: { intensity: 3, periodMs: 60_000 }
  })
  const apply = (node: NodeId, input: TrustHandshake.Input): Effect.Effect<Applied, TrustError> =>
    answered(
      node,
      ref.ask<Applied, TrustError>((reply) => Message.Apply({ node, input, reply }))
    )
  return {
    apply,
    applyToAll: (input) => Effect.ignore(ref.ask<void>((reply) => Message.ApplyToAll({ input, reply }))),
    amend: <A>(amendment: TrustLedger.Amendment<A>) =>
      answered(
        NOBODY,
        ref.ask<A, TrustError>((reply) =>
          Message.Amend({ perform: (held) => Effect.asVoid(Deferred.into(TrustLedger.amend(held, amendment), reply)) })
        )
      ),
    admission: () => ledger.admission,
    table: () => ledger.table
  }
})

/** What is under way in the world outside. */
interface Deliveries {
  readonly context: TrustContext
  readonly scope: Scope.Scope
  readonly permits: Semaphore.Semaphore
  /** Deliveries by peer, so that what is under way is not started again. */
  readonly busy: Quota.Quota<NodeId>
  readonly relation: (node: NodeId) => Relation
  /** What this node shows to a member of the network with that number. */
  readonly vouch: TrustDelivery.Delivery["vouch"]
  readonly tell: (node: NodeId, input: TrustHandshake.Input) => Effect.Effect<void>
}

const receive = (ledger: TrustLedger.TrustLedger, deliveries: Deliveries, message: Message): Effect.Effect<void> => {
  const before = ledger.admission
  const report = Effect.sync(() => {
    for (const change of AdmissionChange.between(before, ledger.admission))
      deliveries.context.report({ _tag: "AdmissionChanged", ...change })
  })
  return Effect.ensuring(perform(ledger, deliveries, message), report)
}

const perform = (ledger: TrustLedger.TrustLedger, deliveries: Deliveries, message: Message): Effect.Effect<void> =>
  Message.$match(message, {
    Apply: ({ node, input, reply }) => applyOne(ledger, deliveries, node, input, reply),
    ApplyToAll: Effect.fnUntraced(function* ({ input, reply }) {
      for (const node of ledger.table.keys()) {
        if (!Quota.has(deliveries.busy, node)) yield* applyOne(ledger, deliveries, node, input)
      }
      yield* Deferred.succeed(reply, undefined)
    }),
    Amend: (message) => message.perform(ledger)
  })

const applyOne = Effect.fnUntraced(function* (
  ledger: TrustLedger.TrustLedger,
  deliveries: Deliveries,
  node: NodeId,
  input: TrustHandshake.Input,
  reply?: Deferred.Deferred<Applied, TrustError>
) {
  const { failure, input: taken, outputs } = yield* TrustLedger.apply(ledger, node, input)
  for (const output of outputs) {
    if (output._tag === "Report") deliveries.context.report(TrustReport.event(node, taken, output.fact))
  }
  const delivery = yield* deliver(deliveries, node, outputs)
  if (reply === undefined) return
  if (failure !== undefined) yield* Deferred.fail(reply, failure)
  const choice = outputs.find((output) => output._tag === "Answer")?.result
  yield* Deferred.succeed(reply, { choice, delivery })
})

const deliver = (deliveries: Deliveries, node: NodeId, outputs: ReadonlyArray<TrustOutput.Output>) => {
  const { context, scope, permits, busy, vouch } = deliveries
  const tasks = outputs.filter(TrustDelivery.isTask)
  if (tasks.length === 0) return Effect.forkIn(Effect.void, scope)
  Quota.enter(busy, node)
  const done = Effect.sync(() => Quota.leave(busy, node))
  const relation = () => deliveries.relation(node)
  const tell = (input: TrustHandshake.Input) => deliveries.tell(node, input)
  return TrustDelivery.perform({ context, node, scope, relation, tell, vouch }, tasks).pipe(
    permits.withPermit,
    Effect.ensuring(done),
    Effect.forkIn(scope)
  )
}

const answered = <A>(
  node: NodeId,
  asked: Effect.Effect<A, TrustError | ActorStopped | MailboxFull | AskTimeout>
): Effect.Effect<A, TrustError> => {
  const noAnswer = (error: ActorStopped | MailboxFull | AskTimeout) =>
    Effect.fail(new TrustError({ reason: "NotStored", node, detail: `the trust list does not answer: ${error._tag}` }))
  return Effect.catchTags(asked, { ActorStopped: noAnswer, MailboxFull: noAnswer, AskTimeout: noAnswer })
}

/** What was allowed beforehand is about nobody yet. */
const NOBODY = NodeId(0)
const MAILBOX_CAPACITY = 256
/** Each may wait for a dial. */
const DELIVERIES_MAX = 32
