/**
 * Under which name a peer's file is stored (node §4.2). What a peer calls a file is only a claim: one path element is left
 * of it, which no file system of ours takes for anything but a plain name in the directory it is put in.
 */
import { Result } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"

/** A name that cannot be made safe without becoming another. */
export interface NameRefused {
  readonly _tag: "NameRefused"
  readonly detail: string
}

/** A name for one path element: a stem, and an extension from the last dot on. */
export interface SafeName {
  readonly stem: string
  /** With its dot; empty for none. */
  readonly extension: string
}

/**
 * The last path element, `/` and `\` both separating. Empty names, `.`, `..` and control characters are refused;
 * characters that other systems give a meaning become `_`; what is too long is cut, the extension kept.
 */
export const reduce = (claimed: string): Result.Result<SafeName, NameRefused> => {
  const last = claimed.slice(Math.max(claimed.lastIndexOf("/"), claimed.lastIndexOf("\\")) + 1)
  return Result.map(element(last), split)
}

/** One path element made safe as a whole; separators in it are refused. */
export const element = (name: string): Result.Result<string, NameRefused> => {
  if (CONTROL.test(name)) return refuse("control characters in the name")
  if (/[/\\]/.test(name)) return refuse("a separator in the name")
  // Windows drops dots and spaces at the end, which would make two names one; so `..` and `. .` are nothing as well.
  const trimmed = trim(name.normalize("NFC").replaceAll(SPECIAL, "_"))
  if (trimmed === "") return refuse("the name is empty or only dots")
  const { extension, stem } = split(trimmed)
  const extended = trim(cut(extension, EXTENSION_BYTES_MAX))
  const base = cut(DEVICE.test(trimmed) ? `_${stem}` : stem, NAME_BYTES_MAX - Bytes.fromUtf8(extended).length)
  return Result.succeed(trim(`${base}${extended}`))
}

/**
 * `note.txt` as it is stored: `note-20261120-174601.833.txt`, and from the second of that name on
 * `note-20261120-174601.833-000001.txt`. `stamp` is the local time as `stampOf` writes it.
 */
export const stored = ({ extension, stem }: SafeName, stamp: string, count: number): string =>
  `${stem}-${stamp}${count === 0 ? "" : `-${String(count).padStart(6, "0")}`}${extension}`

/** `20261120-174601.833` of a local time. */
export const stampOf = (local: {
  readonly year: number
  readonly month: number
  readonly day: number
  readonly hour: number
  readonly minute: number
  readonly second: number
  readonly millisecond: number
}): string => {
  const two = (value: number) => String(value).padStart(2, "0")
  const date = `${String(local.year).padStart(4, "0")}${two(local.month)}${two(local.day)}`
  const time = `${two(local.hour)}${two(local.minute)}${two(local.second)}`
  return `${date}-${time}.${String(local.millisecond).padStart(3, "0")}`
}

const split = (name: string): SafeName => {
  const dot = name.lastIndexOf(".")
  return dot < 0 ? { stem: name, extension: "" } : { stem: name.slice(0, dot), extension: name.slice(dot) }
}

const trim = (name: string): string => name.replace(/[. ]+$/, "")

/** The longest beginning of whole characters within so many bytes of UTF-8. */
const cut = (text: string, bytesMax: number): string => {
  if (Bytes.fromUtf8(text).length <= bytesMax) return text
  let sizeBytes = 0
  let kept = ""
  for (const character of text) {
    sizeBytes += Bytes.fromUtf8(character).length
    if (sizeBytes > bytesMax) break
    kept += character
  }
  return kept
}

const refuse = (detail: string): Result.Result<never, NameRefused> => Result.fail({ _tag: "NameRefused", detail })

/** C0, DEL, C1, line and paragraph separators. */
const CONTROL = /[\p{Cc}\u2028\u2029]/u
/** Reserved by Windows, and what reorders or hides text on a terminal. */
const SPECIAL = /[<>:"|?*\p{Cf}\p{Co}\p{Cs}]/gu
/** Names that Windows takes for devices, whatever follows the first dot. */
const DEVICE = /^(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(?:\.|$)/i
/** Leaves room for time and counter within the 255 bytes that file systems take. */
export const NAME_BYTES_MAX = 200
const EXTENSION_BYTES_MAX = 32
