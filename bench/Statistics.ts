/** What a list of measurements says. */

/** The value that `share` of the measurements do not exceed: 0.5 is the median. */
export const percentile = (values: ReadonlyArray<number>, share: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN

/** The middle of a list. */
export const median = (values: ReadonlyArray<number>): number => percentile(values, 0.5)

/** The two ends of a distribution that a user notices. */
export interface Latency {
  readonly p50Ms: number
  readonly p99Ms: number
}

/** Of single times in milliseconds. */
export const latency = (timesMs: ReadonlyArray<number>): Latency => ({
  p50Ms: median(timesMs),
  p99Ms: percentile(timesMs, 0.99)
})
