/** JSON lines over a local socket, decoded by schemas: the conversation between commands and the keeper. */
import { Effect, Schema, type Scope } from "effect"
import { Socket } from "effect/socket"
import * as KeeperControl from "../actors/mcp/KeeperControl.ts"
import { LineSplitter } from "../protocol/relay/LineSplitter.ts"

/** The other end went away, or said something else than it should. */
export class BadConversation extends Schema.TaggedError<BadConversation>()("BadConversation", {
  detail: Schema.String
}) {}

/** One side of a conversation. */
export interface Conversation<In, Out> {
  readonly read: Effect.Effect<In, BadConversation>
  readonly write: (message: Out) => Effect.Effect<void, BadConversation>
}

/** Reads `incoming` and writes `outgoing` values. */
export const make = Effect.fnUntraced(function* <In, InText, Out, OutText>(
  socket: Socket.Socket,
  incoming: Schema.Codec<In, InText>,
  outgoing: Schema.Codec<Out, OutText>
): Effect.fn.Return<Conversation<In, Out>, BadConversation, Scope.Scope> {
  const pull = yield* Effect.mapError(Socket.readerBytes(socket), bad)
  const writer = yield* socket.writer
  const lines = new LineSplitter(KeeperControl.LINE_BYTES_MAX)
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
      )
  }
})

const bad = (error: { readonly message: string }): BadConversation => new BadConversation({ detail: error.message })
