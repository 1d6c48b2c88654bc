/** Counts of MCP calls as Prometheus text. */
import * as PrometheusText from "../../core/data/PrometheusText.ts"
import { type CallCounts, DURATION_BOUNDS_SECONDS, Outcome } from "./CallMetrics.ts"

/** The whole exposition. */
export const render = (counts: ReadonlyArray<CallCounts>): string => {
  const gathered = counts.map((one) => [labelsOf(one), one] as const)
  const single = (value: (counts: CallCounts) => number) =>
    gathered.map(([labels, counts]) => ({ suffix: "", labels, value: value(counts) }))
  const calls = gathered.flatMap(([labels, { outcomes }]) =>
    Outcome.literals
      .filter((outcome) => outcomes[outcome] > 0)
      .map((outcome) => ({ suffix: "", labels: { ...labels, outcome }, value: outcomes[outcome] }))
  )
  const durations = gathered.flatMap(([labels, { durationCounts, durationSumSeconds }]) =>
    PrometheusText.histogram(labels, DURATION_BOUNDS_SECONDS, durationCounts, durationSumSeconds)
  )
  const { family } = PrometheusText
  return [
    ...family("pilot_mcp_calls_total", "counter", "Calls that ended, by how.", calls),
    ...family(
      "pilot_mcp_calls_in_flight",
      "gauge",
      "Calls at the server now.",
      single(({ inFlight }) => inFlight)
    ),
    ...family("pilot_mcp_call_duration_seconds", "histogram", "Time until the answer.", durations),
    ...family(
      "pilot_mcp_request_bytes_total",
      "counter",
      "Bytes of requests.",
      single(({ bytesIn }) => bytesIn)
    ),
    ...family(
      "pilot_mcp_response_bytes_total",
      "counter",
      "Bytes of answers.",
      single(({ bytesOut }) => bytesOut)
    ),
    ""
  ].join("\n")
}

const labelsOf = ({ method, peer, service, tool }: CallCounts) => ({ service, peer, method, tool })
