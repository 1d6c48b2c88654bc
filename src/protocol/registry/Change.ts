/** What a request changed, as rows: the store writes them before the reply leaves, and reads them back at start. */
import { Data } from "effect"
import type { JsonObject } from "../../core/data/Json.ts"
import type { NodeId } from "../wire/Address.ts"
import type { NodeRecord } from "./NodeRecord.ts"

/** One changed row. Rows are keyed by the members that are ids. */
export type Change = Data.TaggedEnum<{
  NodeStored: { readonly record: NodeRecord }
  /** `from` reported that it trusts `to`; a pair exists when both did. */
  TrustStored: { readonly from: NodeId; readonly to: NodeId }
  TrustRemoved: { readonly from: NodeId; readonly to: NodeId }
  RequestStored: { readonly target: NodeId; readonly request: HandshakeRequest }
  RequestRemoved: { readonly target: NodeId; readonly from: NodeId }
  ResponseStored: { readonly requester: NodeId; readonly response: HandshakeResponse }
  ResponseRemoved: { readonly requester: NodeId; readonly from: NodeId }
  /** The public capability card of one service, with its signature. */
  CardStored: { readonly node: NodeId; readonly service: string; readonly signed: JsonObject }
  CardRemoved: { readonly node: NodeId; readonly service: string }
}>
export const Change = Data.taggedEnum<Change>()

/** One relayed request for trust, kept after delivery until it is answered or pushed out. */
export interface HandshakeRequest {
  readonly from: NodeId
  readonly justification: string
  readonly timestampSeconds: number
  readonly isDelivered: boolean
}

/** One relayed answer, kept until polled. */
export interface HandshakeResponse {
  readonly from: NodeId
  readonly accept: boolean
  readonly timestampSeconds: number
}

/** Every stored row, in the order the registry wants them back: by id, requests and responses oldest first. */
export interface Rows {
  readonly nodes: ReadonlyArray<NodeRecord>
  readonly trust: ReadonlyArray<{ readonly from: NodeId; readonly to: NodeId }>
  readonly requests: ReadonlyArray<{ readonly target: NodeId; readonly request: HandshakeRequest }>
  readonly responses: ReadonlyArray<{ readonly requester: NodeId; readonly response: HandshakeResponse }>
  readonly cards: ReadonlyArray<{ readonly node: NodeId; readonly service: string; readonly signed: JsonObject }>
}

/** A registry that never ran. */
export const noRows: Rows = { nodes: [], trust: [], requests: [], responses: [], cards: [] }
