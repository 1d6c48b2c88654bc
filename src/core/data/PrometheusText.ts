/** The text format of Prometheus, version 0.0.4. */

/** One line. `suffix` follows the family's name, as `_bucket`. */
export interface Sample {
  readonly suffix: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** One family with its samples, as lines. */
export const family = (
  name: string,
  type: "counter" | "gauge" | "histogram",
  help: string,
  samples: ReadonlyArray<Sample>
): ReadonlyArray<string> => [
  `# HELP ${name} ${help}`,
  `# TYPE ${name} ${type}`,
  ...samples.map(({ labels, suffix, value }) => `${name}${suffix}${labelText(labels)} ${value}`)
]

/** The samples of one histogram. `counts[i]` are those of at most `bounds[i]` that no earlier slot has; the last has no bound. */
export const histogram = (
  labels: Sample["labels"],
  bounds: ReadonlyArray<number>,
  counts: ReadonlyArray<number>,
  sum: number
): ReadonlyArray<Sample> => {
  let cumulative = 0
  const buckets = counts.map((count, index) => {
    cumulative += count
    return { suffix: "_bucket", labels: { ...labels, le: `${bounds[index] ?? "+Inf"}` }, value: cumulative }
  })
  return [...buckets, { suffix: "_sum", labels, value: sum }, { suffix: "_count", labels, value: cumulative }]
}

const labelText = (labels: Sample["labels"]): string => {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${value.replace(SPECIAL, escaped)}"`)
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`
}

const escaped = (character: string): string => (character === "\n" ? "\\n" : `\\${character}`)

const SPECIAL = /[\\"\n]/g
