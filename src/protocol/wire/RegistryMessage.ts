/**
 * Frames of the registry's TCP connection (rendezvous §2): a 32-bit length, then one JSON object whose `type` names
 * the message. Requests are in `RegistryRequest`, replies in `RegistryReply`.
 */
import { Result } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as GoJson from "../../core/data/GoJson.ts"
import * as Json from "../../core/data/Json.ts"
import * as DecodeError from "./DecodeError.ts"
import * as LengthPrefix from "./LengthPrefix.ts"

/** Largest body; a longer one closes the connection unread (rendezvous §2.1). */
export const BODY_BYTES_MAX = 1_048_576

/** Splits a registry connection into bodies for `decode`. */
export const makeSplitter = (): LengthPrefix.Splitter => new LengthPrefix.Splitter(BODY_BYTES_MAX)

/** The frame of a reply: members in byte order, as the reference's server writes them. */
export const encode = (value: Json.JsonObject): Uint8Array => LengthPrefix.encode(Bytes.fromUtf8(GoJson.encode(value)))

/** The frame of a request: members in the order given; no server depends on it. */
export const encodeOrdered = (value: Json.JsonObject): Uint8Array =>
  LengthPrefix.encode(Bytes.fromUtf8(GoJson.encodeOrdered(value)))

/**
 * Reads one body. Anything that is no object closes the connection (rendezvous §2.1); the word `null` is an empty
 * object. Invalid UTF-8 becomes U+FFFD.
 */
export const decode = (body: Uint8Array): Result.Result<Json.JsonObject, DecodeError.DecodeError> => {
  const value = Json.parse(Bytes.toUtf8Lossy(body))
  if (value === null) return Result.succeed({})
  return Json.isObject(value) ? Result.succeed(value) : DecodeError.malformed("not a JSON object")
}

/** The one failure that old clients know; `detail` is an extra member for ours (rendezvous §2.3). */
export const failure = (detail?: string, error = "request failed"): Json.JsonObject => ({
  type: "error",
  error,
  ...(detail === undefined ? {} : { detail })
})

/**
 * The text of a failed reply, whatever its type, ours preferred; `undefined` for a success. Show it, never compare it
 * (rendezvous §2.3).
 */
export const failureText = (reply: Json.JsonObject): string | undefined => {
  const error = Json.member(reply, "error")
  if (typeof error !== "string") return undefined
  return Json.string(reply, "detail") || error
}
