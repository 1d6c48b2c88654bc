/**
 * Messages of the trust handshake (node §2.1): one JSON object per stream to port 444, whole in its first segment, all
 * seven members always present and in this order:
 *
 * ```
 * {"type":"handshake_request","node_id":1001,"public_key":"<base64>","justification":"why",
 *  "signature":"<base64>","reason":"","timestamp":1771000000}
 * ```
 */
import { Result } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as GoJson from "../../core/data/GoJson.ts"
import * as Json from "../../core/data/Json.ts"
import { NodeId } from "./Address.ts"
import * as DecodeError from "./DecodeError.ts"
import * as RegistrySignature from "./RegistrySignature.ts"

/** The four messages. */
export type Kind = "request" | "accept" | "reject" | "revoke"

/** One message. `publicKey` and `signature` are empty when the sender left them out, which the receiver judges. */
export interface HandshakeMessage {
  readonly kind: Kind
  /** The sender, by its own word. */
  readonly node: NodeId
  readonly publicKey: Uint8Array
  /** Of a request; else empty. */
  readonly justification: string
  /** Ed25519 over `signedText`. */
  readonly signature: Uint8Array
  /** Of a reject or revoke; else empty. */
  readonly reason: string
  readonly unixSeconds: number
}

/** Port of the handshake service. */
export const PORT = 444

/** Longest message: what fits the one segment that the reference's receiver reads (node §2.1). */
export const MESSAGE_BYTES_MAX = 4096

/** What the signature covers. It covers neither kind nor texts nor time, so the tunnel must prove the sender. */
export const signedText = (sender: NodeId, receiver: NodeId): string => RegistrySignature.handshake(sender, receiver)

/** The bytes to send; also what a replay filter remembers, as every spelling of a message encodes the same. */
export const encode = (self: HandshakeMessage): Uint8Array =>
  Bytes.fromUtf8(
    GoJson.encodeOrdered({
      type: `handshake_${self.kind}`,
      node_id: self.node,
      public_key: Bytes.toBase64(self.publicKey),
      justification: self.justification,
      signature: Bytes.toBase64(self.signature),
      reason: self.reason,
      timestamp: self.unixSeconds
    })
  )

/** Reads one message. An empty key or signature is kept; one of a wrong length is malformed. */
export const decode = (bytes: Uint8Array): Result.Result<HandshakeMessage, DecodeError.DecodeError> => {
  if (bytes.length > MESSAGE_BYTES_MAX) return DecodeError.limitExceeded(MESSAGE_BYTES_MAX, bytes.length)
  const object = Json.parseObject(Bytes.toUtf8Lossy(bytes))
  if (object === undefined) return DecodeError.malformed("JSON")
  const kind = KINDS.find((kind) => Json.string(object, "type") === `handshake_${kind}`)
  if (kind === undefined) return DecodeError.malformed("type")
  const publicKey = bytesOrEmpty(Json.string(object, "public_key"), 32)
  if (publicKey === undefined) return DecodeError.malformed("public_key")
  const signature = bytesOrEmpty(Json.string(object, "signature"), 64)
  if (signature === undefined) return DecodeError.malformed("signature")
  return Result.succeed({
    kind,
    node: NodeId(Json.unsigned(object, "node_id", 32)),
    publicKey,
    justification: Json.string(object, "justification"),
    signature,
    reason: Json.string(object, "reason"),
    unixSeconds: Json.integer(object, "timestamp")
  })
}

const bytesOrEmpty = (base64: string, sizeBytes: number): Uint8Array | undefined => {
  const bytes = Bytes.fromBase64Lenient(base64)
  return bytes?.length === 0 || bytes?.length === sizeBytes ? bytes : undefined
}

const KINDS: ReadonlyArray<Kind> = ["request", "accept", "reject", "revoke"]
