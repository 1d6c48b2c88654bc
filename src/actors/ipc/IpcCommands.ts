/**
 * The requests that are answered with JSON (node §1.5, §1.7, §1.8), each a call of a service. A refusal is the text of
 * an Error frame; its part before the first colon is the reference's.
 */
import { Duration, Effect, Schedule } from "effect"
import * as MonotonicTime from "../../core/actor/MonotonicTime.ts"
import type { Crypto } from "../../core/crypto/Crypto.ts"
import type { JsonObject } from "../../core/data/Json.ts"
import * as Address from "../../protocol/wire/Address.ts"
import type { IpcRequest } from "../../protocol/wire/IpcRequest.ts"
import type { OwnKeys } from "../identity/OwnKeys.ts"
import type { Memberships } from "../membership/Memberships.ts"
import { Node } from "../node/Node.ts"
import type { Broker } from "../pubsub/Broker.ts"
import * as Names from "../registry/Names.ts"
import { RegistryClient, type RegistryError } from "../registry/RegistryClient.ts"
import type { Tasks } from "../services/tasks/Tasks.ts"
import { PeerKeys } from "../trust/PeerKeys.ts"
import { Trust } from "../trust/Trust.ts"
import type { Webhooks } from "../webhook/Webhooks.ts"
import * as InfoReply from "./InfoReply.ts"
import * as IpcAnswer from "./IpcAnswer.ts"
import * as IpcEvents from "./IpcEvents.ts"
import * as IpcExtension from "./IpcExtension.ts"
import * as IpcKeys from "./IpcKeys.ts"
import * as IpcNetworks from "./IpcNetworks.ts"
import * as IpcRendezvous from "./IpcRendezvous.ts"
import * as IpcTasks from "./IpcTasks.ts"
import * as IpcTrust from "./IpcTrust.ts"

/** What a running daemon says of itself. */
export interface Daemon {
  readonly version: string
  readonly beacon: string
  /** Its broker, for `events.status`. */
  readonly broker?: Broker["Service"]
  /** For the operations `task.…`. */
  readonly tasks?: Tasks["Service"]
  /** For SetWebhook and the operations `webhook.…`. */
  readonly webhooks?: Webhooks["Service"]
  /** For the operations `rendezvous.…`, and in Info. */
  readonly memberships?: Memberships["Service"]
  /** For the operations `key.…` and `recovery.…`. */
  readonly ownKeys?: OwnKeys["Service"]
  /** Where it is registered, for invitations. */
  readonly rendezvous?: Effect.Effect<IpcTrust.Rendezvous>
  /** The operations `policy.…` and `audit.…`; undefined for others. */
  readonly rules?: (op: string, value: JsonObject) => Effect.Effect<JsonObject, string> | undefined
}

/** The services behind the socket. */
export type Services = Node | RegistryClient | Trust | PeerKeys | Crypto

/** Requests that `answer` knows. */
export type JsonRequest = Exclude<
  IpcRequest,
  {
    readonly _tag:
      | "Empty"
      | "Bind"
      | "Unbind"
      | "Dial"
      | "Cancel"
      | "Broadcast"
      | "Send"
      | "SendTo"
      | "SendToConfirm"
      | "Close"
  }
>

/** The JSON reply, or the text of the refusal. */
export const answer = (daemon: Daemon, request: JsonRequest): Effect.Effect<JsonObject, string, Services> => {
  switch (request._tag) {
    case "Info":
      return Effect.flatMap(look(daemon), ([status, surroundings]) =>
        Effect.map(problems(daemon), (found) => ({ ...InfoReply.info(status, surroundings), ...found }))
      )
    case "Health":
      return Effect.map(look(daemon), ([status, surroundings]) => InfoReply.health(status, surroundings))
    case "ResolveHostname":
      return resolveHostname(request.name)
    case "SetHostname":
      return setHostname(request.name)
    case "SetVisibility":
      return setVisibility(request.isPublic)
    case "Deregister":
      return registry("deregister", (client) => client.deregister)
    case "SetTags":
      return registry("set_tags", (client) => client.setTags(request.tags))
    case "SetTaskExec":
      return registry("set_task_exec", (client) => client.setTaskExec(request.enabled))
    case "SetWebhook":
      return daemon.webhooks === undefined
        ? Effect.fail("unknown command: 0x1B")
        : IpcEvents.setWebhook(daemon.webhooks, request.url)
    case "RotateKey":
      return IpcKeys.rotate(daemon.ownKeys)
    case "EnrollRecovery":
      return IpcKeys.enrol(daemon.ownKeys, request.enrollment, request.signature)
    case "Extension":
      return (
        daemon.rules?.(request.op, request.value) ??
        IpcEvents.perform(daemon, request.op, request.value) ??
        IpcRendezvous.perform(daemon, request.op, request.value) ??
        IpcTasks.perform(daemon.tasks, request.op, request.value) ??
        IpcKeys.perform(daemon.ownKeys, request.op, request.value) ??
        IpcNetworks.perform(request.op, request.value) ??
        IpcTrust.perform(daemon, request.op, request.value) ??
        IpcExtension.perform(request.op, request.value)
      )
    default:
      return handshake(request)
  }
}

