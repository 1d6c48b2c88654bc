/**
 * Serves port 444: takes one message from each stream, checks it (node §2.2) and hands what passed to the trust table.
 * Strangers reach this port, so everything about it is bounded: streams at once, in all and per node, the size and the
 * time of a message, messages per node.
 */
import { Clock, Effect, Result, type Scope } from "effect"
import * as MonotonicTime from "../../core/actor/MonotonicTime.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Quota from "../../core/data/Quota.ts"
import type { DropReason, KeyRefusal } from "../../protocol/ProtocolEvent.ts"
import * as HandshakeCheck from "../../protocol/trust/HandshakeCheck.ts"
import * as Justification from "../../protocol/trust/Justification.ts"
import type * as NetworkNotice from "../../protocol/trust/NetworkNotice.ts"
import * as ReplaySet from "../../protocol/trust/ReplaySet.ts"
import { Input } from "../../protocol/trust/TrustHandshake.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import * as HandshakeMessage from "../../protocol/wire/HandshakeMessage.ts"
import type { Connection, Listener } from "../node/Node.ts"
import * as HandshakeStream from "./HandshakeStream.ts"
import * as PeerIdentity from "./PeerIdentity.ts"
import type { TrustContext } from "./TrustContext.ts"

/** What the receiver serves, and whom it tells. */
export interface Options {
  readonly context: TrustContext
  readonly listener: Listener
  readonly received: (node: NodeId, input: Input) => Effect.Effect<void>
  /** What a peer knows of a network's revocations. */
  readonly noticed: (node: NodeId, notice: NetworkNotice.NetworkNotice) => Effect.Effect<void>
}

/** Serves in the surrounding scope until the listener ends. */
export const spawn = (options: Options): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const replays = ReplaySet.make()
    const streams = Quota.make<NodeId>({ countMax: STREAMS_MAX, perKeyMax: STREAMS_PER_NODE_MAX })
    const acceptOne = Effect.flatMap(options.listener.accept, (connection) => {
      const { node } = connection.remote
      if (!Quota.enter(streams, node)) return connection.reset
      const left = Effect.sync(() => Quota.leave(streams, node))
      return Effect.forkIn(Effect.ensuring(handle(options, replays, connection, node), left), scope)
    })
    yield* Effect.forkScoped(Effect.ignore(Effect.forever(acceptOne)), { startImmediately: true })
  })

const handle = Effect.fn("HandshakeReceiver.handle")(function* (
  options: Options,
  replays: ReplaySet.ReplaySet,
  connection: Connection,
  node: NodeId
) {
  const { context } = options
  const message = yield* HandshakeStream.receive(connection)
  // A peer that opens a stream and says nothing shows its key to us (security rule 2).
  if (message === "Nothing") return
  if (message === "Malformed") return context.report({ _tag: "PacketDropped", reason: "Malformed", peer: node })
  if ("serial" in message) return yield* options.noticed(node, message)
  // About its sender only; whether it is believed is in its statements.
  if ("chain" in message)
    return message.node === node ? yield* context.keys.chains.learn(node, message.chain) : undefined
  const verdict = yield* judge(context, replays, message, node)
  if (Result.isFailure(verdict)) return report(context, node, verdict.failure)
  yield* options.received(node, inputOf(message, verdict.success))
})

type Refusal = HandshakeCheck.Refusal | "Replayed" | "TooMany"

/** Node §2.2 in order, except that a message is remembered only when it is its sender's own, or anybody could fill the set. */
const judge = Effect.fnUntraced(function* (
  context: TrustContext,
  replays: ReplaySet.ReplaySet,
  message: HandshakeMessage.HandshakeMessage,
  streamNode: NodeId
): Effect.fn.Return<Result.Result<boolean, Refusal>> {
  const clock = yield* Clock.Clock
  const { node: ownNode } = yield* context.node.address
  const tunnelKey = yield* PeerIdentity.tunnelKey(context, streamNode)
  const claim: HandshakeCheck.Claim = { ...message, timestampSeconds: message.unixSeconds }
  const screened = HandshakeCheck.screen(
    claim,
    { ownNode, streamNode, tunnelKey, isSigned: isSigned(context) },
    clock.currentTimeMillisUnsafe() / 1000
  )
  if (Result.isFailure(screened)) return Result.fail(screened.failure)
  const digest = Bytes.toHex(context.crypto.sha256(HandshakeMessage.encode(message)))
  const replay = ReplaySet.record(replays, digest, streamNode, MonotonicTime.nowMsUnsafe(clock))
  if (replay !== "Fresh") return Result.fail(replay)
  return HandshakeCheck.confirm(message.publicKey, yield* PeerIdentity.known(context, streamNode))
})

const isSigned =
  (context: TrustContext): HandshakeCheck.Evidence["isSigned"] =>
  (publicKey, signature, from, to) =>
    context.crypto.verify(publicKey, Bytes.fromUtf8(HandshakeMessage.signedText(from, to)), signature)

const inputOf = (message: HandshakeMessage.HandshakeMessage, confirmed: boolean): Input => {
  const { publicKey } = message
  switch (message.kind) {
    case "request":
      return Input.RequestReceived({
        publicKey,
        justification: Justification.clean(message.justification),
        confirmed
      })
    case "accept":
      return Input.AcceptReceived({ publicKey, reason: Justification.clean(message.reason) })
    case "reject":
      return Input.RejectReceived({ publicKey, reason: Justification.clean(message.reason) })
    case "revoke":
      return Input.RevokeReceived({ publicKey })
  }
}

const report = (context: TrustContext, peer: NodeId, refusal: Refusal): void => {
  const reason = KEY_REFUSALS[refusal]
  if (reason !== undefined) context.report({ _tag: "KeyRefused", peer, reason })
  else context.report({ _tag: "PacketDropped", reason: DROPS[refusal] ?? "Malformed", peer })
}

const KEY_REFUSALS: Readonly<Partial<Record<Refusal, KeyRefusal>>> = {
  KeyMissing: "UnknownIdentity",
  TunnelUnauthenticated: "UnknownIdentity",
  NotTunnelKey: "KeyChanged",
  KeyMismatch: "RegistryMismatch",
  BadSignature: "BadSignature",
  SignatureMissing: "BadSignature"
}

const DROPS: Readonly<Partial<Record<Refusal, DropReason>>> = {
  OwnNode: "WrongSource",
  WrongSource: "WrongSource",
  Replayed: "ReplayedNonce",
  TooMany: "RateLimited"
}

/** A stranger may keep each open for ten seconds. */
const STREAMS_MAX = 64
const STREAMS_PER_NODE_MAX = 4
