/** Everything one registry knows, and the few steps that several operations share. */

import { Result } from "effect"
import type { Endpoint } from "../../core/data/Endpoint.ts"
import * as Json from "../../core/data/Json.ts"
import * as SignedCard from "../directory/SignedCard.ts"
import type { NodeId } from "../wire/Address.ts"
import * as Authentication from "./Authentication.ts"
import * as BeaconList from "./BeaconList.ts"
import * as CardTable from "./CardTable.ts"
import { Change, type Rows } from "./Change.ts"
import * as HandshakeInbox from "./HandshakeInbox.ts"
import * as HostnameTable from "./HostnameTable.ts"
import type { Instant } from "./Instant.ts"
import * as Lease from "./Lease.ts"
import type { NodeRecord } from "./NodeRecord.ts"
import * as NodeTable from "./NodeTable.ts"
import * as Refusal from "./Refusal.ts"
import type { RegistryPolicy } from "./RegistryPolicy.ts"
import * as SourceLimits from "./SourceLimits.ts"
import * as TrustPairs from "./TrustPairs.ts"

/** The tables. Mutable; owned by `Registry`. */
export interface RegistryState {
  readonly policy: RegistryPolicy
  readonly verify: Authentication.Verify
  readonly nodes: NodeTable.NodeTable
  readonly hostnames: HostnameTable.HostnameTable
  readonly trust: TrustPairs.TrustPairs
  readonly inbox: HandshakeInbox.HandshakeInbox
  readonly leases: Lease.Leases
  readonly limits: SourceLimits.SourceLimits
  readonly beacons: BeaconList.BeaconList
  readonly cards: CardTable.CardTable
}

/** One request as an operation sees it. */
export interface Call {
  readonly fields: Json.JsonObject
  readonly source: Endpoint
  readonly at: Instant
}

/** What an operation answers: the members beside `type`, and the rows it changed. */
export interface Answer {
  readonly members: Json.JsonObject
  readonly changes: ReadonlyArray<Change>
}

/** Total: every request is answered or refused. A refused request has changed nothing that is stored. */
export type Operation = (state: RegistryState, call: Call) => Result.Result<Answer, Refusal.Refusal>

/** An answer. */
export const answer = (
  members: Answer["members"],
  changes: ReadonlyArray<Change> = []
): Result.Result<Answer, Refusal.Refusal> => Result.succeed({ members, changes })

/** The state that the stored rows describe. Nodes that were present have a whole stale limit to report again. */
export const restore = (
  policy: RegistryPolicy,
  verify: Authentication.Verify,
  rows: Rows,
  nowMs: number
): RegistryState => {
  const state: RegistryState = {
    policy,
    verify,
    nodes: NodeTable.make(),
    hostnames: HostnameTable.make(),
    trust: TrustPairs.make(),
    inbox: HandshakeInbox.make(),
    leases: Lease.make(),
    limits: SourceLimits.make(),
    beacons: BeaconList.make(),
    cards: CardTable.make()
  }
  for (const record of rows.nodes) {
    store(state, record)
    if (record.isPresent) Lease.begin(state.leases, record.id, nowMs)
  }
  for (const { from, to } of rows.trust) TrustPairs.report(state.trust, from, to)
  for (const { target, request } of rows.requests) HandshakeInbox.restoreRequest(state.inbox, target, request)
  for (const { requester, response } of rows.responses) HandshakeInbox.respond(state.inbox, requester, response)
  for (const { node, signed } of rows.cards) restoreCard(state, node, signed)
  return state
}

/** What was checked when it was stored is not checked again; the next sweep removes what has expired meanwhile. */
const restoreCard = (state: RegistryState, node: NodeId, signed: Json.JsonObject): void => {
  const card = Json.member(signed, "card")
  const nowSeconds = Json.isObject(card) ? Json.integer(card, "issuedAt") : 0
  const decoded = SignedCard.decode(signed, { verify: () => true, nowSeconds })
  if (Result.isSuccess(decoded)) CardTable.put(state.cards, node, decoded.success)
}

/** Replaces a record, its name included. */
export const store = (state: RegistryState, record: NodeRecord): Change => {
  const before = NodeTable.find(state.nodes, record.id)
  HostnameTable.move(state.hostnames, record.id, before?.hostname ?? "", record.hostname)
  NodeTable.put(state.nodes, record)
  return Change.NodeStored({ record })
}

/** The node registered now under this id. */
export const requireNode = (state: RegistryState, id: NodeId): Result.Result<NodeRecord, Refusal.Refusal> =>
  Result.fromNullishOr(NodeTable.present(state.nodes, id), () => Refusal.nodeNotFound(id))

/** The node registered now under this id, when the request carries its signature over `message`. */
export const requireSigner = (
  state: RegistryState,
  id: NodeId,
  message: string,
  signature: string
): Result.Result<NodeRecord, Refusal.Refusal> =>
  Result.flatMap(requireNode(state, id), (node) =>
    Result.map(Authentication.check(state.verify, node, message, signature), () => node)
  )

/**
 * Makes a valid name free for a node: nobody holds it, the node does, or its holder has been away longer than names
 * are kept and loses it now. The failure is the id of the holder.
 */
export const claimHostname = (
  state: RegistryState,
  name: string,
  node: NodeId,
  at: Instant
): Result.Result<ReadonlyArray<Change>, NodeId> => {
  const holder = HostnameTable.holder(state.hostnames, name)
  if (holder === undefined || holder === node) return Result.succeed([])
  const record = NodeTable.find(state.nodes, holder)
  const absentSeconds = record === undefined || record.isPresent ? 0 : at.unixSeconds - record.presentAtSeconds
  return record !== undefined && absentSeconds > state.policy.nameReservationSeconds
    ? Result.succeed([store(state, { ...record, hostname: "" })])
    : Result.fail(holder)
}

/** Marks a node absent. Its record, name, key, trust and inbox stay. */
export const leave = (state: RegistryState, node: NodeRecord, at: Instant): Change => {
  Lease.end(state.leases, node.id)
  return store(state, { ...node, isPresent: false, presentAtSeconds: at.unixSeconds })
}

/** True when the request carries the operator's token. Takes the same time for every wrong one of that length. */
export const isAdmin = (state: RegistryState, token: string): boolean => {
  const expected = state.policy.adminToken
  if (expected === undefined || expected === "" || token.length !== expected.length) return false
  let difference = 0
  for (let index = 0; index < expected.length; index++) {
    difference |= expected.charCodeAt(index) ^ token.charCodeAt(index)
  }
  return difference === 0
}
