/** Reads the body of an HTTP message, up to a bound. */
import { Effect, Schema, Stream } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"

/** The body is larger than the bound; the rest was not read. */
export class BodyTooLarge extends Schema.TaggedError<BodyTooLarge>()("BodyTooLarge", {}) {}

/** The whole body. */
export const read = <E>(
  body: Stream.Stream<Uint8Array, E>,
  bytesMax: number
): Effect.Effect<Uint8Array, E | BodyTooLarge> =>
  Effect.suspend(() => {
    const chunks: Array<Uint8Array> = []
    let sizeBytes = 0
    return Effect.map(
      Stream.runForEach(body, (chunk) => {
        sizeBytes += chunk.length
        if (sizeBytes > bytesMax) return new BodyTooLarge()
        chunks.push(chunk)
        return Effect.void
      }),
      () => Bytes.concat(...chunks)
    )
  })

/** A message may be printed over many lines; JSON has line ends only between its tokens. */
export const oneLine = (bytes: Uint8Array): Uint8Array =>
  bytes.includes(LINE_FEED) || bytes.includes(CARRIAGE_RETURN)
    ? bytes.map((byte) => (byte === LINE_FEED || byte === CARRIAGE_RETURN ? SPACE : byte))
    : bytes

const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d
const SPACE = 0x20
