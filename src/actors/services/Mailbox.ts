/**
 * What peers have sent to this node, as it lies on the disk: read and cleared by whoever has the state directory, whether
 * the node runs or not (node §10).
 */
import { Effect, FileSystem, Option, type PlatformError, Schema } from "effect"
import * as InboxRecord from "../../protocol/exchange/InboxRecord.ts"
import * as ExchangePlaces from "./ExchangePlaces.ts"

/** The state directory's files cannot be read, or there is nothing to clear. */
export class MailboxError extends Schema.TaggedError<MailboxError>()("MailboxError", {
  reason: Schema.Literals(["Missing", "Unreadable"]),
  detail: Schema.String
}) {
  override get message(): string {
    return this.detail
  }
}

/** A message with its place. */
export interface Stored {
  /** Of its file. */
  readonly name: string
  /** As it was written. */
  readonly text: string
  readonly message: InboxRecord.InboxMessage
}

/** A received file or directory. */
export interface Received {
  readonly name: string
  readonly path: string
  readonly isDirectory: boolean
  /** Of a directory, as the system counts it. */
  readonly sizeBytes: number
  /** Unix time, milliseconds; 0 where nobody knows. */
  readonly modifiedAtMs: number
}

/**
 * The messages by `placeOf` the names of their files; `undefined` when there is no inbox yet. Files that are none are left
 * out, and those whose name is not wanted are not read.
 */
export const messages = Effect.fnUntraced(function* (
  home: string,
  isWanted: (name: string) => boolean = () => true
): Effect.fn.Return<ReadonlyArray<Stored> | undefined, MailboxError, FileSystem.FileSystem> {
  const files = yield* FileSystem.FileSystem
  const { inbox } = ExchangePlaces.at(home)
  const names = yield* directory(inbox)
  if (names === undefined) return undefined
  const read = yield* Effect.forEach(
    names
      .filter((name) => name.endsWith(SUFFIX) && isWanted(name))
      .toSorted((a, b) => (placeOf(a) < placeOf(b) ? -1 : 1)),
    (name) =>
      Effect.map(ifThere(files.readFileString(`${inbox}/${name}`)), (text) => {
        const message = text === undefined ? undefined : InboxRecord.decode(text)
        return text === undefined || message === undefined ? [] : [{ name, text, message }]
      }),
    { concurrency: READS_AT_ONCE }
  )
  return read.flat()
})

/** What orders messages of one kind by the time they came: the second of a millisecond has a counter behind it. */
export const placeOf = (name: string): string => name.slice(0, -SUFFIX.length)

/** The received files by name; `undefined` when there is no directory yet. */
export const received = Effect.fnUntraced(function* (
  home: string
): Effect.fn.Return<ReadonlyArray<Received> | undefined, MailboxError, FileSystem.FileSystem> {
  const files = yield* FileSystem.FileSystem
  const { received: place } = ExchangePlaces.at(home)
  const names = yield* directory(place)
  if (names === undefined) return undefined
  const rows = yield* Effect.forEach(
    names,
    (name) =>
      Effect.map(ifThere(files.lstat(`${place}/${name}`)), (info) =>
        info === undefined
          ? []
          : [
              {
                name,
                path: `${place}/${name}`,
                isDirectory: info.type === "Directory",
                sizeBytes: Number(info.size),
                modifiedAtMs: Option.match(info.mtime, { onNone: () => 0, onSome: (time) => time.getTime() })
              }
            ]
      ),
    { concurrency: READS_AT_ONCE }
  )
  return rows.flat()
})

/** Takes all messages away; how many there were. `undefined` when there is no inbox. */
export const clearMessages = (home: string): Effect.Effect<number | undefined, MailboxError, FileSystem.FileSystem> =>
  clear(ExchangePlaces.at(home).inbox)

/** Takes all received files away; how many there were. `undefined` when there is no directory. */
export const clearReceived = (home: string): Effect.Effect<number | undefined, MailboxError, FileSystem.FileSystem> =>
  clear(ExchangePlaces.at(home).received)

const clear = Effect.fnUntraced(function* (place: string) {
  const files = yield* FileSystem.FileSystem
  const names = yield* directory(place)
  if (names === undefined) return undefined
  yield* Effect.forEach(
    names,
    (name) => Effect.mapError(files.remove(`${place}/${name}`, { recursive: true, force: true }), unreadable),
    { discard: true, concurrency: READS_AT_ONCE }
  )
  return names.length
})

const directory = Effect.fnUntraced(function* (place: string) {
  const files = yield* FileSystem.FileSystem
  return yield* files.readDirectory(place).pipe(
    Effect.map((names): ReadonlyArray<string> | undefined => names.toSorted()),
    Effect.catchIf(
      ({ reason }) => reason._tag === "NotFound",
      () => Effect.undefined
    ),
    Effect.mapError(unreadable)
  )
})

/** A file may go while it is looked for. */
const ifThere = <A>(
  effect: Effect.Effect<A, PlatformError.PlatformError>
): Effect.Effect<A | undefined, MailboxError> =>
  effect.pipe(
    Effect.map((value): A | undefined => value),
    Effect.catchIf(
      ({ reason }) => reason._tag === "NotFound",
      () => Effect.undefined
    ),
    Effect.mapError(unreadable)
  )

const unreadable = (error: PlatformError.PlatformError): MailboxError =>
  new MailboxError({ reason: "Unreadable", detail: error.message })

const SUFFIX = ".json"
const READS_AT_ONCE = 16
