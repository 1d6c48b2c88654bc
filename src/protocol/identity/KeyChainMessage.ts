/**
 * A chain on its way to a peer: one JSON object on a stream to port 444, as the messages of the trust handshake, with a type
 * that other implementations ignore (node §2.2). It is signed by nobody but the statements inside.
 *
 * ```
 * {"type":"key_chain","node_id":1001,"key_chain":"<base64>"}
 * ```
 */
import * as Bytes from "../../core/data/Bytes.ts"
import * as Json from "../../core/data/Json.ts"
import { NodeId } from "../wire/Address.ts"
import * as KeyChain from "./KeyChain.ts"

/** About the node that sends it. */
export interface KeyChainMessage {
  readonly node: NodeId
  readonly chain: KeyChain.KeyChain
}

/** Statements that fit the one segment that a receiver reads; the newest are sent. */
export const SENT_MAX = 8

/** The bytes to send. */
export const encode = ({ chain, node }: KeyChainMessage): Uint8Array =>
  Bytes.fromUtf8(JSON.stringify({ type: TYPE, node_id: node, key_chain: KeyChain.toText(chain.slice(-SENT_MAX)) }))

/** Reads one; `undefined` for any other message. The caller has bounded the bytes. */
export const decode = (bytes: Uint8Array): KeyChainMessage | undefined => {
  const object = Json.parseObject(Bytes.toUtf8Lossy(bytes))
  if (object === undefined || Json.string(object, "type") !== TYPE) return undefined
  const chain = KeyChain.parse(Json.string(object, "key_chain"))
  return chain === undefined ? undefined : { node: NodeId(Json.unsigned(object, "node_id", 32)), chain }
}

const TYPE = "key_chain"
