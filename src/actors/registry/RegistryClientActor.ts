/**
 * `RegistryClient` over one connection.
 *
 * Owns the connection and the node id that the registry gave. Told by its users what to call, each with a reply slot;
 * tells nobody. Calls go out as they come and wait for their replies together. A full mailbox makes the caller wait,
 * within the time of its call. Restarted with a new connection; the node id outlives that, because the registry still
 * knows it.
 */
import { Deferred, Effect, Layer, Result, type Scope, Semaphore } from "effect"
import * as Actor from "../../core/actor/Actor.ts"
import type { SigningKey } from "../../core/crypto/Crypto.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Json from "../../core/data/Json.ts"
import { TlsClient } from "../../core/net/TlsClient.ts"
import type { WebSocketTarget } from "../../core/net/WebSocketClient.ts"
import * as CapabilityCard from "../../protocol/directory/CapabilityCard.ts"
import * as KeyChain from "../../protocol/identity/KeyChain.ts"
import { NodeId } from "../../protocol/wire/Address.ts"
import * as DecodeError from "../../protocol/wire/DecodeError.ts"
import * as RegistryMessage from "../../protocol/wire/RegistryMessage.ts"
import * as RegistryReply from "../../protocol/wire/RegistryReply.ts"
import * as RegistryRequest from "../../protocol/wire/RegistryRequest.ts"
import { RegistryClient, RegistryError } from "./RegistryClient.ts"
import { RegistryConnection } from "./RegistryConnection.ts"
import type { RegistrySecurity } from "./RegistryPins.ts"

/** Which registry, how it is recognised, and who asks. */
export interface RegistryClientOptions {
  readonly host: string
  readonly port: number
  readonly security: RegistrySecurity
  /** Another way to the same registry, for where its port cannot be reached. */
  readonly through?: WebSocketTarget | undefined
  /** The node's identity: registered with, and signed with. */
  readonly key: SigningKey
  /** What the registry is to know of the keys of this node, at each registration. */
  readonly keyChain?: () => KeyChain.KeyChain
  /** For one call, from asking to the reply, reconnecting included. */
  readonly callTimeoutMs?: number
}

/** What the actor is told: one call, or that the way to the registry is another one now. */
export type Message = Call | "HangUp"

/** One call. */
export interface Call {
  readonly operation: string
  readonly request: RegistryRequest.RegistryRequest
  readonly reply: Deferred.Deferred<Json.JsonObject, RegistryError>
}

/** Provides `RegistryClient`. Nothing is connected before the first call. */
export const layer = (options: RegistryClientOptions): Layer.Layer<RegistryClient, never, TlsClient> =>
  Layer.effect(RegistryClient, make(options))

