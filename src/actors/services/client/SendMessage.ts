/** Sends one message to a peer's inbox and waits for its word (node §4.3). */
import { Cause, Effect, Option } from "effect"
import * as Bytes from "../../../core/data/Bytes.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import * as DataFrame from "../../../protocol/wire/DataFrame.ts"
import * as FileFrame from "../../../protocol/wire/FileFrame.ts"
import * as FrameLink from "../FrameLink.ts"
import { make as failure, type TransferError } from "./TransferError.ts"

/** Kinds of messages, as people call them. */
export const KINDS = { text: DataFrame.Kind.Text, json: DataFrame.Kind.Json, binary: DataFrame.Kind.Binary } as const

/** The peer's acknowledgement; none when it closed without one, which the reference does not count as a failure. */
export const send = Effect.fnUntraced(function* (
  duplex: Duplex<unknown>,
  kind: number,
  payload: Uint8Array,
  timeoutMs: number = ACK_TIMEOUT_MS
): Effect.fn.Return<string | undefined, TransferError> {
  return yield* sendOn(FrameLink.make(duplex), kind, payload, timeoutMs)
})

/** The same on a link that is there already; one message at a time. */
export const sendOn = Effect.fnUntraced(function* (
  link: FrameLink.FrameLink<unknown>,
  kind: number,
  payload: Uint8Array,
  timeoutMs: number = ACK_TIMEOUT_MS
): Effect.fn.Return<string | undefined, TransferError> {
  if (payload.length > DataFrame.PAYLOAD_BYTES_MAX)
    return yield* failure("TooLarge", `longer than ${DataFrame.PAYLOAD_BYTES_MAX} bytes`)
  yield* Effect.mapError(write(link, kind, payload), () => lost)
  return yield* acknowledgement(link, timeoutMs)
})

/** One frame in two writes, as the reference does it: they leave together. */
export const write = <E>(
  link: FrameLink.FrameLink<E>,
  kind: number,
  ...parts: ReadonlyArray<Uint8Array>
): Effect.Effect<void, E> =>
  Effect.andThen(
    link.write(DataFrame.encodeHeader(kind, Bytes.lengthOf(parts))),
    link.write(parts.length === 1 ? parts[0]! : Bytes.concat(...parts))
  )

/** The next frame as an acknowledgement. */
export const acknowledgement = Effect.fnUntraced(function* (
  link: FrameLink.FrameLink<unknown>,
  timeoutMs: number = ACK_TIMEOUT_MS
): Effect.fn.Return<string | undefined, TransferError> {
  const answered = Effect.asSome(link.read).pipe(
    Effect.catch((error) =>
      Cause.isDone(error) ? Effect.succeed(Option.none<DataFrame.DataFrame>()) : Effect.fail(lost)
    ),
    Effect.timeoutOrElse({
      duration: timeoutMs,
      orElse: () => failure("Timeout", `no acknowledgement within ${timeoutMs / 1000} s`)
    })
  )
  const frame = yield* answered
  return Option.isNone(frame) ? undefined : yield* told(frame.value)
})

/** What the frame says: the acknowledgement's text, or why the peer did not take what was sent. */
export const told = ({ payload }: DataFrame.DataFrame): Effect.Effect<string, TransferError> => {
  const text = Bytes.toUtf8Lossy(payload.subarray(0, TEXT_BYTES_MAX))
  const said = FileFrame.decodeAcknowledgement(text)
  return said._tag === "Failed" ? failure("Refused", `the peer did not take it: ${said.reason}`) : Effect.succeed(text)
}

const lost = failure("Lost", "the connection to the peer was lost before it acknowledged")

/** node §4.3, better. */
export const ACK_TIMEOUT_MS = 30_000
const TEXT_BYTES_MAX = 1024
