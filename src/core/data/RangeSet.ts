/**
 * A set of numbers kept as disjoint half-open ranges, ascending, merged where they touch: what has arrived of a stream,
 * what has been acknowledged. Over plain numbers, or over serial numbers (RFC 1982) as long as all members lie within
 * 2^31 of each other.
 */
import * as SerialNumber from "./SerialNumber.ts"

/** From `start` up to but not including `end`. */
export interface Range {
  readonly start: number
  readonly end: number
}

/** An immutable set. Its cost is one copy of `ranges` per change, so the owner bounds how many there may be. */
export interface RangeSet {
  readonly ranges: ReadonlyArray<Range>
  /** The way from `b` to `a`: positive when `a` comes after `b`. */
  readonly difference: (a: number, b: number) => number
}

/** No plain numbers. */
export const empty: RangeSet = { ranges: [], difference: (a, b) => a - b }

/** No serial numbers. */
export const emptySerial: RangeSet = { ranges: [], difference: SerialNumber.difference }

/** Adds all numbers from `start` up to `end`; an empty or reversed range adds none. */
export const insert = (self: RangeSet, start: number, end: number): RangeSet => {
  if (self.difference(end, start) <= 0) return self
  const from = countWhere(self, (range) => self.difference(start, range.end) > 0)
  const to = countWhere(self, (range) => self.difference(end, range.start) >= 0)
  const touched = self.ranges.slice(from, to)
  const merged = touched.reduce(
    (union, range) => ({ start: earlier(self, union.start, range.start), end: later(self, union.end, range.end) }),
    { start, end }
  )
  return { ...self, ranges: [...self.ranges.slice(0, from), merged, ...self.ranges.slice(to)] }
}

/** Takes out all numbers from `start` up to `end`. */
export const remove = (self: RangeSet, start: number, end: number): RangeSet => {
  if (self.difference(end, start) <= 0) return self
  const from = countWhere(self, (range) => self.difference(start, range.end) >= 0)
  const to = countWhere(self, (range) => self.difference(end, range.start) > 0)
  if (from >= to) return self
  const kept: Array<Range> = []
  if (self.difference(start, self.ranges[from]!.start) > 0) kept.push({ start: self.ranges[from]!.start, end: start })
  if (self.difference(self.ranges[to - 1]!.end, end) > 0) kept.push({ start: end, end: self.ranges[to - 1]!.end })
  return { ...self, ranges: [...self.ranges.slice(0, from), ...kept, ...self.ranges.slice(to)] }
}

/** The range that holds `value`. */
export const rangeOf = (self: RangeSet, value: number): Range | undefined => {
  const range = self.ranges[countWhere(self, (range) => self.difference(value, range.end) >= 0)]
  return range !== undefined && self.difference(value, range.start) >= 0 ? range : undefined
}

/** Whether `value` is a member. */
export const has = (self: RangeSet, value: number): boolean => rangeOf(self, value) !== undefined

/** Whether every number from `start` up to `end` is a member; true for an empty range. */
export const hasAll = (self: RangeSet, start: number, end: number): boolean => {
  if (self.difference(end, start) <= 0) return true
  const range = rangeOf(self, start)
  return range !== undefined && self.difference(range.end, end) >= 0
}

/** What is missing from `start` up to `end`, ascending. */
export const gaps = (self: RangeSet, start: number, end: number): ReadonlyArray<Range> =>
  self.ranges.reduce(
    (missing, range) => remove(missing, range.start, range.end),
    insert({ ...self, ranges: [] }, start, end)
  ).ranges

/** How many numbers are members. */
export const count = (self: RangeSet): number =>
  self.ranges.reduce((total, range) => total + self.difference(range.end, range.start), 0)

/** How many leading ranges satisfy a condition that, once false, stays false. */
const countWhere = (self: RangeSet, isBefore: (range: Range) => boolean): number => {
  let low = 0
  let high = self.ranges.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (isBefore(self.ranges[middle]!)) low = middle + 1
    else high = middle
  }
  return low
}

const earlier = (self: RangeSet, a: number, b: number): number => (self.difference(a, b) < 0 ? a : b)

const later = (self: RangeSet, a: number, b: number): number => (self.difference(a, b) > 0 ? a : b)
