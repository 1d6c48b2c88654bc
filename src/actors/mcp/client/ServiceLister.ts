/** Asks the keeper of a peer which services this node may use (`ServiceListing`). */
import { Effect, Schema, type Scope } from "effect"
import type { Duplex } from "../../../core/net/Duplex.ts"
import * as ServiceListing from "../../../protocol/relay/ServiceListing.ts"
import * as PlainQuestion from "./PlainQuestion.ts"

/** The peer was reached and gave no list: an older node, or one that refuses, or is too busy for now. */
export class NoListing extends Schema.TaggedError<NoListing>()("NoListing", {
  detail: Schema.String,
  /** Nothing is learned about its services: the same question may be answered a moment later. */
  isLate: Schema.Boolean
}) {}

/** The services that the peer at the other end of `dial`, a stream to its MCP port, lets this node use. */
export const ask = <E, E2 extends { readonly _tag: string }>(
  dial: Effect.Effect<Duplex<E>, E2, Scope.Scope>
): Effect.Effect<ReadonlyArray<ServiceListing.ListedService>, E2 | NoListing> =>
  PlainQuestion.ask(dial, ServiceListing.request(1), ServiceListing.REPLY_BYTES_MAX).pipe(
    Effect.flatMap((answer) => Effect.fromResult(ServiceListing.parseReply(answer))),
    Effect.catchIf(isUnanswered, ({ detail, isLate }) =>
      Effect.fail(new NoListing({ detail: `the peer gives no list of its services (${detail})`, isLate }))
    )
  )

const isUnanswered = (error: { readonly _tag: string }): error is PlainQuestion.NoAnswer | ServiceListing.NotListed =>
  error._tag === "NoAnswer" || error._tag === "NotListed"
