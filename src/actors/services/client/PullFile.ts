/**
 * Pulls what a peer shares: a file, or a directory file by file, going on after breaks and restarts with what has come. A
 * file that is here already with the same content is left as it is; another content is replaced only if that was asked for.
 */
import { Effect, FileSystem, Path, Result, type Scope } from "effect"
import * as Provided from "../../../core/actor/Provided.ts"
import type { Crypto } from "../../../core/crypto/Crypto.ts"
import * as Bytes from "../../../core/data/Bytes.ts"
import * as PrivateDirectory from "../../../core/storage/PrivateDirectory.ts"
import * as TreeManifest from "../../../protocol/exchange/TreeManifest.ts"
import * as DataFrame from "../../../protocol/wire/DataFrame.ts"
import * as ExchangeRequest from "../../../protocol/wire/ExchangeRequest.ts"
import * as FileStream from "../../../protocol/wire/FileStream.ts"
import * as ExchangePlaces from "../ExchangePlaces.ts"
import * as FileDigest from "../FileDigest.ts"
import * as IncomingFile from "../IncomingFile.ts"
import * as PartialFile from "../PartialFile.ts"
import * as Attempts from "./Attempts.ts"
import type { Progress } from "./SendFile.ts"
import { make as failure, type TransferError } from "./TransferError.ts"

/** What is pulled, and to where. */
export interface Options extends Attempts.Patience {
  /** `NAME`, or `NAME/path/in/it`. */
  readonly remote: string
  /** The path that the file or directory will have here. */
  readonly destination: string
  /** Replace a file of another content. */
  readonly force?: boolean | undefined
  readonly progress?: ((progress: Progress) => Effect.Effect<void>) | undefined
}

/** What came. */
export interface Pulled {
  readonly path: string
  readonly files: number
  readonly sizeBytes: number
}

type Services = Crypto | FileSystem.FileSystem | Path.Path

/** The rows of a peer's list: its shares for an empty path, or what is in a directory. */
export const list = Effect.fnUntraced(function* <E>(
  dial: Attempts.Dial<E>,
  path: string
): Effect.fn.Return<ReadonlyArray<ExchangeRequest.Entry>, E | TransferError> {
  return yield* Effect.scoped(
    Effect.gen(function* () {
      const link = Attempts.linkOver(yield* dial)
      yield* link.write(ExchangeRequest.encodeFrame({ op: "list", path }))
      const answer = yield* nextAnswer(link)
      return answer.op === "entries" ? answer.entries : yield* broken
    })
  ).pipe(
    Effect.timeoutOrElse({ duration: ANSWER_TIMEOUT, orElse: () => failure("Timeout", "the peer does not answer") })
  )
})

/** Returns when it is here, on disk. */
export const pull = Effect.fnUntraced(function* <E>(
  dial: Attempts.Dial<E>,
  options: Options
): Effect.fn.Return<Pulled, E | TransferError, Services> {
  const job: Job = { options, doneBytes: new Map(), totalBytes: undefined }
  const doneBytes = () => [...job.doneBytes.values()].reduce((total, bytes) => total + bytes, 0)
  const manifest = yield* Attempts.run(dial, { patience: options.patience, doneBytes }, (link) =>
    one(link, job, options.remote, options.destination)
  )
  if (manifest === undefined) return { path: options.destination, files: 1, sizeBytes: doneBytes() }
  const tree = TreeManifest.make(manifest)
  if (Result.isFailure(tree)) return yield* failure("Broken", `the peer's list of files: ${tree.failure.detail}`)
  job.totalBytes = tree.success.sizeBytes
  for (const path of ["", ...tree.success.directories])
    yield* Effect.mapError(PrivateDirectory.make(join(options.destination, path)), unwritable)
  const waiting = [...tree.success.files]
  yield* Attempts.run(dial, { patience: options.patience, doneBytes }, (link) =>
    Effect.gen(function* () {
      for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
        const [claimed, { path }] = next
        const inside = yield* one(link, job, `${options.remote}/${claimed}`, join(options.destination, path))
        if (inside !== undefined) return yield* failure("Changed", `${claimed} became a directory`)
        waiting.shift()
      }
    })
  )
  return { path: options.destination, files: tree.success.files.size, sizeBytes: doneBytes() }
})

interface Job {
  readonly options: Options
  readonly doneBytes: Map<string, number>
  totalBytes: number | undefined
}

