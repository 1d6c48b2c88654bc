/**
 * Sends a directory to a peer as one: announced, then file by file on a few streams, then made visible there as a whole. A
 * peer that knows no directories gets the files one by one, under their own names.
 */
import { Effect, type FileSystem, type Path, Result } from "effect"
import { Crypto } from "../../../core/crypto/Crypto.ts"
import * as Bytes from "../../../core/data/Bytes.ts"
import * as DataFrame from "../../../protocol/wire/DataFrame.ts"
import * as ExchangeRequest from "../../../protocol/wire/ExchangeRequest.ts"
import * as FileStream from "../../../protocol/wire/FileStream.ts"
import * as DirectoryWalk from "../DirectoryWalk.ts"
import * as FileDigest from "../FileDigest.ts"
import * as IncomingFile from "../IncomingFile.ts"
import * as Attempts from "./Attempts.ts"
import * as SendFile from "./SendFile.ts"
import { make as failure, type TransferError } from "./TransferError.ts"

/** What became of it. */
export interface SentTree {
  /** The name it has at the peer; none with a peer that took the files one by one. */
  readonly storedAs: string | undefined
  readonly files: number
  readonly sizeBytes: number
  /** Links and devices, which are not sent. */
  readonly skipped: number
}

/** Returns when the peer has everything on disk. */
export const send = Effect.fnUntraced(function* <E>(
  dial: Attempts.Dial<E>,
  options: SendFile.Options
): Effect.fn.Return<SentTree, E | TransferError, Crypto | FileSystem.FileSystem | Path.Path> {
  const walked = yield* Effect.mapError(DirectoryWalk.walk(options.path), (error) =>
    error._tag === "TooManyEntries" ? failure("TooLarge", error.message) : SendFile.unreadable(error)
  )
  const job = yield* jobOf(options, walked)
  const doneBytes = () => [...job.doneBytes.values()].reduce((total, bytes) => total + bytes, 0)
  const first = yield* Attempts.run(dial, { patience: options.patience, doneBytes }, (link) =>
    announce(link, job.announcement)
  )
  const facts = { files: walked.files.length, sizeBytes: walked.sizeBytes, skipped: walked.skipped }
  if (first === "Unsupported") {
    yield* oneByOne(dial, options, walked)
    return { ...facts, storedAs: undefined }
  }
  const waiting = [...walked.files]
  const workers = Math.min(STREAMS, Math.max(1, Math.ceil(waiting.length / FILES_PER_STREAM)))
  yield* Effect.forEach(
    Array.from({ length: workers }),
    () => Attempts.run(dial, { patience: options.patience, doneBytes }, (link) => sendSome(link, job, waiting)),
    { concurrency: "unbounded", discard: true }
  )
  const storedAs = yield* Attempts.run(dial, { patience: options.patience, doneBytes }, (link) => finish(link, job))
  return { ...facts, storedAs }
})

interface Job {
  readonly options: SendFile.Options
  readonly announcement: ExchangeRequest.Of<"tree">
  readonly totalBytes: number
  /** By path: what the peer has of it. */
  readonly doneBytes: Map<string, number>
  readonly digests: Map<string, FileDigest.FileVersion>
}

const jobOf = Effect.fnUntraced(function* (options: SendFile.Options, walked: DirectoryWalk.Walked) {
  const { sha256 } = yield* Crypto
  const listing = walked.files.map(({ changedAtMs, path, sizeBytes }) => [path, sizeBytes, changedAtMs])
  const text = JSON.stringify([options.name, listing, walked.directories])
  const announcement: ExchangeRequest.Of<"tree"> = {
    op: "tree",
    id: Bytes.toHex(sha256(Bytes.fromUtf8(text)).subarray(0, 16)),
    name: options.name,
    files: walked.files.map(({ path, sizeBytes }) => [path, sizeBytes]),
    directories: walked.directories
  }
  if (ExchangeRequest.encode(announcement).length > ExchangeRequest.REQUEST_BYTES_MAX)
    return yield* failure("TooLarge", "the list of its files is too long")
  const job: Job = {
    options,
    announcement,
    totalBytes: walked.sizeBytes,
    doneBytes: new Map(),
    digests: new Map()
  }
  return job
})

