import { assert, describe, expect, it } from "@effect/vitest"
import type { StreamConfig } from "../../../src/protocol/stream/StreamConfig.ts"
import { type Bottleneck, type FlowResult, jain, run } from "../../support/SharedBottleneck.ts"

type Controller = StreamConfig["congestionControl"]

/** What takes minutes runs with `npm run soak -- tables`: late starts at 100 Mbit/s, and the grid of every pair and start. */
const isFull = process.env["PILOT_FULL_TABLES"] === "1"

const BYTES = 5_000_000
const SEEDS = [1, 2, 3]

/** Seconds from dial to the last of 5 MB: the median of the seeds. */
const transferSeconds = (congestionControl: Controller, path: Omit<Bottleneck, "seed">): number => {
  const seconds = SEEDS.map((seed) => {
    const [result] = run({ ...path, seed }, [{ congestionControl, startMs: 0, bytes: BYTES }], 600_000)
    return (result?.doneMs ?? Number.POSITIVE_INFINITY) / 1000
  })
  return seconds.toSorted((a, b) => a - b)[1] ?? Number.NaN
}

/** Fills the columns of a table for a person to read. */
const table = (rows: ReadonlyArray<ReadonlyArray<string>>): string =>
  rows.map((row) => row.map((cell, index) => (index === 0 ? cell.padEnd(24) : cell.padStart(18))).join("")).join("\n")

/** Mbit/s of the first 5 MB or the first 30 s, whichever ends first, through 200 Mbit/s; Markdown, for docs/benchmarks.md. */
const throughputTable = (): string => {
  const losses = [0, 0.001, 0.005, 0.01, 0.02, 0.05]
  const header = ["round trip, controller", ...losses.map((loss) => `${loss * 100} %`)]
  const rows = [10, 30, 100, 214].flatMap((rttMs) =>
    (["Bbr", "Cubic", "NewReno"] as const).map((congestionControl) => [
      `${rttMs} ms, ${NAMES[congestionControl]}`,
      ...losses.map((loss) => megabits(congestionControl, { bitsPerSecond: 200e6, rttMs, queueProducts: 1, loss }))
    ])
  )
  const line = ([first = "", ...cells]: ReadonlyArray<string>) =>
    `| ${first.padEnd(22)} | ${cells.map((cell) => cell.padStart(5)).join(" | ")} |`
  return [line(header), line(["-".repeat(22), ...losses.map(() => "----:")]), ...rows.map(line)].join("\n")
}

/** The median of the seeds. */
const megabits = (congestionControl: Controller, path: Omit<Bottleneck, "seed">): string => {
  const rates = SEEDS.map((seed) => {
    const [result] = run({ ...path, seed }, [{ congestionControl, startMs: 0, bytes: BYTES }], MEASURED_MS)
    return ((result?.receivedBytes ?? 0) * 8) / Math.min(MEASURED_MS, result?.doneMs ?? MEASURED_MS) / 1000
  })
  const rate = rates.toSorted((a, b) => a - b)[1] ?? Number.NaN
  return rate >= 10 ? rate.toFixed(0) : rate.toFixed(1)
}

const NAMES = { Bbr: "BBR", Cubic: "CUBIC", NewReno: "NewReno" }
const MEASURED_MS = 30_000

const SECONDS = 20
const QUEUES = [0.5, 1, 4]

/** Two flows, the second one round trip later. */
const rivals = (pair: readonly [Controller, Controller], mbitPerSecond: number, queueProducts: number, laterMs = 30) =>
  run(
    { bitsPerSecond: mbitPerSecond * 1e6, rttMs: 30, queueProducts, loss: 0, seed: 1 },
    pair.map((congestionControl, index) => ({ congestionControl, startMs: index * laterMs })),
    SECONDS * 1000
  ).map(({ receivedBytes }: FlowResult) => (receivedBytes * 8) / SECONDS / 1e6)

const fairnessRow = (
  pair: readonly [Controller, Controller],
  mbitPerSecond: number,
  laterMs = 30,
  queues: ReadonlyArray<number> = QUEUES
) => queues.map((queueProducts) => ({ rates: rivals(pair, mbitPerSecond, queueProducts, laterMs), mbitPerSecond }))

const print = (rows: ReadonlyArray<ReadonlyArray<string>>) => void process.stdout.write(`${table(rows)}\n`)

const show = (rates: ReadonlyArray<number>): string =>
  `${jain(rates).toFixed(2)} ${rates.map((rate) => rate.toFixed(1)).join("/")}`

