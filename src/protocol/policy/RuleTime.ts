/** When a rule is in force: between two instants, and in some hours of the week. */
import { Result } from "effect"
import * as UtcInstant from "../../core/data/UtcInstant.ts"
import type { Hours, Rule } from "./PolicyDocument.ts"

/** In milliseconds since 1970, and minutes of the day at the offset. */
export interface RuleTime {
  readonly fromMs: number
  readonly untilMs: number
  readonly hours:
    | {
        readonly from: number
        readonly to: number
        /** Monday is 0. */
        readonly days: ReadonlySet<number> | undefined
        readonly offsetMinutes: number
      }
    | undefined
}

/** What is wrong with a time, and where in the rule. */
export interface TimeProblem {
  readonly path: ReadonlyArray<string>
  readonly detail: string
}

/** The times of a rule. */
export const of = ({ from, hours, until }: Rule): Result.Result<RuleTime, TimeProblem> => {
  const fromMs = from === undefined ? Number.NEGATIVE_INFINITY : UtcInstant.parse(from)
  if (fromMs === undefined) return problem(["from"], from, "an instant: 2026-12-01T00:00:00Z")
  const untilMs = until === undefined ? Number.POSITIVE_INFINITY : UtcInstant.parse(until)
  if (untilMs === undefined) return problem(["until"], until, "an instant: 2026-12-01T00:00:00Z")
  if (untilMs <= fromMs) return problem(["until"], until, "later than from")
  if (hours === undefined) return Result.succeed({ fromMs, untilMs, hours: undefined })
  return Result.map(hoursOf(hours), (read) => ({ fromMs, untilMs, hours: read }))
}

/** Whether there are times at which it is not in force. */
export const isBounded = ({ fromMs, hours, untilMs }: RuleTime): boolean =>
  hours !== undefined || fromMs !== Number.NEGATIVE_INFINITY || untilMs !== Number.POSITIVE_INFINITY

/** Whether it is in force at this instant. */
export const includes = ({ fromMs, hours, untilMs }: RuleTime, nowMs: number): boolean => {
  if (nowMs < fromMs || nowMs >= untilMs) return false
  if (hours === undefined) return true
  const minutes = Math.floor(nowMs / MINUTE_MS) + hours.offsetMinutes
  const minute = mod(minutes, DAY_MINUTES)
  // 1970 began on a Thursday.
  const today = mod(Math.floor(minutes / DAY_MINUTES) + 3, 7)
  const begins = (day: number) => hours.days === undefined || hours.days.has(day)
  if (hours.from < hours.to) return begins(today) && minute >= hours.from && minute < hours.to
  return (begins(today) && minute >= hours.from) || (begins(mod(today - 1, 7)) && minute < hours.to)
}

const hoursOf = ({ days, from, to, utcOffset }: Hours): Result.Result<RuleTime["hours"], TimeProblem> => {
  const begin = minuteOf(from)
  if (begin === undefined) return problem(["hours", "from"], from, "HH:MM")
  const end = minuteOf(to)
  if (end === undefined || end === begin) return problem(["hours", "to"], to, "HH:MM, and another time than from")
  const sign = utcOffset?.startsWith("-") === true ? -1 : 1
  const offset = utcOffset === undefined ? 0 : /^[+-]/.test(utcOffset) ? minuteOf(utcOffset.slice(1)) : undefined
  if (offset === undefined || offset > OFFSET_MAX) return problem(["hours", "utcOffset"], utcOffset, "+HH:MM or -HH:MM")
  return Result.succeed({
    from: begin,
    to: end,
    days: days === undefined ? undefined : new Set(days.map((day) => DAYS.indexOf(day))),
    offsetMinutes: sign * offset
  })
}

const minuteOf = (text: string): number | undefined => {
  const match = /^([01]\d|2[0-3]):([0-5]\d)$/.exec(text)
  return match === null ? undefined : Number(match[1]) * 60 + Number(match[2])
}

const problem = (path: ReadonlyArray<string>, value: string | undefined, wanted: string) =>
  Result.fail({ path, detail: `${JSON.stringify(value)} must be ${wanted}` })

const mod = (value: number, by: number): number => ((value % by) + by) % by

const DAYS: ReadonlyArray<string> = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
const MINUTE_MS = 60_000
const DAY_MINUTES = 1440
const OFFSET_MAX = 14 * 60
