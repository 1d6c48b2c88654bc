import { assert, describe, it } from "@effect/vitest"
import * as CallMetrics from "../../../src/protocol/relay/CallMetrics.ts"
import * as CallMetricsText from "../../../src/protocol/relay/CallMetricsText.ts"
import * as Arbitraries from "../../support/Arbitraries.ts"

const peer = (metrics: CallMetrics.CallMetrics, name = "0:0000.0000.0002", service = "files") =>
  new CallMetrics.PeerCalls(metrics, { service, peer: name })

describe("CallMetrics", () => {
  it("counts by outcome, with bytes, time and what runs now", () => {
    const metrics = new CallMetrics.CallMetrics()
    const read = peer(metrics).of("tools/call", "read")
    read.started()
    read.started()
    read.started()
    read.ended("ok", 2, 10, 100)
    read.ended("toolError", 400_000, 20, 200)
    read.refused("denied", 5)

    const [counts] = metrics.all()
    assert.deepInclude(counts, { service: "files", tool: "read", method: "tools/call", inFlight: 1 })
    assert.deepInclude(counts, { bytesIn: 35, bytesOut: 300, durationSumSeconds: 400.002 })
    assert.deepStrictEqual(counts?.outcomes, { ok: 1, toolError: 1, error: 0, cancelled: 0, unknown: 0, denied: 1 })
    assert.strictEqual(counts?.durationCounts[1], 1)
    assert.strictEqual(counts?.durationCounts.at(-1), 1)
  })

  it("two sessions of a peer count together, two peers apart, other methods without a tool", () => {
    const metrics = new CallMetrics.CallMetrics()
    assert.strictEqual(peer(metrics).of("tools/call", "a"), peer(metrics).of("tools/call", "a"))
    assert.notStrictEqual(peer(metrics).of("tools/call", "a"), peer(metrics, "other").of("tools/call", "a"))
    assert.deepInclude(peer(metrics).of("resources/read", "file:///secret"), { method: "resources/read", tool: "" })
  })

  it("whatever names peers make up, there are only so many lines, and no call is lost", () => {
    const metrics = new CallMetrics.CallMetrics()
    const made = 200_000
    for (let index = 0; index < made; index++) {
      const calls = peer(metrics, `peer ${index % 97}`, `service ${index % 131}`)
      const series = index % 3 === 0 ? calls.of(`method ${index}`, undefined) : calls.of("tools/call", `tool ${index}`)
      series.refused("denied", 1)
    }
    const all = metrics.all()
    assert.isAtMost(all.length, CallMetrics.SERIES_MAX + CallMetrics.SERVICES_MAX + 1)
    assert.strictEqual(
      all.reduce((sum, { outcomes }) => sum + outcomes.denied, 0),
      made
    )
  })

  it("one peer cannot use up the lines of the others", () => {
    const metrics = new CallMetrics.CallMetrics()
    const greedy = peer(metrics, "greedy")
    for (let index = 0; index < 10_000; index++) greedy.of("tools/call", `tool ${index}`).refused("denied", 1)
    assert.strictEqual(metrics.all().length, CallMetrics.NAMES_MAX + 1)
    assert.deepInclude(peer(metrics, "honest").of("tools/call", "read"), { peer: "honest", tool: "read" })
    assert.deepInclude(greedy.of("tools/call", "more"), { service: "files", peer: "_other", tool: "_other" })
  })

  it("names that cannot be shown are no labels", () => {
    const metrics = new CallMetrics.CallMetrics()
    for (const name of ["a\nb", "\u001b[2J", "a\u200bb", "x".repeat(CallMetrics.NAME_CHARACTERS_MAX + 1)]) {
      assert.strictEqual(peer(metrics).of("tools/call", name).tool, CallMetrics.OTHER)
    }
    assert.strictEqual(peer(metrics).of("tools/call", "größe 𝄞").tool, "größe 𝄞")
  })

  it.prop(
    "every duration is in exactly one slot, the first whose bound it does not exceed",
    { micros: Arbitraries.integer(0, 1_000_000_000) },
    ({ micros }) => {
      const series = peer(new CallMetrics.CallMetrics()).of("tools/call", "t")
      series.started()
      series.ended("ok", micros / 1000, 0, 0)
      const slot = series.durationCounts.indexOf(1)
      const bounds = [...CallMetrics.DURATION_BOUNDS_SECONDS, Number.POSITIVE_INFINITY]
      assert.strictEqual(
        series.durationCounts.reduce((sum, count) => sum + count, 0),
        1
      )
      const seconds = micros / 1000 / 1000
      assert.isAtMost(seconds, bounds[slot] ?? Number.NaN)
      if (slot > 0) assert.isAbove(seconds, bounds[slot - 1] ?? Number.NaN)
    }
  )

  it("Prometheus text: cumulative buckets, escaped labels, only outcomes that happened", () => {
    const metrics = new CallMetrics.CallMetrics()
    const series = peer(metrics).of("tools/call", 'a"b\\c')
    series.started()
    series.ended("ok", 3, 7, 9)
    const text = CallMetricsText.render(metrics.all())
    const labels = 'service="files",peer="0:0000.0000.0002",method="tools/call",tool="a\\"b\\\\c"'
    const lines = text.split("\n")

    assert.include(lines, "# TYPE pilot_mcp_call_duration_seconds histogram")
    assert.deepStrictEqual(
      lines.filter((line) => line.startsWith("pilot_mcp_calls_total")),
      [`pilot_mcp_calls_total{${labels},outcome="ok"} 1`]
    )
    assert.include(lines, `pilot_mcp_call_duration_seconds_bucket{${labels},le="0.0025"} 0`)
    assert.include(lines, `pilot_mcp_call_duration_seconds_bucket{${labels},le="0.005"} 1`)
    assert.include(lines, `pilot_mcp_call_duration_seconds_bucket{${labels},le="+Inf"} 1`)
    assert.include(lines, `pilot_mcp_call_duration_seconds_sum{${labels}} 0.003`)
    assert.include(lines, `pilot_mcp_calls_in_flight{${labels}} 0`)
    assert.include(lines, `pilot_mcp_request_bytes_total{${labels}} 7`)
    assert.include(lines, `pilot_mcp_response_bytes_total{${labels}} 9`)
    assert.isTrue(text.endsWith("\n"))
  })
})
