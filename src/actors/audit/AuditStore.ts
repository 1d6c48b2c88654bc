/**
 * The files of an audit log: `audit/audit-000000000001.jsonl`, each named for the number of its first line, and beside them
 * `head.json`, the last checkpoint. Only appended to, and removed as a whole, the oldest first.
 */
import { Effect, FileSystem, Option, type Path, type PlatformError } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as AtomicFile from "../../core/storage/AtomicFile.ts"
import * as JsonFile from "../../core/storage/JsonFile.ts"
import * as LineFile from "../../core/storage/LineFile.ts"
import * as PrivateDirectory from "../../core/storage/PrivateDirectory.ts"
import * as AuditLine from "../../protocol/audit/AuditLine.ts"

/** Where the log of a state directory is. */
export const directoryOf = (home: string): string => `${home}/audit`
/** The last checkpoint. */
export const headOf = (directory: string): string => `${directory}/head.json`

/** One file. */
export interface Segment {
  readonly path: string
  readonly firstSeq: number
}

type Disk = FileSystem.FileSystem

/** The files, the oldest first; none if there is no log. */
export const segments = Effect.fnUntraced(function* (
  directory: string
): Effect.fn.Return<ReadonlyArray<Segment>, PlatformError.PlatformError, Disk> {
  const files = yield* FileSystem.FileSystem
  if (!(yield* files.exists(directory))) return []
  return (yield* files.readDirectory(directory))
    .flatMap((name) => {
      const match = NAME.exec(name)
      return match === null ? [] : [{ path: `${directory}/${name}`, firstSeq: Number(match[1]) }]
    })
    .sort((a, b) => a.firstSeq - b.firstSeq)
})

/** The file whose first line has this number. */
export const segmentAt = (directory: string, firstSeq: number): Segment => ({
  path: `${directory}/audit-${String(firstSeq).padStart(NAME_DIGITS, "0")}.jsonl`,
  firstSeq
})

/** How the log ends. */
export interface End {
  readonly segment: Segment | undefined
  readonly sizeBytes: number
  /** Of the newest line; 0 for none. */
  readonly seq: number
  readonly hash: string
  /** Bytes of an unfinished last line, which are gone now. */
  readonly tornBytes: number
  /** What is wrong with what was signed before; undefined if nothing is. */
  readonly broken: string | undefined
}

type Sha256 = (bytes: Uint8Array) => Uint8Array
type Verify = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean

/** Finds the end, and cuts off what a crash left there. `publicKey`: of this node, base64; only its own word counts. */
export const resume = Effect.fnUntraced(function* (
  directory: string,
  crypto: { readonly sha256: Sha256; readonly verify: Verify },
  publicKey: string
): Effect.fn.Return<End, { readonly message: string }, Disk | Path.Path> {
  const files = yield* FileSystem.FileSystem
  yield* PrivateDirectory.make(directory)
  const all = yield* segments(directory)
  const head = yield* Effect.orElseSucceed(JsonFile.load(headOf(directory), AuditLine.Head), () => Option.none())
  const newest = all.at(-1)
  if (newest === undefined)
    return {
      ...{ segment: undefined, sizeBytes: 0, seq: 0, hash: AuditLine.ORIGIN, tornBytes: 0 },
      broken: Option.isSome(head) ? `the log is gone; it had ${head.value.seq} lines` : undefined
    }
  const end = yield* LineFile.endOf(files, newest.path)
  if (end.wholeBytes < end.sizeBytes) yield* files.truncate(newest.path, end.wholeBytes)
  const before = all.at(-2)
  const last = end.last !== "" || before === undefined ? end.last : (yield* LineFile.endOf(files, before.path)).last
  const line = AuditLine.decode(last)
  const seq = line?.seq ?? Math.max(newest.firstSeq, Option.isSome(head) ? head.value.seq : 0)
  const found = {
    segment: newest,
    sizeBytes: end.wholeBytes,
    seq,
    hash: last === "" ? AuditLine.ORIGIN : Bytes.toHex(crypto.sha256(Bytes.fromUtf8(last))),
    tornBytes: end.sizeBytes - end.wholeBytes
  }
  if (line === undefined && last !== "") return { ...found, broken: "the last line cannot be read" }
  if (Option.isNone(head)) {
    // A checkpoint is the last line only if a crash came before its place was noted.
    const isNoted = line === undefined || line.kind === "checkpoint" || !(yield* hasCheckpoint(all))
    return { ...found, broken: isNoted ? undefined : "head.json is gone" }
  }
  return { ...found, broken: yield* brokenHead(all, found.seq, head.value, crypto, publicKey) }
})

