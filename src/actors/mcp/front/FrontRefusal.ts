/** A request that a front or a service behind it refuses, as the JSON-RPC error that its client gets. */
import { Schema } from "effect"
import * as Json from "../../../core/data/Json.ts"
import * as BridgeError from "../../../protocol/relay/BridgeError.ts"
import type { Target } from "../Target.ts"

/** An answer that is an error. */
export class Refused extends Schema.TaggedError<Refused>()("Refused", {
  /** `code`, `message` and perhaps `data`. */
  error: Schema.Record(Schema.String, Schema.Json)
}) {
  override get message(): string {
    return Json.string(this.error, "message")
  }

  /** The peer cannot be reached now. */
  get isUnreachable(): boolean {
    return Json.integer(this.error, "code") === BridgeError.CODE.unreachable
  }

  /** The bridge itself says so: no server was asked, so nothing is learned about one. */
  get isOfBridge(): boolean {
    return Object.values<number>(BridgeError.CODE).includes(Json.integer(this.error, "code"))
  }
}

/** One of JSON-RPC's own errors. */
export const refused = (code: number, message: string): Refused => new Refused({ error: { code, message } })

/** One of the bridge's own, for a request that no server saw. */
export const ofBridge = (kind: BridgeError.Kind, message: string, target: Target, retryable: boolean): Refused =>
  new Refused({
    error: { code: BridgeError.CODE[kind], message, data: { retryable, delivered: false, ...target } }
  })

/** JSON-RPC's codes. */
export const METHOD_NOT_FOUND = -32601
/** What does not exist is a wrong parameter (mcp §1.3). */
export const INVALID_PARAMS = -32602
