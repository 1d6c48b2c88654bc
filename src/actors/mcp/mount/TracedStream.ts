/**
 * A stream of MCP lines whose requests become spans (mcp §1.4): from the line that asks to the line that answers, under the
 * span that the request names, or as the root that it is told about. Only used where a tracer is installed; the stream
 * without it is the stream itself.
 *
 * Owns the open spans of one client; ends those that were never answered when the stream does.
 */
import { Cause, type Clock, Context, Effect, Exit, Option, Result, type Tracer } from "effect"
import type { Duplex } from "../../../core/net/Duplex.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import * as TraceMeta from "../../../protocol/relay/TraceMeta.ts"
import * as CallTrace from "../CallTrace.ts"
import type { Child } from "../server/Child.ts"
import * as WatchedStream from "./WatchedStream.ts"

/** Whose requests they are: those that are read from the stream, or those that are written to it. */
export interface Options {
  readonly requests: "read" | "written"
  readonly kind: Tracer.SpanKind
  /** What is known of all of them, as `mcp.service`. */
  readonly attributes: Readonly<Record<string, string>>
}

/** The stream under the tracer of the surroundings, if there is any. */
export const traced = <E>(stream: Duplex<E>, options: Options): Effect.Effect<Duplex<E>> =>
  Effect.contextWith((context: Context.Context<never>) =>
    Effect.clockWith((clock) => {
      const tracer = CallTrace.tracerIn(context)
      return Effect.succeed(
        tracer === undefined
          ? stream
          : WatchedStream.watched(stream, options.requests, new CallSpans(tracer, clock, options))
      )
    })
  )

/** A server's calls under the tracer of the surroundings, if there is any. */
export const tracedChild = (child: Child, service: string): Effect.Effect<Child> =>
  Effect.map(
    traced(child.stdio, { requests: "written", kind: "server", attributes: { "mcp.service": service } }),
    (stdio) => (stdio === child.stdio ? child : { ...child, stdio })
  )

/** The open spans of one client, by the raw text of the request's id. */
class CallSpans implements WatchedStream.Watcher {
  readonly #tracer: Tracer.Tracer
  readonly #clock: Clock.Clock
  readonly #options: Options
  readonly #open = new Map<string, Tracer.Span>()

  constructor(tracer: Tracer.Tracer, clock: Clock.Clock, options: Options) {
    this.#tracer = tracer
    this.#clock = clock
    this.#options = options
  }

  /** A line of the client, with our context in it if it had none. A batch passes unseen. */
  readonly asked = (message: Uint8Array): Uint8Array => {
    const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message))
    if (envelope?._tag === "Notification" && envelope.cancels !== undefined) {
      this.#end(envelope.cancels, Exit.failCause(Cause.interrupt()))
    }
    if (envelope?._tag !== "Request" || this.#open.size >= SPANS_MAX) return message
    const said = TraceMeta.traceparentOf(message)
    const parent = said === undefined ? undefined : CallTrace.parse(said)
    const { attributes, kind, name } = CallTrace.named(this.#options.kind, envelope.method, envelope.target)
    const span = this.#tracer.span({
      name,
      kind,
      parent: Option.fromUndefinedOr(parent),
      annotations: Context.empty(),
      links: [],
      startTime: this.#clock.currentTimeNanosUnsafe(),
      root: parent === undefined,
      sampled: parent?.sampled ?? true
    })
    for (const [key, value] of Object.entries({ ...this.#options.attributes, ...attributes }))
      span.attribute(key, value)
    this.#open.set(envelope.id, span)
    return said === undefined ? TraceMeta.write(message, CallTrace.format(span)) : message
  }

  /** A line of the server. */
  readonly answered = (message: Uint8Array): Uint8Array => {
    const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message))
    for (const { id, isError } of envelope === undefined ? [] : JsonRpcPeek.responses(envelope)) {
      this.#end(id, isError ? Exit.fail("the server answered an error") : Exit.void)
    }
    return message
  }

  /** Nothing more is answered. */
  readonly end = (): void => {
    for (const id of [...this.#open.keys()]) this.#end(id, Exit.fail("the stream ended before the answer"))
  }

  #end(id: string, exit: Exit.Exit<unknown, unknown>): void {
    const span = this.#open.get(id)
    this.#open.delete(id)
    span?.end(this.#clock.currentTimeNanosUnsafe(), exit)
  }
}

/** Open spans of one client; calls beyond are carried without. */
const SPANS_MAX = 512
