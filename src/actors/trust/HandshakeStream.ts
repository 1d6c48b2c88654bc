/**
 * One handshake message on one stream to port 444 (node §2.1): the sender writes it in one segment and closes half a
 * second later; the receiver answers nothing on it.
 */
import { Clock, Effect, Result, type Scope } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as KeyChainMessage from "../../protocol/identity/KeyChainMessage.ts"
import * as Justification from "../../protocol/trust/Justification.ts"
import * as NetworkNotice from "../../protocol/trust/NetworkNotice.ts"
import * as Address from "../../protocol/wire/Address.ts"
import * as HandshakeMessage from "../../protocol/wire/HandshakeMessage.ts"
import type { Connection, ConnectionReset, DialError } from "../node/Node.ts"
import * as PeerIdentity from "./PeerIdentity.ts"
import type { TrustContext } from "./TrustContext.ts"

/** What is to be said; `text` is the justification of a request, the reason of a reject or revoke. */
export interface Draft {
  readonly kind: HandshakeMessage.Kind
  readonly text: string
}

/** The tunnel was opened by another key than the one that is meant, or by none; nothing was sent. */
export interface WrongKey {
  readonly _tag: "WrongKey"
  readonly publicKey: Uint8Array | undefined
}

/**
 * Opens a stream to port 444 of a peer in the surrounding scope; succeeds only when `publicKey` opened the tunnel, or
 * an impostor would learn our words and hold a signature of ours.
 */
export const open = Effect.fn("HandshakeStream.open")(function* (
  context: TrustContext,
  node: Address.NodeId,
  publicKey: Uint8Array,
  timeoutMs: number
): Effect.fn.Return<Connection, DialError | WrongKey, Scope.Scope> {
  const connection = yield* context.node.dial(Address.make(0, node), PORT, { timeoutMs })
  const opened = yield* PeerIdentity.tunnelKey(context, node)
  if (opened !== undefined && Bytes.equals(opened, publicKey)) return connection
  yield* connection.reset
  return yield* Effect.fail<WrongKey>({ _tag: "WrongKey", publicKey: opened })
})

/** Signs and writes a message in one piece; its text is cut to what fits one segment on any path. */
export const write = Effect.fn("HandshakeStream.write")(function* (
  context: TrustContext,
  connection: Connection,
  draft: Draft
): Effect.fn.Return<void, ConnectionReset> {
  const own = yield* context.node.address
  const peer = connection.remote.node
  const nowMs = yield* Clock.currentTimeMillis
  const signed = Bytes.fromUtf8(HandshakeMessage.signedText(own.node, peer))
  const message: HandshakeMessage.HandshakeMessage = {
    kind: draft.kind,
    node: own.node,
    publicKey: context.identity.publicKey,
    justification: draft.kind === "request" ? draft.text : "",
    signature: context.identity.sign(signed),
    reason: draft.kind === "request" ? "" : draft.text,
    unixSeconds: context.stamps.next(peer, Math.floor(nowMs / 1000))
  }
  yield* connection.write(fitted(message))
})

/** Keeps the stream of a written message open for as long as the reference does, closes it, and awaits its end. */
export const linger = (connection: Connection): Effect.Effect<void> =>
  Effect.sleep(LINGER_MS).pipe(
    Effect.andThen(connection.close),
    Effect.andThen(connection.closed),
    Effect.timeoutOption(2 * LINGER_MS),
    Effect.asVoid
  )

/** What an accepted stream brought: a message, nothing in time, or what is no message or too long for one. */
export type Received =
  | HandshakeMessage.HandshakeMessage
  | KeyChainMessage.KeyChainMessage
  | NetworkNotice.NetworkNotice
  | "Nothing"
  | "Malformed"

/** The one message of an accepted stream, which it closes in any case. */
export const receive = (connection: Connection): Effect.Effect<Received> =>
  readMessage(connection).pipe(
    Effect.timeoutOrElse({ duration: RECEIVE_TIMEOUT_MS, orElse: () => Effect.succeed("Nothing" as const) }),
    Effect.ensuring(connection.close)
  )

/** A reader of the reference gives up after the first segment; a message that was split on its way still counts here. */
const readMessage = Effect.fnUntraced(function* (connection: Connection): Effect.fn.Return<Received> {
  let bytes: Uint8Array = Bytes.empty
  for (let segments = 0; segments < SEGMENTS_MAX; segments++) {
    const segment = yield* Effect.orElseSucceed(connection.read, () => Bytes.empty)
    if (segment.length === 0) return bytes.length === 0 ? "Nothing" : "Malformed"
    if (bytes.length + segment.length > HandshakeMessage.MESSAGE_BYTES_MAX) return "Malformed"
    bytes = bytes.length === 0 ? segment : Bytes.concat(bytes, segment)
    const message = HandshakeMessage.decode(bytes)
    if (Result.isSuccess(message)) return message.success
    const told = KeyChainMessage.decode(bytes) ?? NetworkNotice.decode(bytes)
    if (told !== undefined) return told
  }
  return "Malformed"
})

/** Escapes make at most six bytes of one, so each round removes enough to end soon. */
const fitted = (message: HandshakeMessage.HandshakeMessage): Uint8Array => {
  const bytes = HandshakeMessage.encode(message)
  const excessBytes = bytes.length - SENT_BYTES_MAX
  if (excessBytes <= 0) return bytes
  const shorten = (text: string) =>
    Justification.cut(text, Math.max(0, Bytes.fromUtf8(text).length - Math.ceil(excessBytes / 6)))
  return fitted({ ...message, justification: shorten(message.justification), reason: shorten(message.reason) })
}

/** Handshake service (wire §2). */
export const PORT = Address.Port(HandshakeMessage.PORT)

/** node §2.1. */
const LINGER_MS = 500
const RECEIVE_TIMEOUT_MS = 10_000

/** One segment on every path: a datagram starts at 1200 bytes, headers and relaying included. */
const SENT_BYTES_MAX = 1024
/** Bounds how often a growing text is parsed. */
const SEGMENTS_MAX = 16
