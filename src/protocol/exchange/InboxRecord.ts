/**
 * A message as it lies in the inbox (node §4.2): one line of JSON, keys in byte order, as the reference's command line
 * reads it.
 */
import * as Bytes from "../../core/data/Bytes.ts"
import * as GoJson from "../../core/data/GoJson.ts"
import * as Json from "../../core/data/Json.ts"
import { Kind, nameOf } from "../wire/DataFrame.ts"

/** A message of a peer. */
export interface InboxRecord {
  readonly kind: number
  readonly payload: Uint8Array
  /** `0:0000.0000.0001`. */
  readonly from: string
  /** RFC 3339, whole seconds, UTC. */
  readonly receivedAt: string
}

/** A message as a reader sees it. */
export interface InboxMessage {
  readonly type: string
  readonly from: string
  readonly receivedAt: string
  readonly data: Uint8Array
}

/** Whether frames of this kind are messages. */
export const isMessage = (kind: number): boolean => kind === Kind.Text || kind === Kind.Json || kind === Kind.Binary

/** The content of the file. Bytes that are no text are there as base64 as well, which the reference leaves out. */
export const encode = ({ from, kind, payload, receivedAt }: InboxRecord): string => {
  const isText = kind !== Kind.Binary && Bytes.toUtf8(payload) !== undefined
  return GoJson.encode({
    bytes: payload.length,
    data: Bytes.toUtf8Lossy(payload),
    from,
    received_at: receivedAt,
    type: nameOf(kind),
    ...(isText ? {} : { data_b64: Bytes.toBase64(payload), data_encoding: "base64" })
  })
}

/** Reads a file of the inbox, whoever wrote it; `undefined` when it is none. */
export const decode = (text: string): InboxMessage | undefined => {
  const value = Json.parseObject(text)
  if (value === undefined || typeof value["data"] !== "string" || typeof value["type"] !== "string") return undefined
  const exact = Bytes.fromBase64(Json.string(value, "data_b64"))
  const hasExact = Json.string(value, "data_encoding") === "base64" && exact !== undefined
  return {
    type: value["type"],
    from: Json.string(value, "from"),
    receivedAt: Json.string(value, "received_at"),
    data: hasExact ? exact : Bytes.fromUtf8(value["data"])
  }
}
