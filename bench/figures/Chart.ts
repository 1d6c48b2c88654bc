/** Line charts as SVG: panels under each other over one axis of time. */

/** One line: points in order of time. */
export interface Line {
  readonly label: string
  readonly colour: string
  readonly points: ReadonlyArray<readonly [seconds: number, value: number]>
}

/** One panel, from 0 to `max`, with a dashed mark. */
export interface Panel {
  readonly title: string
  readonly unit: string
  readonly max: number
  readonly step: number
  readonly mark: { readonly value: number; readonly label: string }
  readonly lines: ReadonlyArray<Line>
}

/** A whole figure. The labels of the first panel's lines are its legend. */
export const svg = (title: string, seconds: number, panels: ReadonlyArray<Panel>): string => {
  const height = TOP + panels.length * (PANEL + GAP) + BOTTOM
  const lines = panels[0]?.lines ?? []
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}"`,
    ` font-family="sans-serif" font-size="13" fill="#222" role="img" aria-label="${title}">\n`,
    `<rect width="${WIDTH}" height="${height}" fill="white"/>\n`,
    `<text x="${LEFT}" y="24" font-size="16" font-weight="bold">${title}</text>\n`,
    ...lines.map(({ colour, label }, index) => legend(LEFT + index * LEGEND, colour, label)),
    ...panels.map((panel, index) => draw(panel, seconds, TOP + GAP / 2 + index * (PANEL + GAP))),
    text(LEFT + (WIDTH - LEFT - RIGHT) / 2, height - 12, "middle", "time since the dial, s"),
    "</svg>\n"
  ].join("")
}

const legend = (x: number, colour: string, label: string): string =>
  `<line x1="${x}" x2="${x + 28}" y1="45" y2="45" stroke="${colour}" stroke-width="3"/>\n${text(x + 36, 50, "start", label)}`

const draw = ({ lines, mark, max, step, title, unit }: Panel, seconds: number, top: number): string => {
  const x = (value: number) => round(LEFT + (value / seconds) * (WIDTH - LEFT - RIGHT))
  const y = (value: number) => round(top + PANEL - (Math.min(value, max) / max) * PANEL)
  const rows = ticks(max, step).map(
    (value) =>
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(value)}" y2="${y(value)}" stroke="#ddd"/>\n` +
      text(LEFT - 8, y(value) + 4, "end", String(value))
  )
  const columns = ticks(seconds, 1).map(
    (value) =>
      `<line x1="${x(value)}" x2="${x(value)}" y1="${top}" y2="${top + PANEL}" stroke="#eee"/>\n` +
      text(x(value), top + PANEL + 18, "middle", String(value))
  )
  const curves = lines.map(({ colour, points }) => {
    const path = points.map(([at, value]) => `${x(at)},${y(value)}`).join(" ")
    return `<polyline fill="none" stroke="${colour}" stroke-width="1.4" stroke-linejoin="round" points="${path}"/>\n`
  })
  const marked = `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(mark.value)}" y2="${y(mark.value)}" stroke="#444" stroke-dasharray="6 4"/>\n`
  return [
    ...columns,
    ...rows,
    marked,
    ...curves,
    `<rect x="${LEFT}" y="${top}" width="${WIDTH - LEFT - RIGHT}" height="${PANEL}" fill="none" stroke="#888"/>\n`,
    text(LEFT, top - 8, "start", `${title}, ${unit}`),
    text(WIDTH - RIGHT, top - 8, "end", `dashed: ${mark.label}`)
  ].join("")
}

const ticks = (max: number, step: number): ReadonlyArray<number> =>
  Array.from({ length: Math.floor(max / step) + 1 }, (_, index) => index * step)

const text = (x: number, y: number, anchor: "start" | "middle" | "end", content: string): string =>
  `<text x="${x}" y="${y}" text-anchor="${anchor}">${content}</text>\n`

const round = (value: number): number => Math.round(value * 10) / 10

const WIDTH = 960
const LEFT = 64
const RIGHT = 24
const TOP = 58
const PANEL = 240
const GAP = 50
const BOTTOM = 24
const LEGEND = 260
