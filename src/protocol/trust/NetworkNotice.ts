/**
 * What a member of a network tells another of its revocations: one JSON object on a stream to port 444, with a type that other
 * implementations ignore (node §2.2). It is believed for nothing but the network's signature inside.
 *
 * ```
 * {"type":"network_revoked","node_id":1001,"network":"4HX2-…","serial":3,"list":"pilot-network-revoked:1:…"}
 * ```
 */
import * as Bytes from "../../core/data/Bytes.ts"
import * as Json from "../../core/data/Json.ts"
import { NodeId } from "../wire/Address.ts"
import * as Fingerprint from "./Fingerprint.ts"

/** The newest list that the sender holds; serial 0 and no text for none. */
export interface NetworkNotice {
  readonly node: NodeId
  /** Fingerprint of the network's key. */
  readonly network: string
  readonly serial: number
  readonly list: string
}

/** The bytes to send. */
export const encode = ({ list, network, node, serial }: NetworkNotice): Uint8Array =>
  Bytes.fromUtf8(JSON.stringify({ type: TYPE, node_id: node, network, serial, list }))

/** Reads one; `undefined` for any other message. The caller has bounded the bytes. */
export const decode = (bytes: Uint8Array): NetworkNotice | undefined => {
  const object = Json.parseObject(Bytes.toUtf8Lossy(bytes))
  if (object === undefined || Json.string(object, "type") !== TYPE) return undefined
  const network = Fingerprint.parse(Json.string(object, "network"))
  if (network === undefined) return undefined
  const node = NodeId(Json.unsigned(object, "node_id", 32))
  return { node, network, serial: Json.unsigned(object, "serial", 32), list: Json.string(object, "list") }
}

const TYPE = "network_revoked"
