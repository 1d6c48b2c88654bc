/** Spans to an OpenTelemetry collector over HTTP (OTLP, JSON). The exporter is loaded when it is wanted, and not before. */
import { Config, ConfigProvider, Effect, Layer, Option } from "effect"

/**
 * A tracer that exports to `url`, else as the `OTEL_EXPORTER_OTLP_…` variables say, else to `orElse`; nothing at all without
 * any. What is not exported when the scope ends is sent then, for a moment.
 */
export const layer = (serviceName: string, url?: string, orElse?: string): Layer.Layer<never> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const isConfigured = yield* Effect.map(Effect.all([isSet(ENDPOINT), isSet(TRACES_ENDPOINT)]), (set) =>
        set.includes(true)
      )
      const place = url ?? (isConfigured ? undefined : orElse)
      if (place === undefined && !isConfigured) return Layer.empty
      const [{ OtlpSerialization, OtlpTracer }, client] = yield* Effect.promise(() =>
        Promise.all([import("effect/observability"), import("./NodeUpstreamClient.ts")])
      )
      const resource = { serviceName }
      const tracer =
        place === undefined
          ? OtlpTracer.layerFromConfig({ resource }).pipe(Layer.provide(DEFAULTS))
          : OtlpTracer.layer({
              url: `${place.replace(/\/+$/, "")}/v1/traces`,
              resource,
              exportInterval: EXPORT_INTERVAL
            })
      return tracer.pipe(Layer.provide(OtlpSerialization.layerJson), Layer.provide(client.layer))
    })
  )

/** What the variables mean when they are not set, as OpenTelemetry has it; Effect exports nothing unless told which exporter. */
const DEFAULTS = ConfigProvider.layerAdd(ConfigProvider.fromEnv({ env: { OTEL_TRACES_EXPORTER: "otlp" } }))

const isSet = (name: string): Effect.Effect<boolean> =>
  Config.String(name).pipe(
    Config.option,
    Effect.map((value) => Option.isSome(value) && value.value !== ""),
    Effect.orElseSucceed(() => false)
  )

const ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
const TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
const EXPORT_INTERVAL = "1 second"
