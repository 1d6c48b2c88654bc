/** What a node does with its own record: register, report alive, leave, describe itself, change its key. */

import { Result } from "effect"
import * as Endpoint from "../../core/data/Endpoint.ts"
import * as Json from "../../core/data/Json.ts"
import { NodeId } from "../wire/Address.ts"
import * as Signature from "../wire/RegistrySignature.ts"
import * as Authentication from "./Authentication.ts"
import * as CardOperations from "./CardOperations.ts"
import type { Change } from "./Change.ts"
import * as HostnameTable from "./HostnameTable.ts"
import type { Instant } from "./Instant.ts"
import * as KeyChainOperations from "./KeyChainOperations.ts"
import * as Lease from "./Lease.ts"
import * as NodeRecord from "./NodeRecord.ts"
import * as NodeTable from "./NodeTable.ts"
import * as Refusal from "./Refusal.ts"
import * as Registration from "./Registration.ts"
import type { RegistryState } from "./RegistryState.ts"
import {
  answer,
  type Call,
  claimHostname,
  leave,
  type Operation,
  requireNode,
  requireSigner,
  store
} from "./RegistryState.ts"
import * as SourceLimits from "./SourceLimits.ts"
import * as Tags from "./Tags.ts"

/** `register` (rendezvous §4.1). */
export const register: Operation = (state, call) =>
  Result.gen(function* () {
    const claim = yield* Registration.decode(call.fields)
    const known = yield* KeyChainOperations.knownBy(state, claim.publicKey, call)
    const { host } = call.source
    // A node that is back must not be kept out by strangers who share its address.
    if (!SourceLimits.take(state.limits, "register", host, call.at.nowMs) && known === undefined) {
      return yield* Refusal.fail("rate_limited", `rate limited: too many registrations from ${host}`)
    }
    const isSigned = yield* Registration.authorize(claim, known, state.policy, state.verify)
    const before = yield* Registration.identify(claim, known, state.nodes, state.policy, call.at.unixSeconds)
    const keeps = known?.keys !== undefined || Json.member(call.fields, "key_chain") !== undefined
    const chain = yield* KeyChainOperations.chainOf(call)
    const naming = nameAtRegistration(state, before, claim.hostname, call.at)
    const record: NodeRecord.NodeRecord = {
      ...before,
      owner: before.owner === "" ? claim.owner : before.owner,
      endpoint: Registration.endpoint(claim.listenAddress, call.source),
      lanAddresses: claim.lanAddresses,
      hostname: naming.hostname ?? before.hostname,
      isPresent: true,
      presentAtSeconds: call.at.unixSeconds,
      hasSigned: before.hasSigned || isSigned,
      ...(keeps && {
        keys: KeyChainOperations.learnt(state, before, chain, call, known === undefined ? call.at.unixSeconds : 0)
      })
    }
    Lease.begin(state.leases, record.id, call.at.nowMs)
    const members = {
      node_id: record.id,
      network_id: 0,
      address: NodeRecord.address(record),
      public_key: claim.publicKeyText,
      observed_addr: Endpoint.format(call.source),
      protocol_version: PROTOCOL_VERSION,
      ...(naming.hostname !== undefined && { hostname: naming.hostname }),
      ...(naming.error !== undefined && { hostname_error: naming.error })
    }
    return yield* answer(members, [...naming.changes, store(state, record)])
  })

/** `heartbeat` (rendezvous §4.2), with the time in the signed text where the client puts it there (§14.3). */
export const heartbeat: Operation = (state, call) =>
  Result.gen(function* () {
    const node = yield* requireNode(state, nodeId(call, "node_id"))
    const isBound = yield* checkHeartbeat(state, node, call)
    Lease.renew(state.leases, node.id, call.at.nowMs)
    const changes = isBound && !node.hasBoundHeartbeat ? [store(state, { ...node, hasBoundHeartbeat: true })] : []
    return yield* answer({ time: call.at.unixSeconds }, changes)
  })

/** `deregister` (rendezvous §4.3). Leaving twice is not an error. */
export const deregister: Operation = (state, call) => {
  const id = nodeId(call, "node_id")
  if (NodeTable.present(state.nodes, id) === undefined) return answer({})
  return Result.flatMap(signer(state, call, id, Signature.deregister(id)), (node) =>
    answer({}, [leave(state, node, call.at), ...CardOperations.forget(state, id)])
  )
}

/** `set_hostname` (rendezvous §4.9); empty clears. */
export const setHostname: Operation = (state, call) =>
  Result.gen(function* () {
    const id = nodeId(call, "node_id")
    const hostname = Json.string(call.fields, "hostname")
    if (hostname !== "") {
      yield* Result.mapError(HostnameTable.validate(hostname), (text) =>
        Refusal.make("hostname_invalid", `invalid hostname: ${text}`)
      )
    }
    const node = yield* signer(state, call, id, Signature.setHostname(id))
    const freed = yield* Result.mapError(claimHostname(state, hostname, id, call.at), (holder) =>
      Refusal.make("hostname_taken", `hostname "${hostname}" already in use by node ${holder}`)
    )
    return yield* answer({ node_id: id, hostname }, [...freed, store(state, { ...node, hostname })])
  })

/** `set_visibility` (rendezvous §4.10). */
export const setVisibility: Operation = (state, call) => {
  const id = nodeId(call, "node_id")
  return Result.flatMap(signer(state, call, id, Signature.setVisibility(id)), (node) => {
    const isPublic = Json.boolean(call.fields, "public")
    const members = { node_id: id, visibility: isPublic ? "public" : "private" }
    return answer(members, [store(state, { ...node, isPublic })])
  })
}

