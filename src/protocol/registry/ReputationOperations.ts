/**
 * Reputation (rendezvous §4.13). The reference lets anybody write anybody's score; here a write is signed by a
 * registered node, bounded, and never keeps a dead node alive.
 */

import { Result } from "effect"
import * as Json from "../../core/data/Json.ts"
import { NodeId } from "../wire/Address.ts"
import * as RegistrySignature from "../wire/RegistrySignature.ts"
import * as NodeRecord from "./NodeRecord.ts"
import * as NodeTable from "./NodeTable.ts"
import * as Refusal from "./Refusal.ts"
import {
  answer,
  type Call,
  isAdmin,
  type Operation,
  type RegistryState,
  requireSigner,
  store
} from "./RegistryState.ts"

/** `get_polo_score`: open to anybody. */
export const readScore: Operation = (state, call) =>
  Result.flatMap(requireRated(state, call), (node) => answer(members(node)))

/** `update_polo_score`: by the operator, by a registered node that signs, or by anybody under the compatibility option. */
export const updateScore: Operation = (state, call) =>
  Result.gen(function* () {
    const delta = Json.integer(call.fields, "delta")
    if (!hasNumber(call, "delta")) {
      return yield* Refusal.fail("field_required", "update_polo_score requires delta field")
    }
    if (Math.abs(delta) > DELTA_MAX) {
      return yield* Refusal.fail("limit_exceeded", `delta out of bounds (at most ${DELTA_MAX} either way)`)
    }
    const node = yield* requireRated(state, call)
    yield* checkWriter(state, call, node, delta)
    return yield* write(state, node, node.poloScore + delta)
  })

/** `set_polo_score`: by the operator only. */
export const setScore: Operation = (state, call) =>
  Result.gen(function* () {
    const score = Json.integer(call.fields, "polo_score")
    if (!hasNumber(call, "polo_score")) {
      return yield* Refusal.fail("field_required", "set_polo_score requires polo_score field")
    }
    if (!isAdmin(state, Json.string(call.fields, "admin_token"))) {
      return yield* Refusal.fail("admin_token_required", "set_polo_score requires the admin token")
    }
    return yield* write(state, yield* requireRated(state, call), score)
  })

const checkWriter = (
  state: RegistryState,
  call: Call,
  node: NodeRecord.NodeRecord,
  delta: number
): Result.Result<void, Refusal.Refusal> => {
  if (isAdmin(state, Json.string(call.fields, "admin_token"))) return Result.void
  const signature = Json.string(call.fields, "signature")
  if (signature === "" && state.policy.allowOpenPolo) return Result.void
  if (signature === "") return Refusal.fail("signature_required", UNSIGNED_HINT)
  const requester = NodeId(Json.unsigned(call.fields, "requester_id", 32))
  const text = RegistrySignature.addScore(requester, node.id, delta)
  return Result.flatMap(requireSigner(state, requester, text, signature), () =>
    requester === node.id && delta > 0
      ? Refusal.fail("not_participant", "a node cannot raise its own score")
      : Result.void
  )
}

const write = (state: RegistryState, node: NodeRecord.NodeRecord, score: number) => {
  const poloScore = Math.min(SCORE_MAX, Math.max(-SCORE_MAX, score))
  const record = { ...node, poloScore }
  return answer(members(record), [store(state, record)])
}

const requireRated = (state: RegistryState, call: Call): Result.Result<NodeRecord.NodeRecord, Refusal.Refusal> => {
  const id = NodeId(Json.unsigned(call.fields, "node_id", 32))
  return Result.fromNullishOr(NodeTable.present(state.nodes, id), () =>
    Refusal.make("node_not_found", `node ${id} not found`)
  )
}

const hasNumber = (call: Call, name: string): boolean => typeof Json.member(call.fields, name) === "number"

const members = (node: NodeRecord.NodeRecord) => ({
  node_id: node.id,
  address: NodeRecord.address(node),
  polo_score: node.poloScore
})

/** The reference's rewards rarely exceed 10 (rendezvous §4.13). */
const DELTA_MAX = 100
/** Fits the signed 32 bits of the reference. */
const SCORE_MAX = 0x7fffffff
const UNSIGNED_HINT =
  "reputation changes must be signed by requester_id; the operator can admit old nodes with --compat-open-polo"
