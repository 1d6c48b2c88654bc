/** JSON lines over a local socket, decoded by schemas: the conversation of keeper, mounts and gateway with commands or programs. */
import { Cause, Effect, Schema, type Scope } from "effect"
import { Socket } from "effect/socket"
import * as Bytes from "../../core/data/Bytes.ts"
import type { Duplex } from "../../core/net/Duplex.ts"
import { LineSplitter } from "../../protocol/relay/LineSplitter.ts"

/** The other end went away, or said something else than it should. */
export class BadConversation extends Schema.TaggedError<BadConversation>()("BadConversation", {
  detail: Schema.String
}) {}

/** One side of a conversation. */
export interface Conversation<In, Out> {
  readonly read: Effect.Effect<In, BadConversation>
  readonly write: (message: Out) => Effect.Effect<void, BadConversation>
  /** The bytes after the last line read, for what is no conversation any more. Nothing else may read or write then. */
  readonly rest: Duplex<BadConversation>
}

/** Reads `incoming` and writes `outgoing` values. */
export const make = Effect.fnUntraced(function* <In, InText, Out, OutText>(
  socket: Socket.Socket,
  incoming: Schema.Codec<In, InText>,
  outgoing: Schema.Codec<Out, OutText>
): Effect.fn.Return<Conversation<In, Out>, BadConversation, Scope.Scope> {
  const pull = yield* Effect.mapError(Socket.readerBytes(socket), bad)
  const writer = yield* socket.writer
  const lines = new LineSplitter(LINE_BYTES_MAX)
  const decode = Schema.decodeEffect(Schema.fromJsonString(incoming))
  const encode = Schema.encodeEffect(Schema.fromJsonString(outgoing))
  const waiting: Array<string> = []
  const read = Effect.gen(function* () {
    while (waiting.length === 0) {
      for (const chunk of yield* Effect.mapError(pull, bad)) {
        for (const line of lines.push(chunk)) {
          if (line._tag === "Oversized") return yield* new BadConversation({ detail: "the line is too long" })
          waiting.push(new TextDecoder().decode(line.bytes))
        }
      }
    }
    return yield* Effect.mapError(decode(waiting.shift() ?? ""), bad)
  })
  return {
    read,
    write: (message) =>
      encode(message).pipe(
        Effect.flatMap((text) => writer.write(`${text}\n`)),
        Effect.mapError(bad)
      ),
    rest: {
      read: Effect.suspend(() => {
        const line = waiting.shift()
        if (line !== undefined) return Effect.succeed(Bytes.fromUtf8(`${line}\n`))
        const begun = lines.finish()
        if (begun?._tag === "Whole") return Effect.succeed(begun.bytes)
        return Effect.matchEffect(pull, {
          onFailure: ended,
          onSuccess: (chunks) => Effect.succeed(Bytes.concat(...chunks))
        })
      }),
      write: (bytes) => Effect.mapError(writer.write(bytes), bad),
      end: Effect.void
    }
  }
})

/** The other side's end is no error. */
const ended = (error: Socket.SocketError): Effect.Effect<never, BadConversation | Cause.Done> =>
  error.reason._tag === "SocketCloseError" && error.reason.code === 1000 ? Cause.done() : Effect.fail(bad(error))

const bad = (error: { readonly message: string }): BadConversation => new BadConversation({ detail: error.message })

/** Longer lines are refused. */
const LINE_BYTES_MAX = 1_048_576
