/** Reads an audit log: checks it, and gives its lines to whoever shows or exports them. The node need not run. */
import { Effect, FileSystem, Option } from "effect"
import type { Crypto } from "../../core/crypto/Crypto.ts"
import * as JsonFile from "../../core/storage/JsonFile.ts"
import * as AuditLine from "../../protocol/audit/AuditLine.ts"
import { AuditVerifier, type Found } from "../../protocol/audit/AuditVerifier.ts"
import * as AuditStore from "./AuditStore.ts"

/** What a log is checked against. */
export interface Options {
  readonly crypto: Pick<Crypto["Service"], "sha256" | "verify">
  /** Whose signatures count, by key in base64; absent: those of the first checkpoint's. */
  readonly accepts?: ((publicKey: string) => boolean) | undefined
  /** The keys that the node has had, the present one last; see `Verification`. */
  readonly keys?: ReadonlyArray<string> | undefined
  /** Lines that somebody vouches for: a running node, or whoever kept them elsewhere. */
  readonly expected: ReadonlyMap<number, string>
}

/** What was found, and how many files there are. */
export interface Verified extends Found {
  readonly files: number
  /** Bytes of a last line that is not finished: a crash, or a node that is writing it now. */
  readonly tornBytes: number
}

/** Checks the whole log. */
export const verify = Effect.fnUntraced(function* (
  directory: string,
  { accepts, crypto, expected, keys }: Options
): Effect.fn.Return<Verified, { readonly message: string }, FileSystem.FileSystem> {
  const files = yield* FileSystem.FileSystem
  const head = yield* JsonFile.load(AuditStore.headOf(directory), AuditLine.Head)
  const all = yield* AuditStore.segments(directory)
  const wanted = new Map(expected)
  let isHeadForged = false
  if (Option.isSome(head)) {
    const { hash, publicKey, seq } = head.value
    isHeadForged =
      !AuditStore.isSigned(head.value, crypto.verify) ||
      (keys?.includes(publicKey) !== true && accepts?.(publicKey) === false)
    if (!isHeadForged && !wanted.has(seq)) wanted.set(seq, hash)
  }
  const verifier = new AuditVerifier({ ...crypto, accepts, keys }, wanted)
  let tornBytes = 0
  for (const [index, { path }] of all.entries()) {
    const text = yield* files.readFileString(path)
    verifier.file(path.slice(directory.length + 1))
    let from = 0
    for (let end = text.indexOf("\n"); end >= 0 && verifier.isWhole; end = text.indexOf("\n", from)) {
      verifier.line(text.slice(from, end))
      from = end + 1
    }
    if (!verifier.isWhole || from === text.length) continue
    if (index === all.length - 1) tornBytes = text.length - from
    else verifier.line(text.slice(from))
  }
  const found = verifier.finish()
  const where = { file: "head.json", line: 1 }
  const missing = Option.isNone(head) && found.checkpoints > 0
  const broken =
    found.broken ??
    (isHeadForged
      ? { ...where, detail: "it is not what this node signed" }
      : missing
        ? { ...where, detail: "it is gone, so a missing end could not be seen" }
        : undefined)
  return { ...found, broken, files: all.length, tornBytes }
})

/** The lines from this number on, the oldest first; what cannot be read is left out. */
export const lines = Effect.fnUntraced(function* (
  directory: string,
  fromSeq: number,
  take: (line: AuditLine.Line, text: string) => void
): Effect.fn.Return<void, { readonly message: string }, FileSystem.FileSystem> {
  const files = yield* FileSystem.FileSystem
  const all = yield* AuditStore.segments(directory)
  const first = Math.max(
    0,
    all.findLastIndex(({ firstSeq }) => firstSeq <= fromSeq)
  )
  for (const { path } of all.slice(first)) {
    const text = yield* files.readFileString(path)
    const whole = text.slice(0, text.lastIndexOf("\n") + 1).split("\n")
    for (const one of whole) {
      const line = one === "" ? undefined : AuditLine.decode(one)
      if (line !== undefined && line.seq >= fromSeq) take(line, one)
    }
  }
})
