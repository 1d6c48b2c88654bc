/** Trust reports and relayed handshakes (rendezvous §4.8, §4.12). */

import { Result } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Json from "../../core/data/Json.ts"
import { NodeId } from "../wire/Address.ts"
import * as Signature from "../wire/RegistrySignature.ts"
import type { Change } from "./Change.ts"
import * as HandshakeInbox from "./HandshakeInbox.ts"
import type { NodeRecord } from "./NodeRecord.ts"
import * as Refusal from "./Refusal.ts"
import { answer, type Call, type Operation, type RegistryState, requireNode, requireSigner } from "./RegistryState.ts"
import * as SourceLimits from "./SourceLimits.ts"
import * as TrustPairs from "./TrustPairs.ts"

/** `report_trust` (rendezvous §4.8): this node's half of a pair. */
export const reportTrust: Operation = (state, call) =>
  Result.gen(function* () {
    const id = nodeId(call, "node_id")
    const peer = nodeId(call, "peer_id")
    yield* signer(state, call, id, Signature.reportTrust(id, peer))
    yield* requireNode(state, peer)
    return yield* answer({}, yield* report(state, id, peer))
  })

/** `revoke_trust` (rendezvous §4.8): ends the pair for both. */
export const revokeTrust: Operation = (state, call) =>
  Result.gen(function* () {
    const id = nodeId(call, "node_id")
    const peer = nodeId(call, "peer_id")
    yield* signer(state, call, id, Signature.revokeTrust(id, peer))
    const changes = TrustPairs.revoke(state.trust, id, peer)
    if (changes.length === 0) {
      return yield* Refusal.fail("trust_pair_missing", `no trust pair between ${id} and ${peer}`)
    }
    return yield* answer({}, changes)
  })

/** `request_handshake` (rendezvous §4.12). */
export const requestHandshake: Operation = (state, call) =>
  Result.gen(function* () {
    const from = nodeId(call, "from_node_id")
    const target = nodeId(call, "to_node_id")
    const justification = Json.storable(call.fields, "justification")
    yield* checkJustification(justification)
    yield* Result.mapError(signer(state, call, from, Signature.handshake(from, target)), handshakeText)
    yield* requireNode(state, target)
    if (!SourceLimits.take(state.limits, "handshake", call.source.host, call.at.nowMs)) {
      return yield* Refusal.fail("rate_limited", `rate limited: too many handshake requests from ${call.source.host}`)
    }
    const request = { from, justification, timestampSeconds: call.at.unixSeconds, isDelivered: false }
    const changes = HandshakeInbox.offer(state.inbox, target, request)
    if (changes === "full") {
      return yield* Refusal.fail("handshake_inbox_full", `handshake inbox full for node ${target}`)
    }
    if (changes === "pending") {
      return yield* Refusal.fail("handshake_pending", `handshake request already pending from node ${from}`)
    }
    return yield* answer({ status: "delivered" }, changes)
  })

/** `poll_handshakes` (rendezvous §4.12). */
export const pollHandshakes: Operation = (state, call) => {
  const id = nodeId(call, "node_id")
  return Result.flatMap(signer(state, call, id, Signature.pollHandshakes(id)), () => {
    const polled = HandshakeInbox.poll(state.inbox, id)
    const members = {
      requests: polled.requests.map(({ from, justification, timestampSeconds }) => ({
        from_node_id: from,
        justification,
        timestamp: timestampSeconds
      })),
      responses: polled.responses.map(({ from, accept, timestampSeconds }) => ({
        from_node_id: from,
        accept,
        timestamp: timestampSeconds
      }))
    }
    return answer(members, polled.changes)
  })
}

/**
 * `respond_handshake` (rendezvous §4.12). An accept makes the pair when it answers a request; otherwise it only counts
 * as the responder's own report, so nobody becomes trusted by a node that never asked.
 */
export const respondHandshake: Operation = (state, call) =>
  Result.gen(function* () {
    const id = nodeId(call, "node_id")
    const peer = nodeId(call, "peer_id")
    const accept = Json.boolean(call.fields, "accept")
    yield* signer(state, call, id, Signature.respondHandshake(id, peer))
    yield* requireNode(state, peer)
    const own = accept ? yield* report(state, id, peer) : []
    const answered = HandshakeInbox.take(state.inbox, id, peer)
    const theirs = accept && answered !== undefined ? TrustPairs.report(state.trust, peer, id) : []
    const response = { from: id, accept, timestampSeconds: call.at.unixSeconds }
    const queued = HandshakeInbox.respond(state.inbox, peer, response)
    return yield* answer({ accept, peer_id: peer }, [
      ...own,
      ...(answered ?? []),
      ...(theirs === "full" ? [] : theirs),
      ...queued
    ])
  })

const report = (
  state: RegistryState,
  from: NodeId,
  to: NodeId
): Result.Result<ReadonlyArray<Change>, Refusal.Refusal> => {
  if (from === to) return Result.succeed([])
  const changes = TrustPairs.report(state.trust, from, to)
  return changes === "full"
    ? Refusal.fail("limit_exceeded", `node ${from} has reported too many trusted peers`)
    : Result.succeed(changes)
}

const checkJustification = (text: string): Result.Result<void, Refusal.Refusal> =>
  text.length <= JUSTIFICATION_BYTES_MAX && Bytes.fromUtf8(text).length <= JUSTIFICATION_BYTES_MAX
    ? Result.void
    : Refusal.fail("limit_exceeded", `justification too long (max ${JUSTIFICATION_BYTES_MAX} bytes)`)

/** The reference words two failures differently here (rendezvous §4.12). */
const handshakeText = (refusal: Refusal.Refusal): Refusal.Refusal => {
  if (refusal.code === "signature_required") return { ...refusal, detail: "handshake request requires signature" }
  if (refusal.code === "signature_invalid") {
    return { ...refusal, detail: "handshake request signature verification failed" }
  }
  return refusal
}

const signer = (
  state: RegistryState,
  call: Call,
  id: NodeId,
  message: string
): Result.Result<NodeRecord, Refusal.Refusal> =>
  requireSigner(state, id, message, Json.string(call.fields, "signature"))

const nodeId = (call: Call, name: string): NodeId => NodeId(Json.unsigned(call.fields, name, 32))

const JUSTIFICATION_BYTES_MAX = 1024