/** `set_tags` (rendezvous §4.10). */
export const setTags: Operation = (state, call) =>
  Result.gen(function* () {
    const id = nodeId(call, "node_id")
    const tags = yield* Result.mapError(Tags.normalize(Json.strings(call.fields, "tags")), (text) =>
      Refusal.make("tags_invalid", text)
    )
    const node = yield* signer(state, call, id, Signature.setTags(id))
    // The reference answers no tags with null, not with an empty list.
    return yield* answer({ node_id: id, tags: tags.length === 0 ? null : tags }, [store(state, { ...node, tags })])
  })

/** `set_task_exec` (rendezvous §4.10). */
export const setTaskExec: Operation = (state, call) => {
  const id = nodeId(call, "node_id")
  return Result.flatMap(signer(state, call, id, Signature.setTaskExec(id)), (node) => {
    const taskExec = Json.boolean(call.fields, "enabled")
    return answer({ node_id: id, task_exec: taskExec }, [store(state, { ...node, taskExec })])
  })
}

/** `rotate_key` (rendezvous §4.11): the signature names the new key unless the operator allows the old form. */
export const rotateKey: Operation = (state, call) =>
  Result.gen(function* () {
    const id = nodeId(call, "node_id")
    const newKeyText = Json.string(call.fields, "new_public_key")
    // A chain is signed itself; by the recovery key, when the node's own is in other hands.
    if (Json.string(call.fields, "signature") === "" && Json.string(call.fields, "key_chain") === "") {
      return yield* Refusal.fail("signature_required", "rotate_key requires a valid signature")
    }
    if (newKeyText === "") return yield* Refusal.fail("field_required", "rotate_key requires new_public_key")
    const publicKey = yield* Registration.decodeKey(newKeyText)
    const node = yield* requireNode(state, id)
    if (node.keys !== undefined) {
      const record = yield* KeyChainOperations.rotated(state, node, publicKey, call)
      const moved = { node_id: id, address: NodeRecord.address(record), public_key: newKeyText }
      return yield* answer(moved, [store(state, record), ...CardOperations.forget(state, id)])
    }
    const isBound = yield* checkRotation(state, node, newKeyText, call)
    const holder = NodeTable.findByKey(state.nodes, publicKey)
    if (holder !== undefined && holder.id !== id) {
      return yield* Refusal.fail("key_in_use", "new_public_key already belongs to another node")
    }
    Lease.renew(state.leases, id, call.at.nowMs)
    const record = { ...node, publicKey, hasBoundRotation: node.hasBoundRotation || isBound }
    const members = { node_id: id, address: NodeRecord.address(record), public_key: newKeyText }
    return yield* answer(members, [store(state, record), ...CardOperations.forget(state, id)])
  })

interface Naming {
  readonly hostname?: string
  readonly error?: string
  readonly changes: ReadonlyArray<Change>
}

/** A bad or taken name never fails a registration; it is reported beside it. */
const nameAtRegistration = (
  state: RegistryState,
  node: NodeRecord.NodeRecord,
  hostname: string,
  at: Instant
): Naming => {
  if (hostname === "") return { changes: [] }
  const valid = HostnameTable.validate(hostname)
  if (Result.isFailure(valid)) return { error: valid.failure, changes: [] }
  return Result.match(claimHostname(state, hostname, node.id, at), {
    onFailure: () => ({ error: `hostname "${hostname}" already in use`, changes: [] }),
    onSuccess: (changes) => ({ hostname, changes })
  })
}

/** True when the signature covers the time. */
const checkHeartbeat = (
  state: RegistryState,
  node: NodeRecord.NodeRecord,
  call: Call
): Result.Result<boolean, Refusal.Refusal> => {
  const signature = Json.string(call.fields, "signature")
  const seconds = Json.integer(call.fields, "ts")
  if (Math.abs(seconds - call.at.unixSeconds) <= CLOCK_SKEW_SECONDS) {
    const text = Signature.boundHeartbeat(node.id, seconds)
    if (Result.isSuccess(Authentication.check(state.verify, node, text, signature))) return Result.succeed(true)
  }
  if (node.hasBoundHeartbeat) {
    return Refusal.fail("signature_invalid", "this node signs heartbeats with their time: a fresh ts is required")
  }
  return Result.map(Authentication.check(state.verify, node, Signature.heartbeat(node.id), signature), () => false)
}

/** True when the signature covers the new key. */
const checkRotation = (
  state: RegistryState,
  node: NodeRecord.NodeRecord,
  newKeyText: string,
  call: Call
): Result.Result<boolean, Refusal.Refusal> => {
  const signature = Json.string(call.fields, "signature")
  const bound = Authentication.check(state.verify, node, Signature.boundRotateKey(node.id, newKeyText), signature)
  if (Result.isSuccess(bound)) return Result.succeed(true)
  const unbound = Authentication.check(state.verify, node, Signature.rotateKey(node.id), signature)
  if (Result.isFailure(unbound)) return Result.fail(unbound.failure)
  return state.policy.allowUnboundRotation && !node.hasBoundRotation && !node.hasSigned
    ? Result.succeed(false)
    : Refusal.fail("unbound_rotation", UNBOUND_HINT)
}

const signer = (state: RegistryState, call: Call, id: NodeId, message: string) =>
  requireSigner(state, id, message, Json.string(call.fields, "signature"))

const nodeId = (call: Call, name: string): NodeId => NodeId(Json.unsigned(call.fields, name, 32))

/** Announced by newer registries; tells a client that rotations name their key (rendezvous §14.3, §14.8). */
const PROTOCOL_VERSION = 1
const CLOCK_SKEW_SECONDS = 300
const UNBOUND_HINT =
  "the rotation must sign its new key (rotate:<node_id>:<new_public_key>); " +
  "the operator can admit the old text from nodes that never registered signed with --compat-unbound-rotation"
