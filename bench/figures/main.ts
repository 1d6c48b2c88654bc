/**
 * Draws `docs/figures/`: what congestion window and round trip do over time, under BBR and under CUBIC, in virtual time.
 * The same on every machine, until a controller changes.
 *
 * node bench/figures/main.ts
 */
import { mkdirSync, writeFileSync } from "node:fs"
import * as Chart from "./Chart.ts"
import * as Trace from "./Trace.ts"

const figure = (lossRate: number): string => {
  const traces = CONTROLLERS.map(({ congestionControl, ...line }) => {
    const trace = Trace.run({ ...PATH, congestionControl, lossRate })
    return { ...line, samples: thinned(trace.samples), label: `${line.label}: ${mbit(trace.bytesPerMs)} Mbit/s` }
  })
  const lines = (value: (sample: Trace.Trace["samples"][number]) => number): ReadonlyArray<Chart.Line> =>
    traces.map(({ samples, ...line }) => ({
      ...line,
      points: samples.map((sample) => [sample.atMs / 1000, value(sample)] as const)
    }))
  const title = `20 Mbit/s, 30 ms, queue of one BDP, ${lossRate === 0 ? "no" : `${lossRate * 100} %`} random loss`
  return Chart.svg(title, PATH.lengthMs / 1000, [
    {
      ...{ title: "congestion window", unit: "KB", max: 300, step: 50 },
      mark: { value: BDP_BYTES / 1000, label: `the path holds ${BDP_BYTES / 1000} KB, the queue as much again` },
      lines: lines(({ congestionWindowBytes }) => congestionWindowBytes / 1000)
    },
    {
      ...{ title: "round trip of the last acknowledgement", unit: "ms", max: 80, step: 10 },
      mark: { value: PATH.rttMs, label: "the path alone" },
      lines: lines(({ latestRttMs }) => latestRttMs)
    }
  ])
}

/** One point per two pixels: the last sample of each interval. */
const thinned = (samples: Trace.Trace["samples"]): Trace.Trace["samples"] =>
  samples.filter(({ atMs, latestRttMs }, index) => {
    const next = samples[index + 1]
    return latestRttMs > 0 && (next === undefined || Math.floor(next.atMs / THIN_MS) > Math.floor(atMs / THIN_MS))
  })

const mbit = (bytesPerMs: number): string => ((bytesPerMs * 8) / 1000).toFixed(1)

const CONTROLLERS = [
  { congestionControl: "Bbr", label: "BBR", colour: "#1565c0" },
  { congestionControl: "Cubic", label: "CUBIC", colour: "#e65100" }
] as const
const BITS_PER_SECOND = 20e6
const RTT_MS = 30
const BDP_BYTES = (BITS_PER_SECOND * RTT_MS) / 8000
const PATH = {
  bitsPerSecond: BITS_PER_SECOND,
  rttMs: RTT_MS,
  queueBytes: BDP_BYTES,
  lengthMs: 12_000,
  seed: 1
}
const THIN_MS = 20

const FOLDER = new URL("../../docs/figures", import.meta.url)
mkdirSync(FOLDER, { recursive: true })
for (const { lossRate, name } of [
  { lossRate: 0, name: "window-and-rtt.svg" },
  { lossRate: 0.01, name: "window-and-rtt-with-loss.svg" }
]) {
  writeFileSync(new URL(name, FOLDER), figure(lossRate))
}
