/**
 * The registry: a directory of nodes as one state machine (rendezvous §3–4). Requests, the source they came from and
 * the time go in; the reply and the rows to store come out. It touches neither socket, disk nor clock.
 *
 * A hot object: mutable inside its one owner, the actor that serves it. A reply may leave only after the changes that
 * came with it are stored.
 */

import { Result } from "effect"
import type { Endpoint } from "../../core/data/Endpoint.ts"
import * as Json from "../../core/data/Json.ts"
import type { NodeId } from "../wire/Address.ts"
import type { Verify } from "./Authentication.ts"
import * as BeaconList from "./BeaconList.ts"
import * as BeaconOperations from "./BeaconOperations.ts"
import * as CardOperations from "./CardOperations.ts"
import type { Change, Rows } from "./Change.ts"
import * as DirectoryOperations from "./DirectoryOperations.ts"
import type { Instant } from "./Instant.ts"
import * as KeyChainOperations from "./KeyChainOperations.ts"
import * as Lease from "./Lease.ts"
import * as NodeOperations from "./NodeOperations.ts"
import * as NodeTable from "./NodeTable.ts"
import * as Refusal from "./Refusal.ts"
import * as Registration from "./Registration.ts"
import type { RegistryPolicy } from "./RegistryPolicy.ts"
import * as RegistryState from "./RegistryState.ts"
import * as RegistryStatistics from "./RegistryStatistics.ts"
import * as ReputationOperations from "./ReputationOperations.ts"
import * as SourceLimits from "./SourceLimits.ts"
import * as TrustOperations from "./TrustOperations.ts"

/** What one request led to. */
export interface Handled {
  /** The request's type when it is one of ours, else `other`: labels must not be the client's to invent. */
  readonly kind: string
  readonly reply: Json.JsonObject
  readonly refusal: Refusal.Refusal | undefined
  readonly changes: ReadonlyArray<Change>
  /** The connection ends after the reply. */
  readonly isLast: boolean
}

/** One registry. */
export class Registry {
  readonly #state: RegistryState.RegistryState

  /** Continues from the rows stored by an earlier life; `noRows` for a first one. */
  constructor(policy: RegistryPolicy, verify: Verify, rows: Rows, nowMs: number) {
    this.#state = RegistryState.restore(policy, verify, rows, nowMs)
  }

  /** Answers one request. Total: nothing a client sends fails it. */
  handle(fields: Json.JsonObject, source: Endpoint, at: Instant): Handled {
    const type = Json.string(fields, "type")
    const operation = OPERATIONS.get(type)
    if (operation === undefined) return unserved(type)
    const result = operation(this.#state, { fields, source, at })
    if (Result.isFailure(result)) return refused(type, result.failure)
    const { members, changes } = result.success
    return { kind: type, reply: { ...members, type: `${type}_ok` }, refusal: undefined, changes, isLast: false }
  }

  /** Marks silent nodes absent and forgets what has expired; to be called about once a minute. */
  sweep(at: Instant): ReadonlyArray<Change> {
    const state = this.#state
    BeaconList.sweep(state.beacons, at.nowMs)
    SourceLimits.sweep(state.limits, at.nowMs)
    const left = Lease.stale(state.leases, at.nowMs, state.policy.staleMs).flatMap((id) => {
      const node = NodeTable.present(state.nodes, id)
      return node === undefined ? [] : [RegistryState.leave(state, node, at), ...CardOperations.forget(state, id)]
    })
    return [...left, ...CardOperations.sweep(state, at)]
  }

  /** From where and when a node registered that is registered now; the beacon of the same process serves nobody else. */
  registration(
    id: NodeId
  ):
    | { readonly host: string; readonly endpoint: string; readonly atMs: number; readonly publicKey: Uint8Array }
    | undefined {
    const node = NodeTable.present(this.#state.nodes, id)
    const atMs = Lease.registeredAtMs(this.#state.leases, id)
    if (node === undefined || atMs === undefined) return undefined
    return { host: Registration.hostOf(node.endpoint), endpoint: node.endpoint, atMs, publicKey: node.publicKey }
  }

  /** For the dashboard; walks everything. */
  statistics(nowMs: number): RegistryStatistics.RegistryStatistics {
    return RegistryStatistics.collect(this.#state, nowMs)
  }
}

/** The reply to a refused request: the reference's two members, and the reason in two more (rendezvous §2.3). */
export const refusalReply = (refusal: Refusal.Refusal): Json.JsonObject => ({
  type: "error",
  error: "request failed",
  code: refusal.code,
  detail: refusal.detail
})

const refused = (kind: string, refusal: Refusal.Refusal): Handled => ({
  kind,
  reply: refusalReply(refusal),
  refusal,
  changes: [],
  isLast: false
})

const unserved = (type: string): Handled => {
  if (type !== "subscribe_replication") {
    const shown = JSON.stringify(type.slice(0, TYPE_SHOWN_MAX))
    return refused("other", Refusal.make("unknown_type", `unknown message type: ${shown}`))
  }
  const refusal = Refusal.make("replication_not_configured", "replication not configured")
  return {
    ...refused(type, refusal),
    reply: { type: "error", error: "replication not configured" },
    isLast: true
  }
}

const OPERATIONS: ReadonlyMap<string, RegistryState.Operation> = new Map(
  Object.entries({
    register: NodeOperations.register,
    heartbeat: NodeOperations.heartbeat,
    deregister: NodeOperations.deregister,
    set_hostname: NodeOperations.setHostname,
    set_visibility: NodeOperations.setVisibility,
    set_tags: NodeOperations.setTags,
    set_task_exec: NodeOperations.setTaskExec,
    rotate_key: NodeOperations.rotateKey,
    publish_key_chain: KeyChainOperations.publish,
    lookup: DirectoryOperations.lookup,
    resolve: DirectoryOperations.resolve,
    punch: DirectoryOperations.punch,
    resolve_hostname: DirectoryOperations.resolveHostname,
    list_networks: DirectoryOperations.listNetworks,
    list_nodes: DirectoryOperations.listNodes,
    create_network: DirectoryOperations.networksDisabled,
    join_network: DirectoryOperations.networksDisabled,
    leave_network: DirectoryOperations.networksDisabled,
    report_trust: TrustOperations.reportTrust,
    revoke_trust: TrustOperations.revokeTrust,
    request_handshake: TrustOperations.requestHandshake,
    poll_handshakes: TrustOperations.pollHandshakes,
    respond_handshake: TrustOperations.respondHandshake,
    get_polo_score: ReputationOperations.readScore,
    update_polo_score: ReputationOperations.updateScore,
    set_polo_score: ReputationOperations.setScore,
    beacon_register: BeaconOperations.registerBeacon,
    beacon_list: BeaconOperations.listBeacons,
    publish_card: CardOperations.publish,
    withdraw_card: CardOperations.withdraw,
    search_cards: CardOperations.search
  })
)

/** An unknown type is shown, but not at the length a client may choose. */
const TYPE_SHOWN_MAX = 64
