/**
 * Which tools a service offers, as its owner writes it (mcp §6.10): `read_*`, `!write_*`, `read_file(path=data/*)`. `*` is
 * any text, `?` any character. Whatever cannot be read without doubt counts against the caller: it meets no permission and
 * every denial.
 */

/** One pattern; `args` are argument names with the pattern of their value. */
export interface ToolPattern {
  readonly isDenial: boolean
  readonly name: string
  readonly args: ReadonlyArray<readonly [name: string, value: string]>
}

/** The value of a named argument: undefined if it is absent, `UNCLEAR` if two readers could see two values. */
export type Arguments = (name: string) => string | undefined | typeof UNCLEAR

/** A value that decides nothing in the caller's favour. */
export const UNCLEAR: unique symbol = Symbol("unclear")

/** One pattern; undefined if the text is none. */
export const parse = (text: string): ToolPattern | undefined => {
  const match = PATTERN.exec(text)
  if (match === null || text.length > PATTERN_CHARACTERS_MAX) return undefined
  const [, denial, name = "", argsText] = match
  const args: Array<readonly [string, string]> = []
  for (const item of argsText === undefined ? [] : argsText.split(",")) {
    const equals = item.indexOf("=")
    if (equals < 1) return undefined
    args.push([item.slice(0, equals).trim(), item.slice(equals + 1).trim()])
  }
  return { isDenial: denial === "!", name, args }
}

/** Several patterns of one text, separated by commas outside of brackets. */
export const split = (text: string): ReadonlyArray<string> =>
  text
    .split(/,(?![^(]*\))/)
    .map((item) => item.trim())
    .filter((item) => item !== "")

/** Whether a tool may be called with these arguments: some permission meets, or there is none at all, and no denial. */
export const permits = (patterns: ReadonlyArray<ToolPattern>, tool: string, argument: Arguments): boolean => {
  const meets = (pattern: ToolPattern) => meetsWith(pattern, tool, argument, pattern.isDenial)
  return isMet(patterns, meets) && !patterns.some((pattern) => pattern.isDenial && meets(pattern))
}

/**
 * Whether a call is one of those that the patterns name: what is in doubt is named by a pattern and excepted by none with
 * `!`. For rules that go against the caller, as asking a person does.
 */
export const names = (patterns: ReadonlyArray<ToolPattern>, tool: string, argument: Arguments): boolean => {
  const meets = (pattern: ToolPattern) => meetsWith(pattern, tool, argument, !pattern.isDenial)
  return isMet(patterns, meets) && !patterns.some((pattern) => pattern.isDenial && meets(pattern))
}

/** Whether a tool is shown in lists: it could be called with some arguments. */
export const shows = (patterns: ReadonlyArray<ToolPattern>, tool: string): boolean =>
  isMet(patterns, (pattern) => matches(pattern.name, tool)) &&
  !patterns.some((pattern) => pattern.isDenial && pattern.args.length === 0 && matches(pattern.name, tool))

/** Whether all of `text` matches, in at most length times length steps. */
export const matches = (pattern: string, text: string): boolean => {
  let at = 0
  let textAt = 0
  let starAt = -1
  let starText = 0
  while (textAt < text.length) {
    if (pattern[at] === "*") {
      starAt = at++
      starText = textAt
    } else if (pattern[at] === "?" || (at < pattern.length && pattern[at] === text[textAt])) {
      at++
      textAt++
    } else {
      if (starAt < 0) return false
      // The last star takes one character more; earlier ones never need to.
      at = starAt + 1
      textAt = ++starText
    }
  }
  while (pattern[at] === "*") at++
  return at === pattern.length
}

/** `ifUnclear`: what an argument counts as that two readers could see as two values. */
const meetsWith = ({ args, name }: ToolPattern, tool: string, argument: Arguments, ifUnclear: boolean): boolean =>
  matches(name, tool) &&
  args.every(([key, value]) => {
    const given = argument(key)
    if (given === undefined) return false
    return given === UNCLEAR || !isPlain(given) ? ifUnclear : matches(value, given)
  })

const isMet = (patterns: ReadonlyArray<ToolPattern>, meets: (pattern: ToolPattern) => boolean): boolean => {
  const permissions = patterns.filter(({ isDenial }) => !isDenial)
  return permissions.length === 0 || permissions.some(meets)
}

/** `data/../secret` begins with `data/` and leads elsewhere; long values would cost more than they are worth. */
const isPlain = (value: string): boolean => value.length <= VALUE_CHARACTERS_MAX && !STEPS.test(value)

const STEPS = /(?:^|[/\\])\.\.?(?:$|[/\\])|\0/
const PATTERN = /^(!?)([^()!\s,=]+)(?:\(([^()]*)\))?$/
const PATTERN_CHARACTERS_MAX = 512
/** Longer argument values match nothing. */
const VALUE_CHARACTERS_MAX = 4096
