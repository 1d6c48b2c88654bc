/**
 * Performs what the trust table wants done, in order: messages to peers, calls to the registry. What was overtaken
 * meanwhile is left out; what fails and still matters stays due in the table and is tried again after the next poll.
 */
import { Clock, Effect, Exit, Scope } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import type { Relation } from "../../protocol/trust/Relation.ts"
import * as Revocation from "../../protocol/trust/Revocation.ts"
import * as TrustHandshake from "../../protocol/trust/TrustHandshake.ts"
import * as TrustOutput from "../../protocol/trust/TrustOutput.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import type { RegistryError } from "../registry/RegistryClient.ts"
import * as HandshakeStream from "./HandshakeStream.ts"
import * as PeerIdentity from "./PeerIdentity.ts"
import type { TrustContext } from "./TrustContext.ts"
import { TrustError } from "./TrustError.ts"

/** One peer, as the table sees it. */
export interface Delivery {
  readonly context: TrustContext
  readonly node: NodeId
  /** Of the trust service; what still lingers ends with it. */
  readonly scope: Scope.Scope
  /** As it is at the moment of the call. */
  readonly relation: () => Relation
  /** The claims of this node to a network, by its number, for the accept of another member. */
  readonly vouch: (network: number) => Effect.Effect<string>
  /** Tells the table what became of something. */
  readonly tell: (input: TrustHandshake.Input) => Effect.Effect<void>
}

/** What is to be done outside, unlike a report or an answer. */
export type Task = Exclude<TrustOutput.Output, { readonly _tag: "Report" | "Answer" }>

/** Whether an output is one. */
export const isTask = (output: TrustOutput.Output): output is Task =>
  output._tag !== "Report" && output._tag !== "Answer"

/** Performs tasks one after the other. Fails only for a request of ours that found no way. */
export const perform = (self: Delivery, tasks: ReadonlyArray<Task>): Effect.Effect<void, TrustError> =>
  Effect.forEach(
    tasks,
    (task) => Effect.suspend(() => (isCurrent(self, task) ? performOne(self, task) : Effect.void)),
    { discard: true }
  )

const performOne = (self: Delivery, output: Task): Effect.Effect<void, TrustError> => {
  switch (output._tag) {
    case "SendRequest":
      return sendRequest(self, output)
    case "SendAccept":
      return sendAccept(self, output)
    case "SendReject":
      return output.publicKey.length === 0
        ? Effect.void
        : Effect.ignore(send(self, output, { kind: "reject", text: output.reason }, DIAL_TIMEOUT_MS))
    case "SendRevoke":
      return sendRevoke(self, output)
    case "OpenServices":
      return openServices(self, output)
    case "AnswerRelayed":
      return Effect.ignore(self.context.registry.respondHandshake(self.node, output.accept))
    case "OpenTunnel":
      return openTunnel(self, output.publicKey)
    case "ReportTrust":
      return reportTrust(self, output.publicKey)
    case "ReportRevocation":
      return reportRevocation(self)
    case "DropPeer":
      return self.context.node.dropPeer(self.node)
  }
}

type Addressed = Extract<Task, { readonly publicKey: Uint8Array }>

/**
 * Dial, say one thing, close (node §2.1). A dial takes time, so it is asked once more whether the words still hold.
 * Returns when the words are written; only a revocation waits for the end of its stream, because the tunnel goes next.
 */
const send = Effect.fnUntraced(function* (
  self: Delivery,
  output: Addressed,
  draft: HandshakeStream.Draft,
  timeoutMs: number,
  before: Effect.Effect<void> = Effect.void
) {
  const scope = yield* Scope.fork(self.scope)
  const close = Scope.close(scope, Exit.void)
  const connection = yield* HandshakeStream.open(self.context, self.node, output.publicKey, timeoutMs).pipe(
    Scope.provide(scope),
    Effect.tap((opened) =>
      isCurrent(self, output)
        ? Effect.andThen(before, HandshakeStream.write(self.context, opened, draft))
        : opened.close
    ),
    Effect.onError(() => close)
  )
  const ending = Effect.ensuring(HandshakeStream.linger(connection), close)
  yield* draft.kind === "revoke" ? ending : Effect.forkIn(ending, self.scope)
})

/** Directly; else it is left at the registry, unless the peer shows another key. */
const sendRequest = (self: Delivery, output: Of<"SendRequest">): Effect.Effect<void, TrustError> => {
  const left = self.tell(TrustHandshake.Input.RequestLeft())
  return send(self, output, { kind: "request", text: output.justification }, DIAL_TIMEOUT_MS, left).pipe(
    Effect.catch((error) =>
      error._tag === "WrongKey" || (error._tag === "DialError" && error.reason === "KeyChanged")
        ? Effect.fail(otherKey(self, output.publicKey, error._tag === "WrongKey" ? error.publicKey : undefined))
        : Effect.andThen(left, relayRequest(self, output.justification))
    ),
    Effect.onError(() => left)
  )
}

const relayRequest = (self: Delivery, justification: string): Effect.Effect<void, TrustError> =>
  self.context.registry
    .requestHandshake(self.node, justification)
    .pipe(
      Effect.catch((error) =>
        isWaitingAlready(error)
          ? Effect.void
          : Effect.fail(new TrustError({ reason: "RelayFailed", node: self.node, detail: error.detail }))
      )
    )

