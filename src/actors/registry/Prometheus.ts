/** `/metrics` (rendezvous §6): counters of the registry in the Prometheus text format. */
import * as PrometheusText from "../../core/data/PrometheusText.ts"
import type { RegistryStatistics } from "../../protocol/registry/RegistryStatistics.ts"
import * as RegistryMetrics from "./RegistryMetrics.ts"

/** The whole exposition. */
export const render = (
  metrics: RegistryMetrics.RegistryMetrics,
  statistics: RegistryStatistics,
  uptimeSeconds: number
): string => {
  const kinds = [...metrics.byKind].sort(([a], [b]) => (a < b ? -1 : 1))
  const errors = kinds.filter(([, { errors }]) => errors > 0)
  const succeeded = (kind: string): number => RegistryMetrics.succeeded(metrics, kind)
  return [
    ...family("pilot_requests_total", "counter", "Requests by type.", kinds.map(counterOf("requests"))),
    ...family("pilot_errors_total", "counter", "Refused requests by type.", errors.map(counterOf("errors"))),
    ...family("pilot_request_duration_seconds", "histogram", "Time to handle a request.", kinds.flatMap(histogram)),
    ...single("pilot_nodes_online", "gauge", "Nodes heard lately.", statistics.activeNodes),
    ...single("pilot_nodes_total", "gauge", "Nodes registered.", statistics.totalNodes),
    ...single("pilot_trust_links", "gauge", "Pairs of nodes that trust each other.", statistics.totalTrustLinks),
    ...single("pilot_task_executors", "gauge", "Nodes that accept tasks.", statistics.taskExecutors),
    ...single("pilot_uptime_seconds", "gauge", "Seconds since the start.", uptimeSeconds),
    ...single("pilot_registrations_total", "counter", "Registrations accepted.", succeeded("register")),
    ...single("pilot_deregistrations_total", "counter", "Nodes that left by request.", metrics.deregistrations),
    ...single("pilot_trust_reports_total", "counter", "Trust reports accepted.", succeeded("report_trust")),
    ...single("pilot_trust_revocations_total", "counter", "Trust revocations.", succeeded("revoke_trust")),
    ...single("pilot_handshake_requests_total", "counter", "Handshakes relayed.", succeeded("request_handshake")),
    // Ours, behind those of the reference.
    ...family("pilot_malformed_total", "counter", "Connections ended for what they sent.", malformed(metrics)),
    ""
  ].join("\n")
}

const { family } = PrometheusText

const counterOf =
  (field: "requests" | "errors") =>
  ([kind, metrics]: readonly [string, RegistryMetrics.KindMetrics]): PrometheusText.Sample => ({
    suffix: "",
    labels: { type: kind },
    value: metrics[field]
  })

const malformed = (metrics: RegistryMetrics.RegistryMetrics): ReadonlyArray<PrometheusText.Sample> =>
  Object.entries(metrics.malformed).map(([reason, value]) => ({ suffix: "", labels: { reason }, value }))

const histogram = ([kind, metrics]: readonly [string, RegistryMetrics.KindMetrics]) =>
  PrometheusText.histogram(
    { type: kind },
    RegistryMetrics.DURATION_BOUNDS_SECONDS,
    metrics.durationCounts,
    metrics.durationSumSeconds
  )

const single = (name: string, type: "counter" | "gauge", help: string, value: number): ReadonlyArray<string> =>
  family(name, type, help, [{ suffix: "", labels: {}, value }])
