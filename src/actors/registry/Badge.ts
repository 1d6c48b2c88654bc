/** Badges for web pages (rendezvous §6): one label and one number as an SVG 20 pixels high. */

/** What a badge shows. */
export interface Badge {
  readonly label: string
  readonly value: number
  readonly colour: string
}

/** The SVG document. */
export const render = ({ label, value, colour }: Badge): string => {
  const text = abbreviate(value)
  const labelWidth = widthOf(label)
  const valueWidth = widthOf(text)
  const width = labelWidth + valueWidth
  const description = `${label}: ${text}`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="20" role="img" aria-label="${description}">`,
    `<title>${description}</title>`,
    `<rect width="${labelWidth}" height="20" fill="#555"/>`,
    `<rect x="${labelWidth}" width="${valueWidth}" height="20" fill="${colour}"/>`,
    `<g fill="#fff" text-anchor="middle" font-family="Verdana,Geneva,sans-serif" font-size="11">`,
    `<text x="${labelWidth / 2}" y="14">${label}</text>`,
    `<text x="${labelWidth + valueWidth / 2}" y="14">${text}</text>`,
    "</g></svg>"
  ].join("")
}

/** `999`, `1.2K`, `1.2M`, `1.2B`. */
export const abbreviate = (value: number): string => {
  for (const { from, suffix } of UNITS) if (value >= from) return `${(value / from).toFixed(1)}${suffix}`
  return String(value)
}

const widthOf = (text: string): number => Math.floor(6.5 * text.length) + 10

const UNITS = [
  { from: 1e9, suffix: "B" },
  { from: 1e6, suffix: "M" },
  { from: 1e3, suffix: "K" }
]
