/** Counted calls as commands show them. */
import type { JsonObject } from "../../core/data/Json.ts"
import { type CallCounts, DURATION_BOUNDS_SECONDS, Outcome } from "../../protocol/relay/CallMetrics.ts"

/** One line of the count as data; `buckets` are cumulative, as Prometheus has them, the last without a bound. */
export const row = (counts: CallCounts): JsonObject => {
  let cumulative = 0
  return {
    service: counts.service,
    peer: counts.peer,
    method: counts.method,
    tool: counts.tool,
    in_flight: counts.inFlight,
    outcomes: { ...counts.outcomes },
    bytes_in: counts.bytesIn,
    bytes_out: counts.bytesOut,
    duration_seconds: counts.durationSumSeconds,
    buckets: counts.durationCounts.map((count, index) => {
      cumulative += count
      return { le: DURATION_BOUNDS_SECONDS[index] ?? null, count: cumulative }
    })
  }
}

/** What a person wants to know first: the calls of tools by service, and how many of them went wrong. */
export const lines = (all: ReadonlyArray<CallCounts>): ReadonlyArray<string> => {
  const services = new Map<string, Array<CallCounts>>()
  for (const counts of all) {
    if (counts.tool === "") continue
    services.set(counts.service, [...(services.get(counts.service) ?? []), counts])
  }
  return [...services].map(([service, counts]) => {
    const ended = Outcome.literals
      .map((outcome) => ({ outcome, count: sum(counts, ({ outcomes }) => outcomes[outcome]) }))
      .filter(({ count }) => count > 0)
      .map(({ count, outcome }) => `${count} ${WORDS[outcome]}`)
    const inFlight = sum(counts, (one) => one.inFlight)
    const now = inFlight === 0 ? [] : [`${inFlight} now`]
    return `  ${service}: tool calls: ${[...ended, ...now].join(", ")}${timeOf(counts)}`
  })
}

/** The bound that the middle call, and the slowest of a hundred, stayed below. */
const timeOf = (counts: ReadonlyArray<CallCounts>): string => {
  const slots = [...DURATION_BOUNDS_SECONDS, Number.POSITIVE_INFINITY].map((bound, index) => ({
    bound,
    count: sum(counts, ({ durationCounts }) => durationCounts[index] ?? 0)
  }))
  const total = slots.reduce((all, { count }) => all + count, 0)
  if (total === 0) return ""
  const below = (share: number): string => {
    let left = share * total
    const slot = slots.find(({ count }) => {
      left -= count
      return left <= 0
    })
    return slot === undefined || slot.bound === Number.POSITIVE_INFINITY
      ? `over ${DURATION_BOUNDS_SECONDS.at(-1)} s`
      : `at most ${slot.bound < 1 ? `${slot.bound * 1000} ms` : `${slot.bound} s`}`
  }
  return `; half took ${below(0.5)}, 99 of 100 ${below(0.99)}`
}

const sum = (counts: ReadonlyArray<CallCounts>, value: (one: CallCounts) => number): number =>
  counts.reduce((all, one) => all + value(one), 0)

const WORDS: Readonly<Record<Outcome, string>> = {
  ok: "answered",
  toolError: "failed",
  error: "refused with an error",
  cancelled: "cancelled",
  unknown: "without an answer",
  denied: "denied"
}
