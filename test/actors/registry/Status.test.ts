import { assert, describe, it } from "@effect/vitest"
import * as Badge from "../../../src/actors/registry/Badge.ts"
import * as Prometheus from "../../../src/actors/registry/Prometheus.ts"
import * as RegistryMetrics from "../../../src/actors/registry/RegistryMetrics.ts"
import vectors from "../../vectors/rendezvous.json" with { type: "json" }

describe("Badge", () => {
  it("has the sizes, colours and texts of the reference's badges (rendezvous §6)", () => {
    const badges = vectors.http.flatMap(({ svg }) => (svg === undefined ? [] : [svg]))
    assert.lengthOf(badges, 5)
    for (const { height, label, label_width, value, value_colour, value_width, width } of badges) {
      const rendered = Badge.render({ label, value: Number(value), colour: value_colour })
      assert.include(rendered, `width="${width}" height="${height}"`)
      assert.include(rendered, `<rect width="${label_width}" height="20" fill="#555"/>`)
      assert.include(rendered, `<rect x="${label_width}" width="${value_width}" height="20" fill="${value_colour}"/>`)
      assert.include(rendered, `<title>${label}: ${value}</title>`)
    }
  })

  it("shortens large values", () => {
    const shown = [0, 999, 1000, 1234, 1_200_000, 2_500_000_000].map(Badge.abbreviate)
    assert.deepStrictEqual(shown, ["0", "999", "1.0K", "1.2K", "1.2M", "2.5B"])
  })
})

describe("Prometheus", () => {
  const statistics = {
    totalNodes: 2,
    activeNodes: 1,
    totalTrustLinks: 3,
    uniqueTags: 0,
    taskExecutors: 4,
    nodes: [],
    edges: []
  }

  it("declares the metrics of the reference in its order, each with its type, and ours after them", () => {
    const reference = vectors.http.find(({ body_without_bucket_lines }) => body_without_bucket_lines !== undefined)
    const typeLines = (text: string) => text.split("\n").filter((line) => line.startsWith("# TYPE"))
    const ours = Prometheus.render(RegistryMetrics.make(), statistics, 1.5)
    const theirs = typeLines(reference?.body_without_bucket_lines ?? "")
    assert.deepStrictEqual(typeLines(ours).slice(0, theirs.length), theirs)
    assert.deepStrictEqual(typeLines(ours).slice(theirs.length), ["# TYPE pilot_malformed_total counter"])
    assert.include(ours, "pilot_nodes_total 2\n")
  })

  it("counts connections ended for what they sent, by reason, from zero", () => {
    const metrics = RegistryMetrics.make()
    metrics.malformed.FrameTooLong += 2
    const text = Prometheus.render(metrics, statistics, 0)

    assert.include(
      text,
      'pilot_malformed_total{reason="FrameTooLong"} 2\npilot_malformed_total{reason="NotAnObject"} 0\n'
    )
  })

  it("counts durations cumulatively, by type in sorted order", () => {
    const metrics = RegistryMetrics.make()
    RegistryMetrics.record(metrics, "resolve", false, 0.05)
    RegistryMetrics.record(metrics, "lookup", true, 0.3)
    RegistryMetrics.record(metrics, "lookup", false, 2000)
    const text = Prometheus.render(metrics, statistics, 0)
    const of = (le: string) => `pilot_request_duration_seconds_bucket{type="lookup",le="${le}"}`
    assert.include(text, `${of("0.00025")} 0\n${of("0.0005")} 1\n`)
    assert.include(text, `${of("1")} 1\n${of("+Inf")} 2\n`)
    assert.include(text, 'pilot_requests_total{type="lookup"} 2\npilot_requests_total{type="resolve"} 1\n')
    assert.include(text, 'pilot_errors_total{type="lookup"} 1\n')
    assert.notInclude(text, 'pilot_errors_total{type="resolve"}')
  })
})
