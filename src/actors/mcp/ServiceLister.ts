/** Asks the keeper of a peer which services this node may use (`ServiceListing`). */
import { Effect, Schema, type Scope } from "effect"
import type { Duplex } from "../../core/net/Duplex.ts"
import { LineSplitter } from "../../protocol/relay/LineSplitter.ts"
import * as ServiceListing from "../../protocol/relay/ServiceListing.ts"

/** The peer was reached and gave no list: an older node, or one that refuses. */
export class NoListing extends Schema.TaggedError<NoListing>()("NoListing", { detail: Schema.String }) {}

/** The services that the peer at the other end of `dial`, a stream to its MCP port, lets this node use. */
export const ask = <E, E2>(
  dial: Effect.Effect<Duplex<E>, E2, Scope.Scope>
): Effect.Effect<ReadonlyArray<ServiceListing.ListedService>, E2 | NoListing> =>
  Effect.gen(function* () {
    const duplex = yield* dial
    const answer = yield* Effect.andThen(duplex.write(ServiceListing.request(1)), firstLine(duplex)).pipe(
      Effect.mapError((error) => new NoListing({ detail: `the peer gives no list of its services (${textOf(error)})` }))
    )
    return yield* Effect.mapError(
      Effect.fromResult(ServiceListing.parseReply(answer)),
      ({ detail }) => new NoListing({ detail })
    )
  }).pipe(
    Effect.scoped,
    Effect.timeoutOrElse({
      duration: ASK_TIMEOUT,
      orElse: () => new NoListing({ detail: "the peer does not answer" })
    })
  )

const firstLine = <E>(duplex: Duplex<E>) =>
  Effect.gen(function* () {
    const lines = new LineSplitter(ServiceListing.REPLY_BYTES_MAX)
    while (true) {
      const [line] = lines.push(yield* duplex.read)
      if (line?._tag === "Whole") return line.bytes
      if (line !== undefined) return yield* new NoListing({ detail: "its answer is too long" })
    }
  })

const textOf = (error: unknown): string => (error instanceof NoListing ? error.detail : "it closed the stream")

const ASK_TIMEOUT = "15 seconds"