/** What a person should know of the policy and the audit log; nothing if all is well. */
const problems = Effect.fnUntraced(function* ({ rules }: Daemon) {
  const policy = yield* rules?.("policy.status", {}) ?? Effect.succeed({})
  const audit = yield* rules?.("audit.status", {}) ?? Effect.succeed({})
  const { problem, failure } = { problem: undefined, failure: undefined, ...policy, ...audit }
  return {
    ...(problem === undefined ? {} : { policy_problem: problem }),
    ...(failure === undefined ? {} : { audit_failure: failure })
  }
})

type HandshakeRequest = Extract<JsonRequest, { readonly _tag: `Handshake${string}` }>

const handshake = Effect.fnUntraced(function* (
  request: HandshakeRequest
): Effect.fn.Return<JsonObject, string, Services> {
  const trust = yield* Trust
  switch (request._tag) {
    case "HandshakeSend": {
      const sent = trust.request(request.node, request.justification)
      const status = yield* Effect.mapError(sent, (error) => `handshake request: ${IpcAnswer.trustText(error)}`)
      return { node_id: request.node, status }
    }
    case "HandshakeApprove":
      return yield* IpcAnswer.approved(request.node, trust.approve(request.node))
    case "HandshakeReject":
      return yield* IpcAnswer.rejected(request.node, trust.reject(request.node, request.reason))
    case "HandshakeRevoke":
      yield* Effect.mapError(trust.revoke(request.node), (error) => `handshake revoke: ${IpcAnswer.trustText(error)}`)
      return { node_id: request.node, status: "revoked" }
    case "HandshakePending":
      return yield* Effect.andThen(poll(trust), IpcAnswer.pendingList)
    case "HandshakeTrusted":
      return yield* Effect.andThen(poll(trust), IpcAnswer.trustedList)
    case "HandshakeWait":
      return yield* awaitTrust(trust, request.node, request.timeoutMs)
  }
})

/** What the registry holds for this node is fetched first, but a registry that is away delays no list for long. */
const poll = (trust: Trust["Service"]): Effect.Effect<void> => Effect.ignore(Effect.timeout(trust.poll, POLL_TIMEOUT))

const awaitTrust = Effect.fnUntraced(function* (trust: Trust["Service"], node: Address.NodeId, timeoutMs: number) {
  const keys = yield* PeerKeys
  const trusted = yield* Effect.sync(() => keys.isTrusted(node)).pipe(
    Effect.tap((isTrusted) => (isTrusted ? Effect.void : poll(trust))),
    Effect.repeat({ schedule: Schedule.spaced(TRUST_POLL_INTERVAL), until: (isTrusted) => isTrusted }),
    Effect.timeoutOrElse({ duration: timeoutMs, orElse: () => Effect.sync(() => keys.isTrusted(node)) })
  )
  return { node_id: node, trusted }
})

const look = Effect.fnUntraced(function* ({ version, beacon, memberships }: Daemon) {
  const keys = yield* PeerKeys
  const pending = yield* Effect.flatMap(Trust, (trust) => trust.pending)
  const status = yield* Effect.flatMap(Node, (node) => node.status)
  const surroundings: InfoReply.Surroundings = {
    version,
    beacon,
    nowMs: yield* MonotonicTime.nowMs,
    fingerprint: yield* IpcAnswer.fingerprints,
    pendingHandshakes: pending.length,
    memberships: memberships === undefined ? [] : yield* IpcRendezvous.rows(memberships),
    isTrusted: (node) => keys.isTrusted(node)
  }
  return [status, surroundings] as const
})

/** The registry's reply in its own shape, and the fingerprint of the key that now counts for the name. */
const resolveHostname = Effect.fnUntraced(function* (name: string) {
  const fingerprint = yield* IpcAnswer.fingerprints
  const found = yield* IpcAnswer.refusing("resolve_hostname", Names.resolve(name))
  return {
    address: Address.format(found.address),
    hostname: found.hostname,
    node_id: found.node,
    public: found.isPublic,
    type: "resolve_hostname_ok",
    fingerprint: fingerprint(found.publicKey)
  }
})

const setHostname = Effect.fnUntraced(function* (name: string) {
  const reply = yield* registry("set_hostname", (client) => client.setHostname(name))
  yield* Effect.flatMap(Node, (node) => node.setHostname(name))
  return reply
})

const setVisibility = Effect.fnUntraced(function* (isPublic: boolean) {
  const reply = yield* registry("set_visibility", (client) => client.setVisibility(isPublic))
  yield* Effect.flatMap(Node, (node) => node.setPublic(isPublic))
  return reply
})

const registry = (
  command: string,
  call: (client: RegistryClient["Service"]) => Effect.Effect<Readonly<Record<string, unknown>>, RegistryError>
): Effect.Effect<JsonObject, string, RegistryClient> =>
  IpcAnswer.refusing(command, Effect.map(Effect.flatMap(RegistryClient, call), IpcAnswer.passedOn))

const POLL_TIMEOUT = Duration.seconds(2)
const TRUST_POLL_INTERVAL = Duration.seconds(1)
