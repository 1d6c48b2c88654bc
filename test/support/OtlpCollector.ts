/** An OpenTelemetry collector over HTTP that keeps what it is sent (OTLP, JSON). */
import { createServer } from "node:http"
import { Effect, Schema, type Scope } from "effect"
import * as PilotProcesses from "./PilotProcesses.ts"

/** One span, with the name of the process that sent it. */
export interface Received {
  readonly process: string
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  /** Empty for the root of a trace. */
  readonly parentSpanId: string
  readonly kind: number
  readonly attributes: Readonly<Record<string, string>>
}

/** A collector that listens until the scope ends. */
export interface OtlpCollector {
  /** What `--otlp` and `OTEL_EXPORTER_OTLP_ENDPOINT` are told. */
  readonly url: string
  readonly paths: ReadonlySet<string>
  /** What was received until now. */
  readonly spans: () => ReadonlyArray<Received>
  /** Waits for the first span that fits. */
  readonly span: (fits: (span: Received) => boolean) => Effect.Effect<Received>
}

/** Starts one. */
export const make: Effect.Effect<OtlpCollector, never, Scope.Scope> = Effect.gen(function* () {
  const received: Array<Received> = []
  const paths = new Set<string>()
  const server = createServer((request, response) => {
    const parts: Array<Uint8Array> = []
    request.on("data", (part: Uint8Array) => parts.push(part))
    request.on("end", () => {
      paths.add(request.url ?? "")
      received.push(...spansIn(Buffer.concat(parts).toString()))
      response.end("{}")
    })
  })
  const port = yield* Effect.acquireRelease(
    Effect.callback<number>((resume) => {
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0))
      })
    }),
    () =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
  )
  return {
    url: `http://127.0.0.1:${port}/`,
    paths,
    spans: () => received,
    span: (fits) =>
      Effect.flatMap(PilotProcesses.until(Effect.sync(() => received.some(fits))), () =>
        Effect.fromNullishOr(received.find(fits)).pipe(Effect.orDie)
      )
  }
})

const spansIn = (body: string): ReadonlyArray<Received> =>
  decode(body).resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map(({ attributes, kind, name, parentSpanId = "", spanId, traceId }) => ({
        process: record(resource.attributes)["service.name"] ?? "",
        name,
        traceId,
        spanId,
        parentSpanId,
        kind,
        attributes: record(attributes)
      }))
    )
  )

const record = (attributes: ReadonlyArray<typeof Attribute.Type>): Record<string, string> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? ""]))

const Attribute = Schema.Struct({
  key: Schema.String,
  value: Schema.Struct({ stringValue: Schema.optionalKey(Schema.NullOr(Schema.String)) })
})
const decode = Schema.decodeUnknownSync(
  Schema.fromJsonString(
    Schema.Struct({
      resourceSpans: Schema.Array(
        Schema.Struct({
          resource: Schema.Struct({ attributes: Schema.Array(Attribute) }),
          scopeSpans: Schema.Array(
            Schema.Struct({
              spans: Schema.Array(
                Schema.Struct({
                  name: Schema.String,
                  traceId: Schema.String,
                  spanId: Schema.String,
                  parentSpanId: Schema.optionalKey(Schema.String),
                  kind: Schema.Number,
                  attributes: Schema.Array(Attribute)
                })
              )
            })
          )
        })
      )
    })
  )
)