/** Pulls one file on this link; the list of its files when it is a directory. */
const one = Effect.fnUntraced(function* (
  link: Attempts.Link,
  job: Job,
  remote: string,
  destination: string
): Effect.fn.Return<ExchangeRequest.Of<"manifest"> | undefined, TransferError, Services | Scope.Scope> {
  const services = yield* Provided.services<Services>()
  let outcome: { readonly isStored: boolean; readonly text: string } | undefined
  let problem: TransferError | undefined
  const place = placeOf(destination, job.options.force === true, (error) => {
    problem = error
  })
  const incoming = yield* IncomingFile.make<TransferError>({
    place: {
      open: (file) => Effect.provideContext(place.open(file), services),
      commit: (path) => Effect.provideContext(place.commit(path), services),
      left: () => Effect.void
    },
    write: link.write,
    progress: (doneBytes, { sizeBytes }) => told(job, remote, doneBytes, sizeBytes),
    ended: (ended) =>
      Effect.sync(() => {
        outcome = ended
      })
  })
  yield* link.write(ExchangeRequest.encodeFrame({ op: "get", path: remote }))
  while (outcome === undefined) {
    const frame = yield* Effect.timeoutOrElse(Attempts.nextFrame(link), {
      duration: ANSWER_TIMEOUT,
      orElse: () => Attempts.lost
    })
    if (frame.kind === DataFrame.Kind.FileStream) {
      const message = FileStream.decode(frame.payload)
      if (Result.isSuccess(message)) yield* incoming.receive(message.success)
      continue
    }
    const answer = yield* answerIn(frame)
    if (answer.op === "manifest") return answer
    if (answer.op === "hashing") yield* reading(job, answer.done, answer.of)
  }
  if (outcome.isStored) return undefined
  if (problem !== undefined) return yield* problem
  // Bytes that do not match were thrown away; the next attempt begins anew.
  return yield* /digest/.test(outcome.text) ? Attempts.lost : failure("Unwritable", outcome.text)
})

/** Beside its place until it is complete, under a name that the next attempt finds. */
const placeOf = (destination: string, force: boolean, failed: (error: TransferError) => void) => {
  const stop = (error: TransferError) =>
    Effect.suspend(() => {
      failed(error)
      return new IncomingFile.NotTaken({ reason: "Failed", detail: "not taken" })
    })
  return {
    open: Effect.fnUntraced(function* (file: FileStream.FileFacts) {
      const paths = yield* Path.Path
      const directory = paths.dirname(destination)
      const present = yield* Effect.catch(PartialFile.sizeOf(destination), () => stop(unusable(destination)))
      if (present !== undefined) {
        if (yield* isSame(destination, present, file)) return { storedAs: destination }
        if (!force) return yield* stop(failure("AlreadyExists", `${destination} exists and has another content`))
      }
      yield* Effect.catch(PrivateDirectory.make(directory), () => stop(unusable(directory)))
      const id = Bytes.toHex(FileStream.idOf(file.digest)).slice(0, 16)
      return { partial: paths.join(directory, `.${paths.basename(destination)}.${id}.part`) }
    }),
    commit: Effect.fnUntraced(function* (partial: string) {
      const files = yield* FileSystem.FileSystem
      const paths = yield* Path.Path
      yield* Effect.andThen(
        files.rename(partial, destination),
        ExchangePlaces.syncDirectory(paths.dirname(destination))
      ).pipe(Effect.catch(() => stop(unusable(destination))))
      yield* Effect.ignore(files.remove(PartialFile.markPath(partial), { force: true }))
      return destination
    })
  }
}

const isSame = (path: string, present: number, file: FileStream.FileFacts) =>
  present !== file.sizeBytes
    ? Effect.succeed(false)
    : Effect.orElseSucceed(
        Effect.map(FileDigest.read(path), ({ digest }) => Bytes.equals(digest, file.digest)),
        () => false
      )

const told = (job: Job, remote: string, doneBytes: number, sizeBytes: number): Effect.Effect<void> => {
  job.doneBytes.set(remote, doneBytes)
  const all = [...job.doneBytes.values()].reduce((total, bytes) => total + bytes, 0)
  const totalBytes = job.totalBytes ?? sizeBytes
  const { progress, remote: name } = job.options
  return progress?.({ stage: "receiving", doneBytes: all, totalBytes, name }) ?? Effect.void
}

const reading = ({ options }: Job, doneBytes: number, totalBytes: number): Effect.Effect<void> =>
  options.progress?.({ stage: "reading", doneBytes, totalBytes, name: options.remote }) ?? Effect.void

const nextAnswer = (link: Attempts.Link) => Effect.flatMap(Attempts.nextFrame(link), answerIn)

const answerIn = Effect.fnUntraced(function* (frame: DataFrame.DataFrame) {
  // An older peer acknowledges the kind by number.
  if (frame.kind !== DataFrame.Kind.Request)
    return yield* failure("Unsupported", "this peer shares no files; its node is of an older kind")
  const decoded = ExchangeRequest.decode(frame.payload)
  if (Result.isFailure(decoded)) return yield* broken
  if (decoded.success.op === "refused")
    return yield* failure(decoded.success.reason === "NotFound" ? "NotFound" : "Refused", decoded.success.detail)
  return decoded.success
})

const join = (directory: string, path: string): string => (path === "" ? directory : `${directory}/${path}`)
const broken = failure("Broken", "the peer's answer is not understood")
const unwritable = ({ message }: { readonly message: string }) => failure("Unwritable", message)
const unusable = (path: string) => failure("Unwritable", `cannot write ${path}`)
const ANSWER_TIMEOUT = "60 seconds"
