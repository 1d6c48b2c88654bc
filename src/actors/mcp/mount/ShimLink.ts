/**
 * One attempt of a shim to reach its keeper (mcp §6.2): dial, HELLO, WELCOME. Once welcomed, the stream is the caller's to
 * use until the end of the scope.
 */
import { Effect, type Scope } from "effect"
import type { Crypto } from "../../../core/crypto/Crypto.ts"
import * as Bytes from "../../../core/data/Bytes.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import {
  CHUNK_BYTES_MAX,
  STDIO_MESSAGE_BYTES_MAX,
  VERSION,
  type Welcome,
  WINDOW_BYTES_DEFAULT
} from "../../../protocol/relay/RelayControl.ts"
import { Frame } from "../../../protocol/relay/RelayFrame.ts"
import * as FrameStream from "../FrameStream.ts"
import { CannotReach } from "./ShimFailure.ts"

/** What a session is known by. `epoch` is 0 before the first WELCOME. */
export interface Credentials {
  readonly session: string
  readonly resumeKey: string
  readonly service: string
  readonly epoch: number
}

/** Those of a session that there has never been. */
export const credentials = (crypto: Crypto["Service"], service: string): Credentials => ({
  session: Bytes.toHex(crypto.randomBytes(SESSION_BYTES)),
  resumeKey: base64Url(crypto.randomBytes(RESUME_KEY_BYTES)),
  service,
  epoch: 0
})

/** How an attempt went, if the peer was reached. */
export type Opened =
  | { readonly _tag: "Welcomed"; readonly stream: FrameStream.FrameStream; readonly welcome: Welcome }
  | { readonly _tag: "Refused"; readonly reason: string }

/** Opens a stream for the session whose last number handed over is `rx`. */
export const open = Effect.fn("ShimLink.open")(function* <E>(
  dial: Effect.Effect<Duplex<E>, CannotReach, Scope.Scope>,
  { epoch, resumeKey, service, session }: Credentials,
  rx: number
): Effect.fn.Return<Opened, CannotReach, Scope.Scope> {
  const limits = { frame: CHUNK_BYTES_MAX, message: STDIO_MESSAGE_BYTES_MAX, window: WINDOW_BYTES_DEFAULT }
  const hello = Frame.Hello({ hello: { v: VERSION, session, resumeKey, rx, service, epoch, limits } })
  const opening = Effect.gen(function* () {
    const stream = FrameStream.make(yield* dial)
    const answer = yield* Effect.andThen(stream.send(hello), stream.next)
    if (answer._tag === "Welcome") return { _tag: "Welcomed", stream, welcome: answer.welcome } as const
    if (answer._tag === "Bye") return { _tag: "Refused", reason: answer.bye.reason } as const
    return yield* new FrameStream.StreamLost({ reason: "Violation", detail: "it answered with another frame" })
  })
  return yield* opening.pipe(
    Effect.catchTag(
      "StreamLost",
      ({ detail }) =>
        new CannotReach({
          kind: "unreachable",
          detail: `The MCP port of the peer does not answer (${detail}). Is a service exposed there? pilotctl mcp status`,
          isFinal: false
        })
    ),
    Effect.timeoutOrElse({
      duration: OPEN_TIMEOUT,
      orElse: () => new CannotReach({ kind: "unreachable", detail: "The peer does not answer.", isFinal: false })
    })
  )
})

const base64Url = (bytes: Uint8Array): string =>
  Bytes.toBase64(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")

/** Session ids are not secret, resume keys are (mcp §6.2). */
const SESSION_BYTES = 16
const RESUME_KEY_BYTES = 32
const OPEN_TIMEOUT = "15 seconds"
