/**
 * What a subscriber wants to hear. A pattern without stars is that topic and no other; `*` is every topic, as with brokers
 * of the reference (node §5), which know nothing else. Beyond them, among segments divided by `.` or `/`:
 *
 * - `*` at the end stands for all the rest, one segment at least: `data.*` is `data.a` and `data.a.b`, not `data`;
 * - `*` elsewhere stands for one segment: `*.failed` is `task.failed`;
 * - `**` stands for any number of segments, none included: `data.**` is `data` and `data.a.b`.
 *
 * A star that is not a whole segment is a star.
 */

/** A pattern that was read. */
export interface TopicPattern {
  readonly text: string
  /** The one topic it means, if there are no stars. */
  readonly exact: string | undefined
  readonly segments: ReadonlyArray<Segment>
}

/** A topic in its parts, made once for many patterns. */
export interface Topic {
  readonly text: string
  readonly segments: ReadonlyArray<Segment>
}

/** One part, with the separator before it; the first one has none. */
export interface Segment {
  readonly separator: string
  readonly text: string
}

/** Any text is a pattern. */
export const parse = (text: string): TopicPattern => {
  const segments = split(text)
  const hasStars = segments.some(({ text }) => text === ONE || text === MANY)
  const last = segments.at(-1)
  return {
    text,
    exact: hasStars ? undefined : text,
    segments: last?.text === ONE ? [...segments, { separator: "", text: MANY }] : segments
  }
}

/** The parts of a topic. */
export const topic = (text: string): Topic => ({ text, segments: split(text) })

/** Whether an event of this topic is wanted. */
export const matches = (self: TopicPattern, { segments, text }: Topic): boolean => {
  if (self.exact !== undefined) return self.exact === text
  return matchSegments(self.segments, segments)
}

/**
 * The filter for a broker of the reference that lets through all that is wanted: the topic itself, or everything. What
 * comes must still be matched.
 */
export const literal = (self: TopicPattern): string => self.exact ?? EVERYTHING

/** Of several `**` only the last one met needs to be tried again, so the work is at most one length times the other. */
const matchSegments = (pattern: ReadonlyArray<Segment>, segments: ReadonlyArray<Segment>): boolean => {
  let at = 0
  let seen = 0
  let retry: { readonly at: number; seen: number } | undefined
  while (seen < segments.length) {
    const wanted = pattern[at]
    if (wanted?.text === MANY) {
      at++
      retry = { at, seen }
    } else if (wanted !== undefined && accepts(wanted, segments[seen]!, seen === 0)) {
      at++
      seen++
    } else if (retry !== undefined) {
      retry.seen++
      at = retry.at
      seen = retry.seen
    } else return false
  }
  while (pattern[at]?.text === MANY) at++
  return at === pattern.length
}

const accepts = (wanted: Segment, segment: Segment, isFirst: boolean): boolean =>
  (wanted.text === ONE || wanted.text === segment.text) &&
  (isFirst || wanted.separator === "" || wanted.separator === segment.separator)

const split = (text: string): ReadonlyArray<Segment> => {
  const parts = text.split(/([./])/)
  const segments: Array<Segment> = []
  for (let index = 0; index < parts.length; index += 2)
    segments.push({ separator: index === 0 ? "" : parts[index - 1]!, text: parts[index]! })
  return segments
}

/** The one wildcard of the reference. */
export const EVERYTHING = "*"
const ONE = "*"
const MANY = "**"