describe("Throughput", () => {
  it("keeps its rate whatever the link loses, as docs/benchmarks.md shows", () => {
    expect(throughputTable()).toMatchSnapshot()
  }, 120_000)

  it("moves 5 MB within the bars of the architecture page where only the path's delay and loss limit it", () => {
    const seconds = (rttMs: number) =>
      [0, 0.005, 0.02].map((loss) => transferSeconds("Bbr", { bitsPerSecond: 10e9, rttMs, queueProducts: 1, loss }))
    const [short, long] = [seconds(30), seconds(214)]

    expect(
      table([short, long].map((row, index) => [`${[30, 214][index]} ms`, ...row.map((value) => value.toFixed(2))]))
    ).toMatchSnapshot()
    for (const [index, bar] of [0.29, 0.34, 0.4].entries()) assert.isAtMost(short[index] ?? Number.NaN, bar)
    for (const [index, bar] of [2, 2.3, 3].entries()) assert.isAtMost(long[index] ?? Number.NaN, bar)
  }, 60_000)

  it("shares a bottleneck with itself and with CUBIC (architecture: bars)", () => {
    const pairs: ReadonlyArray<readonly [Controller, Controller]> = [
      ["Bbr", "Bbr"],
      ["Bbr", "Cubic"],
      ["Cubic", "Bbr"]
    ]
    const rows = pairs.flatMap((pair) => [20, 100].map((rate) => ({ pair, rate, cells: fairnessRow(pair, rate) })))

    expect(
      table([
        ["Jain, Mbit/s", ...QUEUES.map((queue) => `${queue} BDP`)],
        ...rows.map(({ cells, pair, rate }) => [`${pair.join("+")} ${rate}`, ...cells.map(({ rates }) => show(rates))])
      ])
    ).toMatchSnapshot()
    for (const { cells } of rows) {
      for (const { mbitPerSecond, rates } of cells) {
        assert.isAtLeast(jain(rates), 0.8)
        assert.isAtLeast(Math.min(...rates), (0.5 * mbitPerSecond) / 2)
      }
    }
  }, 600_000)

  const lateStarts = () => {
    it("shares it as well when the second flow comes into what the first one overshoots", () => {
      const rows = (["Bbr", "Cubic"] as const).flatMap((first) =>
        (["Bbr", "Cubic"] as const).map((second) => ({
          name: `${first}+${second}`,
          // What two of CUBIC do in the deepest queue is measured for what follows.
          cells: fairnessRow([first, second], 100, 100, first === "Cubic" && second === "Cubic" ? [4] : QUEUES)
        }))
      )

      print(rows.map(({ cells, name }) => [`${name} 100, 100 ms later`, ...cells.map(({ rates }) => show(rates))]))
      const least = (name: string, queue: number) => {
        const rates = rows.find((row) => row.name === name)?.cells.at(queue)?.rates ?? []
        return { index: jain(rates), share: Math.min(...rates) / 50 }
      }
      for (const [name, queues] of [
        ["Bbr+Bbr", [0, 1, 2]],
        ["Bbr+Cubic", [0, 1, 2]],
        ["Cubic+Bbr", [0, 1]]
      ] as const) {
        for (const queue of queues) {
          assert.isAtLeast(least(name, queue).index, 0.8)
          assert.isAtLeast(least(name, queue).share, 0.5)
        }
      }
      // CUBIC fills four products before it loses anything: whoever comes then has little for 20 s, least of all CUBIC.
      assert.isAbove(least("Cubic+Bbr", 2).share, 1.25 * least("Cubic+Cubic", -1).share)
    }, 600_000)

    it("leaves CUBIC its share of a short queue for good, although it comes later", () => {
      const rates = [0.5, 1].map((queueProducts) =>
        run(
          { bitsPerSecond: 100e6, rttMs: 30, queueProducts, loss: 0, seed: 1 },
          [
            { congestionControl: "Bbr", startMs: 0 },
            { congestionControl: "Cubic", startMs: 100 }
          ],
          60_000,
          20_000
        ).map(({ receivedBytes }) => (receivedBytes * 8) / 40 / 1e6)
      )

      print([["Bbr+Cubic 100, 60 s", ...rates.map(show)]])
      for (const pair of rates) {
        assert.isAtLeast(jain(pair), 0.8)
        assert.isAtLeast(Math.min(...pair), 25)
      }
    }, 600_000)
  }

  const printGrid = () => {
    const controllers: ReadonlyArray<Controller> = ["Bbr", "Cubic", "NewReno"]
    const rows = [1, 30, 100, 500].flatMap((laterMs) =>
      controllers.flatMap((first) =>
        controllers.flatMap((second) =>
          [20, 100].map((rate) => [
            `${first}+${second} ${rate} +${laterMs}`,
            ...fairnessRow([first, second], rate, laterMs).map(({ rates }) => show(rates))
          ])
        )
      )
    )
    print(rows)
  }

  // Over an hour of virtual time: for whoever changes a controller, not for every run.
  if (isFull) {
    lateStarts()
    it("prints the whole grid of fairness", printGrid, 1_200_000)
  }
})
