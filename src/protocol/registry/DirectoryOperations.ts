/**
 * What the registry tells about nodes, and to whom (rendezvous §4.4–4.7, §4.9, §4.14): keys and names to anybody, the
 * endpoint of a private node only to those it trusts.
 */

import { Result } from "effect"
import * as Json from "../../core/data/Json.ts"
import { NodeId } from "../wire/Address.ts"
import * as Signature from "../wire/RegistrySignature.ts"
import * as Authentication from "./Authentication.ts"
import * as HostnameTable from "./HostnameTable.ts"
import * as NodeKeys from "./NodeKeys.ts"
import * as NodeRecord from "./NodeRecord.ts"
import * as NodeTable from "./NodeTable.ts"
import * as Refusal from "./Refusal.ts"
import * as Registration from "./Registration.ts"
import { answer, type Call, type Operation, type RegistryState, requireNode } from "./RegistryState.ts"
import * as TrustPairs from "./TrustPairs.ts"

/** `lookup` (rendezvous §4.4). */
export const lookup: Operation = (state, call) =>
  Result.flatMap(requireNode(state, nodeId(call, "node_id")), (node) =>
    answer({
      node_id: node.id,
      address: NodeRecord.address(node),
      networks: [BACKBONE],
      public_key: NodeTable.keyText(node.publicKey),
      public: node.isPublic,
      polo_score: node.poloScore,
      ...(node.hostname !== "" && { hostname: node.hostname }),
      ...(node.tags.length > 0 && { tags: node.tags }),
      ...(node.taskExec && { task_exec: true }),
      ...(node.isPublic && { real_addr: node.endpoint }),
      ...NodeKeys.members(node.keys, call.at.unixSeconds)
    })
  )

/** `resolve` (rendezvous §4.5). */
export const resolve: Operation = (state, call) =>
  Result.gen(function* () {
    const id = nodeId(call, "node_id")
    const requester = yield* requireRequester(state, call, "resolve")
    yield* checkSigned(state, requester, call, Signature.resolve(requester.id, id))
    const target = yield* requireNode(state, id)
    yield* requireReachable(state, requester, target)
    const lan = maySeeLan(state, requester, target) ? target.lanAddresses : []
    return yield* answer({
      node_id: id,
      real_addr: target.endpoint,
      ...(lan.length > 0 && { lan_addrs: lan })
    })
  })

/** `punch` (rendezvous §4.7), with the permission of `resolve`: the reference shows private endpoints to anybody. */
export const punch: Operation = (state, call) =>
  Result.gen(function* () {
    const a = nodeId(call, "node_a")
    const b = nodeId(call, "node_b")
    const requester = yield* requireRequester(state, call, "punch")
    if (requester.id !== a && requester.id !== b) {
      return yield* Refusal.fail("not_participant", "punch denied: requester must be participant")
    }
    yield* checkSigned(state, requester, call, Signature.punch(a, b))
    const nodeA = yield* requireNode(state, a)
    const nodeB = yield* requireNode(state, b)
    yield* requireReachable(state, requester, requester.id === a ? nodeB : nodeA)
    return yield* answer({ node_a: a, node_a_addr: nodeA.endpoint, node_b: b, node_b_addr: nodeB.endpoint })
  })

/** `resolve_hostname` (rendezvous §4.9): private nodes too, never an endpoint. */
export const resolveHostname: Operation = (state, call) => {
  const hostname = Json.string(call.fields, "hostname")
  if (hostname === "") return Refusal.fail("field_required", "hostname required")
  const holder = HostnameTable.holder(state.hostnames, hostname)
  const node = holder === undefined ? undefined : NodeTable.present(state.nodes, holder)
  if (node === undefined) return Refusal.fail("hostname_not_found", `hostname "${hostname}" not found`)
  return answer({ node_id: node.id, address: NodeRecord.address(node), public: node.isPublic, hostname })
}

/** `list_networks` (rendezvous §4.14): custom networks are switched off, so there is one. */
export const listNetworks: Operation = (state) =>
  answer({ networks: [{ id: BACKBONE, name: "backbone", members: state.leases.count, join_rule: "open" }] })

/** `list_nodes` (rendezvous §4.14). */
export const listNodes: Operation = (_, call) => {
  const network = Json.unsigned(call.fields, "network_id", 16)
  return network === BACKBONE
    ? Refusal.fail("private_node", "listing backbone nodes is not permitted (use lookup with a specific node_id)")
    : Refusal.fail("network_not_found", `network ${network}: network not found`)
}

/** `create_network`, `join_network`, `leave_network`: always refused, as in the reference (rendezvous §4.14). */
export const networksDisabled: Operation = () => Refusal.fail("networks_disabled", "custom networks are switched off")

const requireRequester = (
  state: RegistryState,
  call: Call,
  operation: string
): Result.Result<NodeRecord.NodeRecord, Refusal.Refusal> => {
  const id = nodeId(call, "requester_id")
  return Result.mapError(requireNode(state, id), ({ code }) =>
    Refusal.make(code, `${operation} denied: requester node ${id} is not registered`)
  )
}

const checkSigned = (state: RegistryState, node: NodeRecord.NodeRecord, call: Call, message: string) =>
  Authentication.check(state.verify, node, message, Json.string(call.fields, "signature"))

const requireReachable = (
  state: RegistryState,
  requester: NodeRecord.NodeRecord,
  target: NodeRecord.NodeRecord
): Result.Result<void, Refusal.Refusal> =>
  target.isPublic || requester.id === target.id || TrustPairs.isPair(state.trust, requester.id, target.id)
    ? Result.void
    : Refusal.fail("private_node", `resolve denied: node ${target.id} is private (establish mutual trust first)`)

/**
 * LAN addresses show the inside of somebody's network, so a public node's go only to those who could use them: peers
 * behind the same public address, besides the trusted ones.
 */
const maySeeLan = (state: RegistryState, requester: NodeRecord.NodeRecord, target: NodeRecord.NodeRecord): boolean =>
  TrustPairs.isPair(state.trust, requester.id, target.id) ||
  Registration.hostOf(requester.endpoint) === Registration.hostOf(target.endpoint)

const nodeId = (call: Call, name: string): NodeId => NodeId(Json.unsigned(call.fields, name, 32))

const BACKBONE = 0
