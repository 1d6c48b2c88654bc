/**
 * Fetches what the registry relays (node §2.4) and tries again what is still due. The registry empties its inbox when it
 * answers, so a poll that has begun runs to its end, whoever waits for it.
 */
import { Effect, Fiber, type Scope } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Justification from "../../protocol/trust/Justification.ts"
import * as Revocation from "../../protocol/trust/Revocation.ts"
import { Input } from "../../protocol/trust/TrustHandshake.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import type { PolledHandshakes } from "../registry/RegistryClient.ts"
import * as PeerIdentity from "./PeerIdentity.ts"
import type { TrustActor } from "./TrustActor.ts"
import type { TrustContext } from "./TrustContext.ts"

/** The running poll service. */
export interface HandshakePoll {
  readonly poll: Effect.Effect<void>
}

/** A poll of which at most one runs at a time, in the surrounding scope: who asks meanwhile waits for the same one. */
export const make = Effect.fnUntraced(function* (
  context: TrustContext,
  actor: TrustActor
): Effect.fn.Return<HandshakePoll, never, Scope.Scope> {
  const scope = yield* Effect.scope
  let running: Fiber.Fiber<void> | undefined
  const ended = Effect.sync(() => {
    running = undefined
  })
  const poll = Effect.gen(function* () {
    running ??= yield* Effect.forkIn(Effect.ensuring(fetch(context, actor), ended), scope)
    yield* Fiber.await(running)
  })
  return { poll }
})

const fetch = (context: TrustContext, actor: TrustActor): Effect.Effect<void> =>
  context.registry.pollHandshakes.pipe(
    Effect.flatMap((polled) => heed(context, actor, polled)),
    Effect.andThen(actor.applyToAll(Input.Polled())),
    Effect.catch((error) => Effect.logDebug("the registry was not polled for handshakes", error.detail))
  )

/** Requests before responses: a peer that asked and accepted at once is asked for, not refused. */
const heed = Effect.fnUntraced(function* (context: TrustContext, actor: TrustActor, polled: PolledHandshakes) {
  yield* Effect.forEach(
    polled.requests.slice(0, ITEMS_MAX),
    ({ from, justification }) => heedRequest(context, actor, from, justification),
    { concurrency: LOOKUPS_MAX, discard: true }
  )
  for (const { from, accept } of polled.responses.slice(0, ITEMS_MAX)) {
    yield* Effect.ignore(actor.apply(from, accept ? Input.AcceptRelayed() : Input.RejectRelayed()))
  }
})

const heedRequest = Effect.fnUntraced(function* (
  context: TrustContext,
  actor: TrustActor,
  from: NodeId,
  justification: string
) {
  const own = yield* context.node.address
  if (from === own.node) return
  const notice = Revocation.parseNotice(justification)
  if (notice !== undefined) return yield* heedNotice(context, actor, from, notice)
  const publicKey = yield* PeerIdentity.relayed(context, from)
  if (publicKey === undefined) return context.report({ _tag: "KeyRefused", peer: from, reason: "KeyChanged" })
  const input = Input.RequestRelayed({ publicKey, justification: Justification.clean(justification) })
  yield* Effect.ignore(actor.apply(from, input))
})

/** The key that signed must be the one we know, whatever the registry says; else it is no request either. */
const heedNotice = Effect.fnUntraced(function* (
  context: TrustContext,
  actor: TrustActor,
  from: NodeId,
  { atSeconds, signature }: Revocation.Notice
) {
  const publicKey = context.keys.pinned(from)
  if (publicKey === undefined) return
  const signed = Bytes.fromUtf8(Revocation.signedText(publicKey, context.identity.publicKey, atSeconds))
  if (!context.crypto.verify(publicKey, signed, signature))
    return context.report({ _tag: "KeyRefused", peer: from, reason: "BadSignature" })
  yield* Effect.ignore(actor.apply(from, Input.RevokeRelayed({ publicKey, atSeconds })))
})

/** The registry keeps at most 100 of each (rendezvous §4.12); one that sends more is not believed further. */
const ITEMS_MAX = 256
const LOOKUPS_MAX = 4
