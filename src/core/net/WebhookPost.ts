/** One POST to a place that must be allowed when it is known: an adapter service, simulated in tests. */
import { Context, type Effect, Schema } from "effect"

/** What is sent. */
export interface Post {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly timeoutMs: number
  /** Asked of the very address that is connected to, so that a name that changes its mind leads nowhere else. */
  readonly admits: (address: string) => boolean
}

/** Nobody answered, or nobody may be asked. */
export class PostError extends Schema.TaggedError<PostError>()("PostError", {
  /** `NotConnected`: nothing was sent. `Broken`: something may have been. */
  reason: Schema.Literals(["NotAllowed", "NotFound", "NotConnected", "Broken", "Timeout"]),
  detail: Schema.String
}) {
  override get message(): string {
    return this.detail
  }
}

/** Sends one request; redirects are not followed, and the answer's body is not read. */
export class WebhookPost extends Context.Service<
  WebhookPost,
  { readonly post: (post: Post) => Effect.Effect<{ readonly status: number }, PostError> }
>()("effect-pilot/core/net/WebhookPost") {}