/** Either way will do; failing both, the accept stays due. Another key gets nothing. */
const sendAccept = (self: Delivery, output: Of<"SendAccept">): Effect.Effect<void> => {
  const answer = Effect.suspend(() =>
    isCurrent(self, output) ? self.context.registry.respondHandshake(self.node, true) : Effect.void
  )
  const network = self.relation().trusted?.network ?? 0
  const claims = network === 0 ? Effect.succeed("") : self.vouch(network)
  return Effect.flatMap(claims, (text) => send(self, output, { kind: "accept", text }, DIAL_TIMEOUT_MS)).pipe(
    Effect.catchTags({ DialError: () => answer, ConnectionReset: () => answer }),
    Effect.andThen(self.tell(TrustHandshake.Input.AcceptDelivered())),
    Effect.ignore
  )
}

/** Directly; else a notice waits at the registry for a peer that is away, and both are tried again until it answers. */
const sendRevoke = (self: Delivery, output: Of<"SendRevoke">): Effect.Effect<void> =>
  send(self, output, { kind: "revoke", text: REVOKED }, REVOKE_TIMEOUT_MS).pipe(
    Effect.matchEffect({
      onSuccess: () => self.tell(TrustHandshake.Input.RevokeDelivered()),
      onFailure: (error) => (error._tag === "WrongKey" ? Effect.void : leaveNotice(self, output.publicKey))
    })
  )

const leaveNotice = Effect.fnUntraced(function* (self: Delivery, publicKey: Uint8Array) {
  const { identity, registry } = self.context
  const atSeconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
  const signed = Bytes.fromUtf8(Revocation.signedText(identity.publicKey, publicKey, atSeconds))
  const notice = Revocation.formatNotice({ atSeconds, signature: identity.sign(signed) })
  yield* Effect.ignore(registry.requestHandshake(self.node, notice))
})

/** Before the peer hears of its trust, so that what it was promised is there. */
const openServices = (self: Delivery, { publicKey, services }: Of<"OpenServices">): Effect.Effect<void> => {
  const open = self.context.openServices
  if (open === undefined) return Effect.void
  return Effect.timeoutOrElse(open({ node: self.node, publicKey }, services), {
    duration: OPEN_TIMEOUT_MS,
    orElse: () => Effect.succeed(false)
  }).pipe(Effect.flatMap((isOpen) => (isOpen ? self.tell(TrustHandshake.Input.ServicesOpened()) : Effect.void)))
}

const openTunnel = (self: Delivery, publicKey: Uint8Array): Effect.Effect<void> =>
  Effect.scoped(HandshakeStream.open(self.context, self.node, publicKey, DIAL_TIMEOUT_MS)).pipe(
    Effect.andThen(self.tell(TrustHandshake.Input.TunnelOpened({ publicKey }))),
    Effect.ignore
  )

/** The registry numbers nodes anew when it forgets them, so the number must still have this key (rendezvous §9.3). */
const reportTrust = (self: Delivery, publicKey: Uint8Array): Effect.Effect<void> => {
  const { registry, report } = self.context
  return registry.lookup(self.node).pipe(
    Effect.flatMap((found) =>
      Bytes.equals(found.publicKey, publicKey)
        ? Effect.andThen(registry.reportTrust(self.node), self.tell(TrustHandshake.Input.TrustReported()))
        : Effect.sync(() => report({ _tag: "KeyRefused", peer: self.node, reason: "RegistryMismatch" }))
    ),
    Effect.ignore
  )
}

/** A registry that knows of no such pair has nothing to revoke. */
const reportRevocation = (self: Delivery): Effect.Effect<void> =>
  self.context.registry.revokeTrust(self.node).pipe(
    Effect.catchIf(isRefusal, () => Effect.void),
    Effect.andThen(self.tell(TrustHandshake.Input.RevocationReported())),
    Effect.ignore
  )

const isCurrent = (self: Delivery, output: Task): boolean => TrustOutput.isCurrent(output, self.relation())

const isRefusal = (error: RegistryError): boolean => error.reason === "Refused" || error.reason === "NotFound"

/** rendezvous §4.12: one request per sender waits at a time, and ours does already. */
const isWaitingAlready = (error: RegistryError): boolean =>
  error.reason === "Refused" && error.detail.includes("already pending")

const otherKey = (self: Delivery, meant: Uint8Array, shown: Uint8Array | undefined): TrustError => {
  const text = (publicKey: Uint8Array) => PeerIdentity.fingerprintOf(self.context, publicKey)
  const other = shown === undefined ? "another key" : `the key ${text(shown)}`
  const detail = `node ${self.node} should have the key ${text(meant)}, but shows ${other}`
  return new TrustError({ reason: "KeyChanged", node: self.node, detail })
}

type Of<Tag extends Task["_tag"]> = Extract<Task, { readonly _tag: Tag }>

/** node §2.3. */
const REVOKED = "trust revoked"
/** Long enough for a key exchange that lost its first packet (wire §6.4), short enough to wait for. */
const DIAL_TIMEOUT_MS = 8000
/** Meanwhile the peer's streams live on, so this is shorter. */
const REVOKE_TIMEOUT_MS = 3000
/** The keeper may have to be started first. */
const OPEN_TIMEOUT_MS = 5000
