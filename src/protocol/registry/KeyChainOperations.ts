/**
 * Chains of keys at the registry, an extension of ours: `publish_key_chain` teaches it statements and moves the key when they
 * say so. The request is not signed: the statements are, and after a theft the node's key proves nothing.
 */
import { Result } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Json from "../../core/data/Json.ts"
import * as KeyChain from "../identity/KeyChain.ts"
import { NodeId } from "../wire/Address.ts"
import * as CardOperations from "./CardOperations.ts"
import * as NodeKeys from "./NodeKeys.ts"
import * as NodeRecord from "./NodeRecord.ts"
import * as NodeTable from "./NodeTable.ts"
import * as Refusal from "./Refusal.ts"
import { answer, type Call, type Operation, type RegistryState, store } from "./RegistryState.ts"
import * as SourceLimits from "./SourceLimits.ts"

/** `publish_key_chain`: what is new is learnt; the reply says which key counts now, and which one waits until when. */
export const publish: Operation = (state, call) =>
  Result.gen(function* () {
    const { at, fields, source } = call
    if (!SourceLimits.take(state.limits, "keyChain", source.host, at.nowMs)) {
      return yield* Refusal.fail("rate_limited", `rate limited: too many key chains from ${source.host}`)
    }
    const id = NodeId(Json.unsigned(fields, "node_id", 32))
    // Its node may be away, and this may be why.
    const node = NodeTable.find(state.nodes, id)
    if (node === undefined) return yield* Result.fail(Refusal.nodeNotFound(id))
    const chain = yield* chainOf(call)
    const keys = learnt(state, node, chain, call)
    const standing = NodeKeys.standing(keys, at.unixSeconds)
    const current = standing === undefined || standing.fork !== undefined ? node.publicKey : standing.current
    const record = yield* move(state, { ...node, keys }, current)
    const hasMoved = !Bytes.equals(current, node.publicKey)
    const members = {
      node_id: id,
      address: NodeRecord.address(record),
      public_key: NodeTable.keyText(record.publicKey),
      ...NodeKeys.members(keys, at.unixSeconds),
      ...(standing?.pending && {
        pending_key: NodeTable.keyText(standing.pending.next),
        pending_until: standing.pending.fromSeconds
      }),
      ...(standing?.fork && { forked: true })
    }
    const isNews = hasMoved || keys !== node.keys
    return yield* answer(members, [
      ...(isNews ? [store(state, record)] : []),
      ...(hasMoved ? CardOperations.forget(state, id) : [])
    ])
  })

/** The chain in a request, empty if there is none. */
export const chainOf = ({ fields }: Call): Result.Result<KeyChain.KeyChain, Refusal.Refusal> => {
  const chain = KeyChain.parse(Json.string(fields, "key_chain"))
  return chain === undefined
    ? Refusal.fail("key_chain_malformed", "key_chain is none of this version")
    : Result.succeed(chain)
}

/** What is known of a node's keys with a chain that came now; `sinceSeconds` is for a node that was just made. */
export const learnt = (
  state: RegistryState,
  node: NodeRecord.NodeRecord,
  chain: KeyChain.KeyChain,
  { at }: Call,
  sinceSeconds = 0
): NodeKeys.NodeKeys =>
  NodeKeys.learn(node.keys ?? NodeKeys.begin(sinceSeconds), node.publicKey, chain, {
    atSeconds: at.unixSeconds,
    verify: state.verify
  })

/** The key that a node with a chain may have now, if it is this one; and what it waits for if it is not. */
export const rotated = (
  state: RegistryState,
  node: NodeRecord.NodeRecord,
  publicKey: Uint8Array,
  call: Call
): Result.Result<NodeRecord.NodeRecord, Refusal.Refusal> =>
  Result.gen(function* () {
    const keys = learnt(state, node, yield* chainOf(call), call)
    const standing = NodeKeys.standing(keys, call.at.unixSeconds)
    if (standing?.fork !== undefined) return yield* Refusal.fail("key_forked", FORKED)
    if (standing === undefined || !Bytes.equals(standing.current, publicKey))
      return yield* Refusal.fail("rotation_held", HELD)
    return yield* move(state, { ...node, keys }, publicKey)
  })

/**
 * Who registers: the node that has this key, or the one whose key this one follows by the chain that comes along, if that
 * counts already. A node whose registry was away when its key changed is the same node when it comes back.
 */
export const knownBy = (
  state: RegistryState,
  publicKey: Uint8Array,
  call: Call
): Result.Result<NodeRecord.NodeRecord | undefined, Refusal.Refusal> => {
  const known = NodeTable.findByKey(state.nodes, publicKey)
  if (known !== undefined) return Result.succeed(known)
  return Result.flatMap(chainOf(call), (chain) => {
    const former = chain.toReversed().find(({ key }) => NodeTable.findByKey(state.nodes, key)?.keys !== undefined)
    const node = former === undefined ? undefined : NodeTable.findByKey(state.nodes, former.key)
    return node === undefined ? Result.succeed(undefined) : rotated(state, node, publicKey, call)
  })
}

const move = (
  state: RegistryState,
  node: NodeRecord.NodeRecord,
  publicKey: Uint8Array
): Result.Result<NodeRecord.NodeRecord, Refusal.Refusal> => {
  if (Bytes.equals(node.publicKey, publicKey)) return Result.succeed(node)
  const holder = NodeTable.findByKey(state.nodes, publicKey)
  if (holder !== undefined && holder.id !== node.id) {
    return Refusal.fail("key_in_use", "new_public_key already belongs to another node")
  }
  const keys = NodeKeys.moved(node.keys ?? NodeKeys.begin(0), node.publicKey)
  return Result.succeed({ ...node, publicKey, keys, hasBoundRotation: true })
}

const HELD =
  "this node keeps a key chain: its key moves at once by its recovery key, or seven days after " +
  "publish_key_chain has announced the new one"
const FORKED = "the key chain of this node has forked: two keys were named by one; its recovery key decides"