/** Under which name it is there already, or nothing; or that the peer does not know what this is. */
const announce = Effect.fnUntraced(function* (link: Attempts.Link, announcement: ExchangeRequest.Of<"tree">) {
  yield* link.write(ExchangeRequest.encodeFrame(announcement))
  const answer = yield* reply(link)
  if (answer === "Unsupported") return answer
  return answer.op === "ok" ? answer.name : yield* Attempts.lost
})

const sendSome = Effect.fnUntraced(function* (link: Attempts.Link, job: Job, waiting: Array<DirectoryWalk.WalkedFile>) {
  const there = yield* announce(link, job.announcement)
  if (there !== "") return
  for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
    const next = file
    // Whoever comes after a break takes it up again.
    yield* Effect.onError(sendOne(link, job, next), () => Effect.sync(() => waiting.unshift(next)))
  }
})

const sendOne = Effect.fnUntraced(function* (link: Attempts.Link, job: Job, { path }: DirectoryWalk.WalkedFile) {
  const { options } = job
  const absolute = `${options.path}/${path}`
  const known = job.digests.get(path)
  const version = known ?? (yield* Effect.mapError(FileDigest.read(absolute), SendFile.unreadable))
  job.digests.set(path, version)
  const progress = (ackedBytes: number) => {
    job.doneBytes.set(path, Math.max(job.doneBytes.get(path) ?? 0, ackedBytes))
    const doneBytes = [...job.doneBytes.values()].reduce((total, bytes) => total + bytes, 0)
    return (
      options.progress?.({ stage: "sending", doneBytes, totalBytes: job.totalBytes, name: options.name }) ?? Effect.void
    )
  }
  const { digest, sizeBytes } = version
  const file = { sizeBytes, digest, chunkBytes: FileStream.CHUNK_BYTES, name: path }
  const ended = yield* SendFile.stream(link, { path: absolute, file, progress })
  if (ended._tag !== "Stored")
    return yield* ended._tag === "Refused" && ended.text !== IncomingFile.TAKEN_OVER
      ? SendFile.refused(ended.text)
      : Attempts.lost
  if (!(yield* Effect.orElseSucceed(FileDigest.isSame(absolute, version), () => false)))
    return yield* failure("Changed", `${absolute} changed while it was sent`)
  yield* progress(sizeBytes)
})

const finish = Effect.fnUntraced(function* (link: Attempts.Link, { announcement }: Job) {
  const there = yield* announce(link, announcement)
  if (there !== "") return there
  yield* link.write(ExchangeRequest.encodeFrame({ op: "end", id: announcement.id }))
  const answer = yield* reply(link)
  return answer !== "Unsupported" && answer.op === "ok" ? answer.name : yield* Attempts.lost
})

/** The next answer; a refusal is a failure. */
const reply = Effect.fnUntraced(function* (link: Attempts.Link) {
  const frame = yield* Attempts.nextFrame(link)
  if (frame.kind !== DataFrame.Kind.Request) return "Unsupported" as const
  const decoded = ExchangeRequest.decode(frame.payload)
  if (Result.isFailure(decoded)) return yield* failure("Broken", "the peer's answer is not understood")
  if (decoded.success.op === "refused") return yield* SendFile.refused(decoded.success.detail)
  return decoded.success
})

const oneByOne = Effect.fnUntraced(function* <E>(
  dial: Attempts.Dial<E>,
  options: SendFile.Options,
  { files, sizeBytes }: DirectoryWalk.Walked
) {
  let before = 0
  for (const { path, sizeBytes: ofFile } of files) {
    const progress: SendFile.Options["progress"] = ({ doneBytes }) =>
      options.progress?.({
        stage: "sending",
        doneBytes: before + doneBytes,
        totalBytes: sizeBytes,
        name: options.name
      }) ?? Effect.void
    const name = path.slice(path.lastIndexOf("/") + 1)
    yield* SendFile.send(dial, { path: `${options.path}/${path}`, name, patience: options.patience, progress })
    before += ofFile
  }
})

/** Streams for one directory: enough that small files do not wait for one round trip after the other. */
const STREAMS = 4
const FILES_PER_STREAM = 4
