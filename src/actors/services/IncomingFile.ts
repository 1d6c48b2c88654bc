/**
 * Takes files from a stream of chunks: does what `FileReceiver` says, on a disk. Used by the service on port 1001 and by
 * whoever pulls a file.
 */
import { Effect, Exit, type FileSystem, type Path, type PlatformError, Schema, Scope, Semaphore } from "effect"
import * as Provided from "../../core/actor/Provided.ts"
import type { Crypto } from "../../core/crypto/Crypto.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import { FileReceiver, type Output } from "../../protocol/exchange/FileReceiver.ts"
import * as DataFrame from "../../protocol/wire/DataFrame.ts"
import * as FileStream from "../../protocol/wire/FileStream.ts"
import * as PartialFile from "./PartialFile.ts"

/** The file is not taken. The text goes to the sender, so it holds no path of this machine. */
export class NotTaken extends Schema.TaggedError<NotTaken>()("NotTaken", {
  reason: Schema.Literals(["Name", "Full", "Failed"]),
  detail: Schema.String
}) {}

/** What an attempt finds: the path of what has come so far, or where the file already is. */
export type Opened = { readonly partial: string } | { readonly storedAs: string }

/** Where files go. */
export interface Place {
  /** `evict` makes this attempt let go: another one of the same file has begun, so this one's stream must be dead. */
  readonly open: (file: FileStream.FileFacts, evict: Effect.Effect<void>) => Effect.Effect<Opened, NotTaken>
  /** Everything is there, synced and compared: gives it its place, durably, and says its name there. */
  readonly commit: (path: string, file: FileStream.FileFacts) => Effect.Effect<string, NotTaken>
  /** The attempt is over, stored or not; what was reserved for it is free. */
  readonly left: (file: FileStream.FileFacts) => Effect.Effect<void>
}

/** What it is made of. */
export interface Options<E> {
  readonly place: Place
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, E>
  /** After each chunk, and at the beginning. */
  readonly progress?: (doneBytes: number, file: FileStream.FileFacts) => Effect.Effect<void>
  /** After the sender was told how it ended: the name in its place, or why it was not taken. */
  readonly ended?: (outcome: { readonly isStored: boolean; readonly text: string }) => Effect.Effect<void>
}

/** A taker of files. */
export interface IncomingFile<E> {
  readonly receive: (message: FileStream.FileStream) => Effect.Effect<void, E>
  /** Whether a file is under way. */
  readonly isActive: () => boolean
}

type Services = Crypto | FileSystem.FileSystem | Path.Path

interface Current {
  readonly file: FileStream.FileFacts
  readonly scope: Scope.Closeable
  readonly target: PartialFile.PartialFile | string
}