const brokenHead = Effect.fnUntraced(function* (
  all: ReadonlyArray<Segment>,
  lastSeq: number,
  head: AuditLine.Head,
  { sha256, verify }: { readonly sha256: Sha256; readonly verify: Verify },
  publicKey: string
) {
  if (!isSigned(head, verify)) return "head.json is not what was signed"
  if (head.publicKey !== publicKey) return undefined
  if (lastSeq < head.seq) return `the end is missing: ${head.seq} lines were signed, the last is number ${lastSeq}`
  const text = yield* lineAt(all, head.seq)
  return text !== undefined && Bytes.toHex(sha256(Bytes.fromUtf8(text))) === head.hash
    ? undefined
    : `line number ${head.seq} is not the one that was signed`
})

/** Whether the key that it names signed it. */
export const isSigned = ({ hash, publicKey, seq, signature }: AuditLine.Head, verify: Verify): boolean => {
  const [key, signed] = [Bytes.fromBase64(publicKey), Bytes.fromBase64(signature)]
  return key !== undefined && signed !== undefined && verify(key, AuditLine.headText(seq, hash), signed)
}

/** One line by its number. */
const lineAt = Effect.fnUntraced(function* (all: ReadonlyArray<Segment>, seq: number) {
  const files = yield* FileSystem.FileSystem
  const segment = all.findLast(({ firstSeq }) => firstSeq <= seq)
  if (segment === undefined) return undefined
  return (yield* files.readFileString(segment.path)).split("\n")[seq - segment.firstSeq]
})

const hasCheckpoint = Effect.fnUntraced(function* (all: ReadonlyArray<Segment>) {
  const files = yield* FileSystem.FileSystem
  for (const { path } of all) if ((yield* files.readFileString(path)).includes('"kind":"checkpoint"')) return true
  return false
})

/** Appends whole lines; nothing of them is there if that fails. With `sync` they are on disk. */
export const append = Effect.fnUntraced(function* (
  { path }: Segment,
  text: string,
  sizeBytes: number,
  sync: boolean
): Effect.fn.Return<number, PlatformError.PlatformError, Disk> {
  const files = yield* FileSystem.FileSystem
  const bytes = Bytes.fromUtf8(text)
  const write = Effect.gen(function* () {
    const file = yield* files.open(path, { flag: "a", mode: AtomicFile.OWNER_ONLY })
    yield* file.writeAll(bytes)
    if (sync) yield* file.sync
  }).pipe(Effect.scoped)
  yield* Effect.onError(write, () => Effect.ignore(files.truncate(path, sizeBytes)))
  return bytes.length
})

/** Notes the last checkpoint. */
export const saveHead = (
  directory: string,
  head: AuditLine.Head
): Effect.Effect<void, JsonFile.JsonFileError, Disk | Path.Path> =>
  JsonFile.save(headOf(directory), AuditLine.Head, head)

/** What has to go so that the log keeps its bounds, with the hash of the last line that goes. */
export const excess = Effect.fnUntraced(function* (
  all: ReadonlyArray<Segment>,
  { bytesMax, nowMs, oldestMs }: { readonly bytesMax: number; readonly nowMs: number; readonly oldestMs: number },
  sha256: Sha256
): Effect.fn.Return<
  { readonly going: ReadonlyArray<Segment>; readonly head: string } | undefined,
  PlatformError.PlatformError,
  Disk
> {
  const files = yield* FileSystem.FileSystem
  const rows = yield* Effect.forEach(all, (segment) =>
    Effect.map(files.stat(segment.path), ({ mtime, size }) => ({
      segment,
      bytes: Number(size),
      endedMs: Option.match(mtime, { onNone: () => nowMs, onSome: (date) => date.getTime() })
    }))
  )
  let bytes = rows.reduce((sum, row) => sum + row.bytes, 0)
  const going: Array<Segment> = []
  for (const row of rows.slice(0, -1)) {
    if (bytes <= bytesMax && row.endedMs >= oldestMs) break
    going.push(row.segment)
    bytes -= row.bytes
  }
  const newest = going.at(-1)
  if (newest === undefined) return undefined
  const { last } = yield* LineFile.endOf(files, newest.path)
  return { going, head: Bytes.toHex(sha256(Bytes.fromUtf8(last))) }
})

const NAME = /^audit-(\d{12})\.jsonl$/
const NAME_DIGITS = 12
