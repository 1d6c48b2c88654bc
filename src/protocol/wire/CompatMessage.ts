/**
 * The texts with which a WebSocket becomes a way to the beacon (rendezvous §14.5): the server challenges, the node proves
 * its key, and from then on binary messages are beacon datagrams.
 *
 * ```
 * server  {"type":"auth_challenge","nonce":"<64 hex>","ts":<unix seconds>}
 * node    {"type":"auth_reply","node_id":<id>,"public_key":"<base64>","sig":"<base64>"}
 * server  {"type":"auth_ok"}
 * ```
 *
 * Ours go on (wire §17): a server that says `"moves":true` lets the node name the UDP address it has announced, and delivers
 * there from then on, so that nothing is lost and nobody else can name one.
 *
 * ```
 * server  {"type":"auth_ok","moves":true}
 * node    {"type":"moving","endpoint":"<ip:port>"}
 * server  {"type":"moved","ok":<boolean>}
 * ```
 */
import { Data, Result } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Endpoint from "../../core/data/Endpoint.ts"
import * as Json from "../../core/data/Json.ts"
import { NodeId } from "./Address.ts"
import * as DecodeError from "./DecodeError.ts"

/** One text message. */
export type CompatMessage = Data.TaggedEnum<{
  /** `nonce` is 64 hexadecimal digits. */
  Challenge: { readonly nonce: string; readonly unixSeconds: number }
  Reply: { readonly node: NodeId; readonly publicKey: Uint8Array; readonly signature: Uint8Array }
  /** `moves`: the server understands `Moving`. */
  Accepted: { readonly moves: boolean }
  Moving: { readonly endpoint: Endpoint.Endpoint }
  Moved: { readonly isDone: boolean }
}>
export const CompatMessage = Data.taggedEnum<CompatMessage>()

/** What the node signs with its Ed25519 key. */
export const signedText = (node: NodeId, unixSeconds: number, nonce: string): string =>
  `compat_auth:${node}:${unixSeconds}:${nonce}`

/** As text. */
export const encode = (message: CompatMessage): string => JSON.stringify(toObject(message))

/** Reads a text message; unknown members are ignored. */
export const decode = (text: string): Result.Result<CompatMessage, DecodeError.DecodeError> => {
  if (text.length > TEXT_CHARACTERS_MAX) return DecodeError.malformed("text")
  const fields = Json.parseObject(text)
  if (fields === undefined) return DecodeError.malformed("json")
  switch (Json.string(fields, "type")) {
    case "auth_challenge": {
      const nonce = Json.string(fields, "nonce")
      const unixSeconds = Json.integer(fields, "ts")
      return /^[0-9a-fA-F]{64}$/.test(nonce)
        ? Result.succeed(CompatMessage.Challenge({ nonce, unixSeconds }))
        : DecodeError.malformed("nonce")
    }
    case "auth_reply": {
      const publicKey = Bytes.fromBase64(Json.string(fields, "public_key"))
      const signature = Bytes.fromBase64(Json.string(fields, "sig"))
      const node = NodeId(Json.unsigned(fields, "node_id", 32))
      if (publicKey?.length !== KEY_BYTES || signature?.length !== SIGNATURE_BYTES || node === 0)
        return DecodeError.malformed("auth_reply")
      return Result.succeed(CompatMessage.Reply({ node, publicKey, signature }))
    }
    case "auth_ok":
      return Result.succeed(CompatMessage.Accepted({ moves: Json.boolean(fields, "moves") }))
    case "moving": {
      const endpoint = Endpoint.parse(Json.string(fields, "endpoint"))
      return endpoint === undefined
        ? DecodeError.malformed("endpoint")
        : Result.succeed(CompatMessage.Moving({ endpoint }))
    }
    case "moved":
      return Result.succeed(CompatMessage.Moved({ isDone: Json.boolean(fields, "ok") }))
    default:
      return DecodeError.malformed("type")
  }
}

const toObject = (message: CompatMessage): Json.JsonObject => {
  switch (message._tag) {
    case "Challenge":
      return { type: "auth_challenge", nonce: message.nonce, ts: message.unixSeconds }
    case "Reply":
      return {
        type: "auth_reply",
        node_id: message.node,
        public_key: Bytes.toBase64(message.publicKey),
        sig: Bytes.toBase64(message.signature)
      }
    case "Accepted":
      return message.moves ? { type: "auth_ok", moves: true } : { type: "auth_ok" }
    case "Moving":
      return { type: "moving", endpoint: Endpoint.format(message.endpoint) }
    case "Moved":
      return { type: "moved", ok: message.isDone }
  }
}

/** Of the WebSocket to the beacon (rendezvous §14.5). */
export const PATH = "/v1/compat"
/** Its subprotocol. */
export const SUBPROTOCOL = "pilot.v1"
/** Ours: the registry's TLS stream in binary messages, for whom only HTTP leads out. */
export const REGISTRY_PATH = "/v1/registry"
/** Its subprotocol. */
export const REGISTRY_SUBPROTOCOL = "pilot.registry.v1"
/** rendezvous §14.5: of one message. */
export const MESSAGE_BYTES_MAX = 65_536
/** The longest of these texts has a fifth of it. */
export const TEXT_CHARACTERS_MAX = 2048
const KEY_BYTES = 32
const SIGNATURE_BYTES = 64
