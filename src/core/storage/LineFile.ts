/** Files of lines that are only appended to: how they end, also when a crash has cut the last line. */
import { Effect, type FileSystem, Option, type PlatformError } from "effect"

/** How a file ends: where its whole lines do, and the last of them without its newline. */
export interface End {
  readonly sizeBytes: number
  readonly wholeBytes: number
  readonly last: string
}

/** Reads no more of the file than its end, unless one line is longer than that. */
export const endOf = (
  files: FileSystem.FileSystem,
  path: string,
  lookBytes = END_BYTES
): Effect.Effect<End, PlatformError.PlatformError> =>
  Effect.gen(function* () {
    const file = yield* files.open(path, { flag: "r" })
    const sizeBytes = Number((yield* file.stat).size)
    const from = Math.max(0, sizeBytes - lookBytes)
    const read = yield* file.readAlloc(sizeBytes - from, { position: BigInt(from) })
    const bytes = Option.getOrElse(read, () => new Uint8Array())
    const end = bytes.lastIndexOf(NEWLINE)
    const before = end <= 0 ? -1 : bytes.lastIndexOf(NEWLINE, end - 1)
    if (before < 0 && from > 0) return undefined
    const last = DECODER.decode(bytes.subarray(before + 1, Math.max(before + 1, end)))
    return { sizeBytes, wholeBytes: from + end + 1, last }
  }).pipe(
    Effect.scoped,
    Effect.flatMap((end) => (end === undefined ? endOf(files, path, lookBytes * 16) : Effect.succeed(end)))
  )

const NEWLINE = 0x0a
const DECODER = new TextDecoder()
/** Lines are shorter, as a rule; for a longer one more is read. */
const END_BYTES = 262_144
