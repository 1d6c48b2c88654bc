/** One line asked of a peer's keeper, and its line of answer (mcp §6.2): the asking end of `PlainRequests`. */
import { Effect, Schema, type Scope } from "effect"
import type { Duplex } from "../../../core/net/Duplex.ts"
import { LineSplitter } from "../../../protocol/relay/LineSplitter.ts"

/** The peer was reached and gave no answer: an older node, or one that lets us wait. */
export class NoAnswer extends Schema.TaggedError<NoAnswer>()("NoAnswer", {
  detail: Schema.String,
  /** It took the question and said nothing in time; a slow or busy peer, or a lost way to it. */
  isLate: Schema.Boolean
}) {}

/** The answer, without its newline, to `question`, with its newline, over a stream of its own. */
export const ask = <E, E2>(
  dial: Effect.Effect<Duplex<E>, E2, Scope.Scope>,
  question: Uint8Array,
  replyBytesMax: number
): Effect.Effect<Uint8Array, E2 | NoAnswer> =>
  Effect.gen(function* () {
    const duplex = yield* dial
    const lines = new LineSplitter(replyBytesMax)
    const asked = Effect.gen(function* () {
      yield* duplex.write(question)
      while (true) {
        const [line] = lines.push(yield* duplex.read)
        if (line !== undefined) return line
      }
    })
    const line = yield* Effect.mapError(asked, () => new NoAnswer({ detail: "it closed the stream", isLate: false }))
    return line._tag === "Whole" ? line.bytes : yield* new NoAnswer({ detail: "its answer is too long", isLate: false })
  }).pipe(
    Effect.scoped,
    Effect.timeoutOrElse({
      duration: ASK_TIMEOUT,
      orElse: () => new NoAnswer({ detail: "it does not answer", isLate: true })
    })
  )

const ASK_TIMEOUT = "15 seconds"
