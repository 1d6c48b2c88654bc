/**
 * Calls as spans (mcp §1.4): the W3C context that travels in `_meta`, and whether anybody wants spans at all. Tracing is on
 * where a tracer was installed; Effect's own default records nothing, so it does not count, and nothing is paid for it.
 */
import { Context, Effect, Option, Tracer } from "effect"
import { Headers, HttpTraceContext } from "effect/http"
import type { JsonObject } from "../../core/data/Json.ts"

/** The installed tracer; undefined while tracing is off. */
export const tracerIn = (context: Context.Context<never>): Tracer.Tracer | undefined =>
  context.mapUnsafe.has(Tracer.Tracer.key) ? Context.get(context, Tracer.Tracer) : undefined

/** The W3C form of a span, for `_meta` and the record of calls. */
export const format = ({ sampled, spanId, traceId }: Pick<Tracer.Span, "sampled" | "spanId" | "traceId">): string =>
  `00-${traceId.padStart(32, "0")}-${spanId}-${sampled ? "01" : "00"}`

/** The span that a `traceparent` names, as a parent for ours; undefined if it is none. */
export const parse = (traceparent: string): Tracer.ExternalSpan | undefined =>
  Option.getOrUndefined(HttpTraceContext.w3c(Headers.fromRecordUnsafe({ traceparent })))

/** What a span of a call is called, and what is known of it. */
export const named = (
  kind: Tracer.SpanKind,
  method: string,
  target: string | undefined
): { readonly name: string; readonly kind: Tracer.SpanKind; readonly attributes: Record<string, string> } => ({
  name: target === undefined ? method : `${method} ${target}`,
  kind,
  attributes: { "mcp.method.name": method, ...(target === undefined ? {} : { "mcp.target": target }) }
})

/**
 * Runs a request of this program in a span of its own; `request` gets what to tell the server in `_meta`, which is nothing
 * while tracing is off.
 */
export const around = <A, E, R>(
  method: string,
  target: string | undefined,
  request: (meta: JsonObject) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.contextWith((context: Context.Context<R>) => {
    if (tracerIn(context) === undefined) return request({})
    const { name, ...options } = named("client", method, target)
    return Effect.useSpan(name, options, (span) => Effect.withParentSpan(request({ traceparent: format(span) }), span))
  })
