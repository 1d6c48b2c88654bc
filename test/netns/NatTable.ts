/** The table NAT × NAT, as a page has it: who dials stands in front, who is dialled above. */
import * as NatBox from "./NatBox.ts"
import type { Dial } from "./NatMatrix.ts"

/** Markdown: path, and milliseconds to the first byte and to the direct path. Paths below what theory allows are bold. */
export const markdown = (dials: ReadonlyArray<Dial>): string => {
  const kinds = NatBox.KINDS.filter((kind) => dials.some(({ from }) => from === kind))
  const cell = (from: NatBox.Kind, to: NatBox.Kind) => {
    const dial = dials.find((one) => one.from === from && one.to === to)
    if (dial === undefined) return ""
    const path = isShort(dial) ? `**${dial.path}**` : dial.path
    if (dial.path === "none") return "**none**"
    const times = [dial.firstByteMs, ...(dial.directMs === undefined ? [] : [dial.directMs])]
    return `${path} ${times.map(Math.round).join(" / ")}`
  }
  const rows = [["from \\ to", ...kinds], ...kinds.map((from) => [from, ...kinds.map((to) => cell(from, to))])]
  const widths = kinds.map((_, column) => Math.max(...rows.map((row) => row[column + 1]?.length ?? 0)))
  widths.unshift(Math.max(...rows.map(([first = ""]) => first.length)))
  const line = (row: ReadonlyArray<string>) =>
    `| ${row.map((text, column) => text.padEnd(widths[column] ?? 0)).join(" | ")} |`
  const [header = [], ...rest] = rows
  return [line(header), line(widths.map((width) => "-".repeat(width))), ...rest.map(line)].join("\n")
}

/** Whether theory allows a better path. */
export const isShort = ({ from, path, to }: Dial): boolean => path !== "direct" && NatBox.theory(from, to) === "direct"