/** The client, in the surrounding scope, whose end closes its connection. */
export const make = Effect.fn("RegistryClientActor.make")(function* (
  options: RegistryClientOptions
): Effect.fn.Return<RegistryClient["Service"], never, TlsClient | Scope.Scope> {
  const timeoutMs = options.callTimeoutMs ?? CALL_TIMEOUT_MS
  const actor = yield* spawn(options, timeoutMs)
  const { key } = options
  let self: NodeId | undefined

  const call = (request: RegistryRequest.RegistryRequest): Effect.Effect<Json.JsonObject, RegistryError> => {
    const operation = operationOf(request)
    const message = RegistryRequest.signedText(request)
    const signed =
      message === undefined
        ? request
        : RegistryRequest.withSignature(request, Bytes.toBase64(key.sign(Bytes.fromUtf8(message))))
    return actor
      .ask<Json.JsonObject, RegistryError>(
        (reply) => ({ operation, request: signed, reply }),
        timeoutMs + ASK_MARGIN_MS
      )
      .pipe(
        Effect.catchTags({
          AskTimeout: () => fail("Timeout", operation, `no answer within ${timeoutMs} ms`),
          ActorStopped: () => fail("Unavailable", operation, "the registry client has stopped"),
          MailboxFull: () => fail("Unavailable", operation, "too many registry calls are waiting")
        }),
        Effect.flatMap((reply) => checked(operation, reply))
      )
  }
  /** A call that this node signs, and so must have registered for. */
  const asSelf = (request: (node: NodeId) => RegistryRequest.RegistryRequest) =>
    Effect.suspend(() =>
      self === undefined
        ? fail("Refused", operationOf(request(NodeId(0))), "this node is not registered yet")
        : call(request(self))
    )

  return RegistryClient.of({
    register: ({ listenAddress, owner = "", lanAddresses = [] }) =>
      Effect.suspend(() => {
        const publicKey = Bytes.toBase64(key.publicKey)
        const keyChain = KeyChain.toText(options.keyChain?.() ?? [])
        return call({
          _tag: "Register",
          listenAddress,
          publicKey,
          owner,
          hostname: "",
          lanAddresses,
          keyChain,
          signature: ""
        })
      }).pipe(
        Effect.flatMap((reply) => decoded("register", RegistryReply.registered(reply))),
        Effect.map(({ node, address }) => {
          self = node
          return { node, address }
        })
      ),
    hangUp: Effect.ignore(actor.tell("HangUp")),
    heartbeat: Effect.map(
      asSelf((node) => ({ _tag: "Heartbeat", node, signature: "" })),
      (reply) => ({ timeSeconds: RegistryReply.heartbeatTime(reply) })
    ),
    deregister: asSelf((node) => ({ _tag: "Deregister", node, signature: "" })),
    lookup: (node) =>
      Effect.flatMap(call({ _tag: "Lookup", node }), (raw) =>
        Effect.map(decoded("lookup", RegistryReply.lookedUp(raw)), (reply) => ({ ...reply, raw }))
      ),
    resolve: (node) =>
      asSelf((requester) => ({ _tag: "Resolve", node, requester, signature: "" })).pipe(
        Effect.flatMap((reply) => decoded("resolve", RegistryReply.resolved(reply))),
        Effect.map(({ endpoint }) => endpoint)
      ),
    resolveHostname: (hostname) =>
      Effect.flatMap(call({ _tag: "ResolveHostname", hostname, requester: self ?? NodeId(0) }), (raw) =>
        Effect.map(decoded("resolve_hostname", RegistryReply.resolvedHostname(raw)), (reply) => ({ ...reply, raw }))
      ),
    score: (node) => Effect.map(call({ _tag: "GetScore", node }), RegistryReply.score),
    addScore: (node, points) =>
      Effect.asVoid(asSelf((requester) => ({ _tag: "AddScore", node, requester, points, signature: "" }))),
    publishKeyChain: (node, chain) => publishKeyChain(call, node, chain),
    cards: cardsOf(key, asSelf, call),
    ...aboutSelf(asSelf),
    ...aboutTrust(asSelf)
  })
})

type AsSelf = (
  request: (node: NodeId) => RegistryRequest.RegistryRequest
) => Effect.Effect<Json.JsonObject, RegistryError>

const aboutSelf = (
  asSelf: AsSelf
): Pick<RegistryClient["Service"], "setHostname" | "setVisibility" | "setTags" | "setTaskExec"> => ({
  setHostname: (hostname) => asSelf((node) => ({ _tag: "SetHostname", node, hostname, signature: "" })),
  setVisibility: (isPublic) => asSelf((node) => ({ _tag: "SetVisibility", node, isPublic, signature: "" })),
  setTags: (tags) => asSelf((node) => ({ _tag: "SetTags", node, tags, signature: "" })),
  setTaskExec: (enabled) => asSelf((node) => ({ _tag: "SetTaskExec", node, enabled, signature: "" }))
})

const publishKeyChain = (
  call: (request: RegistryRequest.RegistryRequest) => Effect.Effect<Json.JsonObject, RegistryError>,
  node: NodeId,
  chain: KeyChain.KeyChain
): ReturnType<RegistryClient["Service"]["publishKeyChain"]> =>
  Effect.flatMap(call({ _tag: "PublishKeyChain", node, keyChain: KeyChain.toText(chain) }), (reply) => {
    const publicKey = Bytes.fromBase64(Json.string(reply, "public_key"))
    if (publicKey === undefined) return fail("BadReply", "publish_key_chain", "it names no key")
    const pendingUntil = Json.integer(reply, "pending_until")
    return Effect.succeed({
      publicKey,
      pendingUntilSeconds: pendingUntil === 0 ? undefined : pendingUntil,
      isForked: Json.boolean(reply, "forked")
    })
  })

const cardsOf = (
  key: SigningKey,
  asSelf: AsSelf,
  call: (request: RegistryRequest.RegistryRequest) => Effect.Effect<Json.JsonObject, RegistryError>
): RegistryClient["Service"]["cards"] => ({
  sign: (card) => ({ card, signature: Bytes.toBase64(key.sign(Bytes.fromUtf8(CapabilityCard.signedText(card)))) }),
  publish: (signedCard) => Effect.asVoid(asSelf((node) => ({ _tag: "PublishCard", node, signedCard, signature: "" }))),
  withdraw: (service) => Effect.asVoid(asSelf((node) => ({ _tag: "WithdrawCard", node, service, signature: "" }))),
  search: (question) => Effect.map(call({ _tag: "SearchCards", ...question }), RegistryReply.foundCards)
})

