/** One line of a table: ours, what the machine allows, what others do, and the bar we set ourselves. */
import { Schema } from "effect"

/** A measured value. `ceiling` and `peers` were measured in the same run, in the same unit. */
export type Figure = typeof Figure.Type
export const Figure = Schema.Struct({
  name: Schema.String,
  unit: Schema.String,
  ours: Schema.Number,
  /** What limits the figure on this machine, by name. */
  ceiling: Schema.optionalKey(Schema.Struct({ value: Schema.Number, of: Schema.String })),
  peers: Schema.optionalKey(Schema.Record(Schema.String, Schema.Number)),
  /** Of the value itself, or of its ratio to the ceiling. */
  bar: Schema.optionalKey(
    Schema.Struct({
      kind: Schema.Literals(["atMost", "atLeast"]),
      value: Schema.Number,
      isRatio: Schema.optionalKey(Schema.Boolean)
    })
  )
})

/** Whether the bar is met; `undefined` without one. */
export const isMet = ({ bar, ceiling, ours }: Figure): boolean | undefined => {
  if (bar === undefined) return undefined
  const value = bar.isRatio ? ours / (ceiling?.value ?? Number.NaN) : ours
  return bar.kind === "atMost" ? value <= bar.value : value >= bar.value
}

/** A Markdown table as the formatter of this repository writes it. Columns that nobody uses are left out. */
export const table = (figures: ReadonlyArray<Figure>): string => {
  const rows = figures.map(cells)
  const header = ["figure", "ours", "ceiling", "ratio", "beside it", "bar", "met"]
  const used = header.map((_, column) => rows.some((row) => row[column] !== ""))
  const all = [header, ...rows].map((row) => row.filter((_, column) => used[column]))
  const widths = (all[0] ?? []).map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  const line = (row: ReadonlyArray<string>) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`
  return [line(all[0] ?? []), rule, ...all.slice(1).map(line)].join("\n")
}

const cells = (figure: Figure): ReadonlyArray<string> => {
  const { bar, ceiling, name, ours, peers = {}, unit } = figure
  const isShare = bar?.isRatio === true ? bar.kind === "atLeast" : ["MB/s", "/s"].includes(unit)
  const ratio = (value: number) => (isShare ? `${Math.round(100 * value)} %` : `${rounded(value)} ×`)
  const met = isMet(figure)
  return [
    name,
    measured(ours, unit),
    ceiling === undefined ? "" : `${measured(ceiling.value, unit)} (${ceiling.of})`,
    ceiling === undefined ? "" : ratio(ours / ceiling.value),
    Object.entries(peers)
      .map(([peer, value]) => `${peer} ${rounded(value)}`)
      .join(", "),
    bar === undefined
      ? ""
      : `${bar.kind === "atMost" ? "≤" : "≥"} ${bar.isRatio ? ratio(bar.value) : measured(bar.value, unit)}`,
    met === undefined ? "" : met ? "yes" : "no"
  ]
}

const measured = (value: number, unit: string): string => (unit === "" ? rounded(value) : `${rounded(value)} ${unit}`)

const rounded = (value: number): string => {
  if (!Number.isFinite(value)) return "none"
  if (value >= 1000) return Math.round(value).toLocaleString("en")
  return value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)))
}
