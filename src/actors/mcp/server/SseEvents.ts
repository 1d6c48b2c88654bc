/** Reads a stream of server-sent events (WHATWG HTML §9.2) as MCP servers send them (mcp §2.3): one message per event. */
import { Duration, Effect, Result, Schema, Stream } from "effect"
import { Sse } from "effect/encoding"
import * as Bytes from "../../../core/data/Bytes.ts"
import { MESSAGE_BYTES_MAX } from "../../../protocol/relay/RelayControl.ts"

/**
 * What an event stream says: something of a kind, mostly `message`, or how long to wait before coming back. Empty `data` only
 * sets the id.
 */
export type SseEvent =
  | { readonly _tag: "Message"; readonly kind: string; readonly id: string | undefined; readonly data: Uint8Array }
  | { readonly _tag: "Retry"; readonly delayMs: number }

/** The stream is not UTF-8, or an event of it is larger than any message may be. */
export class BadEvents extends Schema.TaggedError<BadEvents>()("BadEvents", {
  reason: Schema.Literals(["Utf8", "TooLarge"])
}) {}

/** Gives every event to `receive`, one after the other, until the stream ends. */
export const read = <E, E2, R>(
  stream: Stream.Stream<Uint8Array, E>,
  receive: (event: SseEvent) => Effect.Effect<void, E2, R>
): Effect.Effect<void, E | E2 | BadEvents, R> =>
  Effect.suspend(() => {
    const events = new Splitter()
    return Stream.runForEach(stream, (chunk) =>
      Effect.flatMap(Effect.fromResult(events.push(chunk)), (found) =>
        Effect.forEach(found, receive, { discard: true })
      )
    )
  })

/** Cuts chunks into events. Mutable inside the one fiber that reads the stream. */
export class Splitter {
  // Fatal: a character that is none would change a message.
  readonly #text = new TextDecoder("utf-8", { fatal: true })
  #events: Array<SseEvent> = []
  readonly #parser = Sse.makeParser((event) => {
    if (event._tag === "Retry") {
      this.#events.push({ _tag: "Retry", delayMs: Math.min(RETRY_MS_MAX, Duration.toMillis(event.duration)) })
    } else {
      this.#events.push({ _tag: "Message", kind: event.event, id: event.id, data: Bytes.fromUtf8(event.data) })
    }
  }, PARSER)

  /** The events completed by these bytes. */
  push(chunk: Uint8Array): Result.Result<ReadonlyArray<SseEvent>, BadEvents> {
    const text = Result.try(() => this.#text.decode(chunk, { stream: true }))
    if (Result.isFailure(text)) return Result.fail(new BadEvents({ reason: "Utf8" }))
    this.#events = []
    if (this.#parser.feed(text.success) !== undefined) return Result.fail(new BadEvents({ reason: "TooLarge" }))
    return Result.succeed(this.#events)
  }
}

const PARSER = { maxEventSize: MESSAGE_BYTES_MAX }
/** A server that asks for more is asked again sooner. */
const RETRY_MS_MAX = 60_000
