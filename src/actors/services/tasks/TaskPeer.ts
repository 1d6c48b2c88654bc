/** Who a peer is to the tasks of a node: the key that it is trusted under now, and those that this one follows from. */
import { Effect } from "effect"
import * as Bytes from "../../../core/data/Bytes.ts"
import type { Peer } from "../../../protocol/task/TaskRefusal.ts"
import { make as makeAddress, type NodeId } from "../../../protocol/wire/Address.ts"
import { Node } from "../../node/Node.ts"
import { PeerKeys } from "../../trust/PeerKeys.ts"

/** The peer, or this node itself; `undefined` for whoever is not trusted. */
export const find = Effect.fnUntraced(function* (
  node: NodeId
): Effect.fn.Return<Peer | undefined, never, Node | PeerKeys> {
  const service = yield* Node
  const keys = yield* PeerKeys
  const address = makeAddress(0, node)
  const { node: own } = yield* service.address
  if (node === own) {
    const { publicKey } = yield* service.status
    return { address, key: Bytes.toBase64(publicKey), isSelf: true }
  }
  const pinned = keys.isTrusted(node) ? keys.pinned(node) : undefined
  if (pinned === undefined) return undefined
  return { address, key: Bytes.toBase64(pinned), formerKeys: keys.chains.formerKeys(node).map(Bytes.toBase64) }
})
