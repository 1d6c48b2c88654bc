/** Deliveries that were given up: so many of the newest, in a file of one JSON object a line, readable by its owner only. */
import { Effect, FileSystem, type Path } from "effect"
import * as Provided from "../../core/actor/Provided.ts"
import * as Json from "../../core/data/Json.ts"
import * as AtomicFile from "../../core/storage/AtomicFile.ts"
import type { DeadLetter } from "../../protocol/webhook/WebhookQueue.ts"

/** Mutable, with one owner, who calls `write` after changes. */
export interface DeadLetters {
  readonly list: () => ReadonlyArray<DeadLetter>
  readonly add: (letters: ReadonlyArray<DeadLetter>) => void
  /** Takes one out, or all of them. */
  readonly take: (id?: string) => ReadonlyArray<DeadLetter>
  /** Those that had to make room. */
  readonly lost: () => number
  readonly write: Effect.Effect<void>
}

/** Reads the file; lines that are no dead letters are left out, and a file that cannot be read is an empty one. */
export const open = Effect.fnUntraced(function* (
  path: string
): Effect.fn.Return<DeadLetters, never, FileSystem.FileSystem | Path.Path> {
  const files = yield* FileSystem.FileSystem
  const context = yield* Provided.services<FileSystem.FileSystem | Path.Path>()
  const text = yield* Effect.orElseSucceed(files.readFileString(path), () => "")
  let letters = text.split("\n").flatMap(letterOf).slice(-LETTERS_MAX)
  let lost = 0
  return {
    list: () => letters,
    add: (more) => {
      const all = [...letters, ...more]
      lost += Math.max(0, all.length - LETTERS_MAX)
      letters = all.slice(-LETTERS_MAX)
    },
    take: (id) => {
      const taken = id === undefined ? letters : letters.filter((letter) => letter.id === id)
      letters = letters.filter((letter) => !taken.includes(letter))
      return taken
    },
    lost: () => lost,
    write: Effect.suspend(() =>
      AtomicFile.write(path, letters.map((letter) => `${JSON.stringify(letter)}\n`).join(""), {
        mode: AtomicFile.OWNER_ONLY
      })
    ).pipe(
      Effect.catch((error) => Effect.logError(`webhook: ${path} cannot be written: ${error.message}`)),
      Effect.provideContext(context)
    )
  }
})

const letterOf = (line: string): ReadonlyArray<DeadLetter> => {
  const value = Json.parseObject(line)
  if (value === undefined) return []
  const [id, url, body] = [Json.string(value, "id"), Json.string(value, "url"), Json.string(value, "body")]
  if (id === "" || url === "" || body === "") return []
  const [event, reason] = [Json.string(value, "event"), Json.string(value, "reason")]
  return [{ id, url, body, event, reason, attempts: Json.unsigned(value, "attempts", 32) }]
}

/** Dead letters kept; the oldest make room. */
export const LETTERS_MAX = 1_000