const aboutTrust = (
  asSelf: AsSelf
): Pick<
  RegistryClient["Service"],
  "reportTrust" | "revokeTrust" | "requestHandshake" | "respondHandshake" | "pollHandshakes"
> => ({
  reportTrust: (peer) => Effect.asVoid(asSelf((node) => ({ _tag: "ReportTrust", node, peer, signature: "" }))),
  revokeTrust: (peer) => Effect.asVoid(asSelf((node) => ({ _tag: "RevokeTrust", node, peer, signature: "" }))),
  requestHandshake: (to, justification) =>
    Effect.asVoid(asSelf((from) => ({ _tag: "RequestHandshake", from, to, justification, signature: "" }))),
  respondHandshake: (peer, accept) =>
    Effect.asVoid(asSelf((node) => ({ _tag: "RespondHandshake", node, peer, accept, signature: "" }))),
  pollHandshakes: Effect.map(
    asSelf((node) => ({ _tag: "PollHandshakes", node, signature: "" })),
    (reply) => {
      const { requests, responses } = RegistryReply.polled(reply)
      return {
        requests: requests.map(({ from, justification, unixSeconds }) => ({
          from,
          justification,
          timestamp: unixSeconds
        })),
        responses: responses.map(({ from, accept, unixSeconds }) => ({ from, accept, timestamp: unixSeconds }))
      }
    }
  )
})

const spawn = Effect.fnUntraced(function* (options: RegistryClientOptions, timeoutMs: number) {
  const client = yield* TlsClient
  return yield* Actor.spawn<Message, never, never>({
    name: "registry-client",
    mailbox: { capacity: MAILBOX_CAPACITY, overflow: "backpressure" },
    restart: { intensity: 5, periodMs: 60_000 },
    start: Effect.gen(function* () {
      const scope = yield* Effect.scope
      const calls = yield* Semaphore.make(CALLS_MAX)
      const target = { ...options, connectTimeoutMs: CONNECT_TIMEOUT_MS }
      const connection = new RegistryConnection(target, client, scope)
      const perform = ({ operation, reply, request }: Call) =>
        connection.call(operation, RegistryRequest.toObject(request), request._tag !== "AddScore").pipe(
          Effect.timeoutOrElse({
            duration: timeoutMs,
            orElse: () => fail("Timeout", operation, `no answer within ${timeoutMs} ms`)
          }),
          Effect.exit,
          Effect.flatMap((exit) => Deferred.done(reply, exit)),
          Effect.ensuring(calls.release(1))
        )
      return {
        // A call that waits for its reply holds up nobody; the mailbox fills only when too many do.
        receive: (message: Message) =>
          message === "HangUp"
            ? connection.hangUp
            : Effect.andThen(
                calls.take(1),
                Effect.asVoid(Effect.forkIn(perform(message), scope, { startImmediately: true }))
              )
      }
    })
  })
})

/** A failed reply as an error. */
const checked = (operation: string, reply: Json.JsonObject): Effect.Effect<Json.JsonObject, RegistryError> => {
  const text = RegistryMessage.failureText(reply)
  if (text === undefined) return Effect.succeed(reply)
  return fail(isNotFound(operation, reply, text) ? "NotFound" : "Refused", operation, text)
}

/** Ours says so by code, newer ones by text; to the reference's one text these two operations have one likely cause. */
const isNotFound = (operation: string, reply: Json.JsonObject, text: string): boolean => {
  const code = Json.string(reply, "code")
  if (code !== "") return code === "node_not_found" || code === "hostname_not_found"
  return text.includes("not found") || operation === "lookup" || operation === "resolve_hostname"
}

const decoded = <A>(
  operation: string,
  result: Result.Result<A, DecodeError.DecodeError>
): Effect.Effect<A, RegistryError> =>
  Result.match(result, {
    onSuccess: (value) => Effect.succeed(value),
    onFailure: (error) => fail("BadReply", operation, DecodeError.format(error))
  })

const operationOf = (request: RegistryRequest.RegistryRequest): string =>
  Json.string(RegistryRequest.toObject(request), "type")

const fail = (reason: RegistryError["reason"], operation: string, detail: string) =>
  Effect.fail(new RegistryError({ reason, operation, detail }))

const CALL_TIMEOUT_MS = 10_000
/** The actor's own time-out comes first, so that its reason is the one reported. */
const ASK_MARGIN_MS = 1000
const CONNECT_TIMEOUT_MS = 5000
const MAILBOX_CAPACITY = 256
/** Calls without a reply on one connection. */
const CALLS_MAX = 32