/** Takes files in the surrounding scope, whose end keeps what has come of an unfinished one. */
export const make = Effect.fnUntraced(function* <E>({
  ended,
  place,
  progress,
  write
}: Options<E>): Effect.fn.Return<IncomingFile<E>, never, Services | Scope.Scope> {
  const services = yield* Provided.services<Services>()
  const parent = yield* Effect.scope
  const receiver = new FileReceiver()
  // Whoever evicts waits until what is being written is written.
  const busy = Semaphore.makeUnsafe(1)
  let current: Current | undefined
  const leave = Effect.suspend(() => {
    if (current === undefined) return Effect.void
    const { file, scope } = current
    current = undefined
    return Effect.andThen(Scope.close(scope, Exit.void), place.left(file))
    // Whoever began has to come to the end, or the place would take the file for one under way for ever.
  }).pipe(Effect.uninterruptible)
  yield* Effect.addFinalizer(() => leave)
  const evict = Effect.suspend(() => {
    receiver.refused(TAKEN_OVER)
    return leave
  }).pipe(busy.withPermits(1))

  const open = Effect.fnUntraced(function* (file: FileStream.FileFacts) {
    const scope = yield* Scope.fork(parent)
    const found: Effect.Effect<PartialFile.PartialFile | string, NotTaken, Services | Scope.Scope> = place
      .open(file, evict)
      .pipe(
        Effect.flatMap(
          (opened): Effect.Effect<PartialFile.PartialFile | string, NotTaken, Services | Scope.Scope> =>
            "storedAs" in opened
              ? Effect.succeed(opened.storedAs)
              : Effect.tapError(openPartial(opened.partial), () => place.left(file))
        )
      )
    const target = yield* Effect.result(Scope.provide(found, scope))
    if (target._tag === "Failure") {
      yield* Scope.close(scope, Exit.void)
      return receiver.refused(target.failure.detail)
    }
    current = { file, scope, target: target.success }
    const there =
      typeof target.success === "string" ? file.sizeBytes : Math.min(file.sizeBytes, target.success.offset())
    if (progress !== undefined) yield* progress(there, file)
    receiver.opened(there)
  })
  const append = Effect.fnUntraced(function* (bytes: Uint8Array) {
    if (current === undefined || typeof current.target === "string") return
    const { file, target } = current
    const written = yield* Effect.result(target.append(bytes))
    if (written._tag === "Failure") return receiver.refused(failed(written.failure).detail)
    if (progress !== undefined) yield* progress(target.offset(), file)
  })
  const verify = Effect.fnUntraced(function* (file: FileStream.FileFacts) {
    const stored = yield* Effect.result(current === undefined ? notOpen : finish(place, current))
    yield* leave
    if (stored._tag === "Failure") receiver.verified(false, stored.failure.detail)
    else receiver.verified(true, stored.success)
    if (stored._tag === "Success" && progress !== undefined) yield* progress(file.sizeBytes, file)
  })
  const tell = (message: FileStream.FileStream): Effect.Effect<void, E> => {
    const told = write(DataFrame.encode(DataFrame.Kind.FileStream, FileStream.encode(message)))
    return message._tag === "Complete" && ended !== undefined ? Effect.andThen(told, ended(message)) : told
  }
  const perform = (output: Output): Effect.Effect<void, E, Services> => {
    switch (output._tag) {
      case "Open":
        return open(output.file)
      case "Write":
        return append(output.bytes)
      case "Verify":
        return verify(output.file)
      case "Leave":
        return leave
      case "Send":
        return tell(output.message)
    }
  }
  const drain: Effect.Effect<void, E, Services> = Effect.suspend(() => {
    const output = receiver.next()
    return output === undefined ? Effect.void : Effect.andThen(perform(output), drain)
  })
  return {
    receive: (message) =>
      Effect.suspend(() => {
        receiver.receive(message)
        return Effect.provideContext(drain, services)
      }).pipe(busy.withPermits(1)),
    isActive: () => receiver.isActive
  }
})

const openPartial = (path: string) =>
  Effect.mapError(PartialFile.open(path), (error) =>
    error._tag === "PlatformError"
      ? failed(error)
      : new NotTaken({ reason: "Failed", detail: "its record is unreadable" })
  )

/** Compared, then on disk, then in its place. What does not match is thrown away: the next attempt begins anew. */
const finish = Effect.fnUntraced(function* (place: Place, { file, target }: Current) {
  if (typeof target === "string") return target
  const digest = yield* Effect.mapError(target.digest, failed)
  if (!Bytes.equals(digest, file.digest)) {
    yield* Effect.ignore(PartialFile.remove(target.path))
    return yield* new NotTaken({ reason: "Failed", detail: "the content does not match its digest" })
  }
  yield* Effect.mapError(target.sync, failed)
  return yield* place.commit(target.path, file)
})

/** What a sender hears whose file another stream of its own has taken up, or has not let go yet. */
export const TAKEN_OVER = "another stream is transferring this file"

const notOpen = new NotTaken({ reason: "Failed", detail: "the file is not open" })

/** What a sender may know of a disk that does not do what it should. */
export const failed = ({ reason }: PlatformError.PlatformError): NotTaken => {
  const cause =
    "cause" in reason && reason.cause instanceof Error && "code" in reason.cause ? reason.cause.code : undefined
  const isFull = cause === "ENOSPC" || cause === "EDQUOT"
  return isFull
    ? new NotTaken({ reason: "Full", detail: "no space left on the device" })
    : new NotTaken({ reason: "Failed", detail: `the disk says ${typeof cause === "string" ? cause : reason._tag}` })
}
