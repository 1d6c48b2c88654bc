/**
 * Sends one file to a peer (node §4.3, §4.4): a small one in one frame, a larger one in chunks that survive a break or a
 * restart of either side, and in one frame again to a peer that knows no chunks.
 */
import { Cause, Effect, FileSystem, type PlatformError } from "effect"
import type { Crypto } from "../../../core/crypto/Crypto.ts"
import * as DataFrame from "../../../protocol/wire/DataFrame.ts"
import * as FileFrame from "../../../protocol/wire/FileFrame.ts"
import * as FileStream from "../../../protocol/wire/FileStream.ts"
import * as FileDigest from "../FileDigest.ts"
import * as IncomingFile from "../IncomingFile.ts"
import * as OutgoingFile from "../OutgoingFile.ts"
import * as Attempts from "./Attempts.ts"
import * as SendMessage from "./SendMessage.ts"
import { make as failure, type TransferError } from "./TransferError.ts"

/** How far it is. `reading` comes before the first byte is sent. */
export interface Progress {
  readonly stage: "reading" | "sending" | "receiving"
  /** Of the file, or of the whole directory. */
  readonly doneBytes: number
  readonly totalBytes: number
  readonly name: string
}

/** What is sent, and what to tell about it. */
export interface Options extends Attempts.Patience {
  readonly path: string
  /** What the receiver is told. */
  readonly name: string
  readonly progress?: ((progress: Progress) => Effect.Effect<void>) | undefined
}

/** What became of it. */
export interface Sent {
  /** As a peer of the reference puts it: `ACK FILE 10 bytes`. None when the peer closed without a word. */
  readonly ack: string | undefined
  readonly sizeBytes: number
}

/** Returns when the peer has it on disk. */
export const send = Effect.fnUntraced(function* <E>(
  dial: Attempts.Dial<E>,
  options: Options
): Effect.fn.Return<Sent, E | TransferError, Crypto | FileSystem.FileSystem> {
  const { name, path } = options
  const tell = (stage: Progress["stage"]) => (doneBytes: number, totalBytes: number) =>
    options.progress?.({ stage, doneBytes, totalBytes, name }) ?? Effect.void
  const version = yield* Effect.mapError(FileDigest.read(path, tell("reading")), unreadable)
  const { digest, sizeBytes } = version
  if (sizeBytes <= ONE_FRAME_BYTES_MAX) return yield* whole(dial, options, sizeBytes)
  const sending = tell("sending")
  let done = 0
  let mismatches = 0
  const file = { sizeBytes, digest, chunkBytes: FileStream.CHUNK_BYTES, name }
  const attempt = Effect.fnUntraced(function* (link: Attempts.Link) {
    const progress = (ackedBytes: number) => {
      done = Math.max(done, ackedBytes)
      return sending(ackedBytes, sizeBytes)
    }
    const ended = yield* stream(link, { path, file, progress })
    if (ended._tag !== "Refused") return ended
    if (ended.text === IncomingFile.TAKEN_OVER) return yield* Attempts.lost
    // Its earlier part did not survive; it begins anew once, and then something is wrong here.
    if (!/digest/.test(ended.text) || mismatches++ > 0 || !(yield* isSame(path, version))) return ended
    return yield* Attempts.lost
  })
  const ended = yield* Attempts.run(dial, { patience: options.patience, doneBytes: () => done }, attempt)
  if (ended._tag === "Unsupported") return yield* whole(dial, options, sizeBytes)
  if (!(yield* isSame(path, version))) return yield* failure("Changed", `${path} changed while it was sent`)
  if (ended._tag === "Refused") return yield* refused(ended.text)
  return { ack: FileFrame.acknowledged(DataFrame.Kind.File, sizeBytes), sizeBytes }
})

/** How chunks ended, when the peer had a say in it. */
export const stream = (
  link: Attempts.Link,
  options: OutgoingFile.Options
): Effect.Effect<
  Extract<OutgoingFile.Ended, { readonly _tag: "Stored" | "Refused" | "Unsupported" }>,
  TransferError,
  FileSystem.FileSystem
> =>
  Effect.scoped(OutgoingFile.run(link, options)).pipe(
    Effect.mapError((error) =>
      Cause.isDone(error) ? Attempts.lost : error._tag === "PlatformError" ? unreadable(error) : Attempts.lost
    ),
    Effect.flatMap((ended) =>
      ended._tag === "Silent"
        ? Effect.fail(Attempts.lost)
        : ended._tag === "Broken"
          ? Effect.fail(failure("Broken", `the peer broke the rules: ${ended.detail}`))
          : Effect.succeed(ended)
    )
  )

/** The peer said no. */
export const refused = (text: string): TransferError => failure("Refused", `the peer did not take it: ${text}`)

const whole = Effect.fnUntraced(function* <E>(
  dial: Attempts.Dial<E>,
  { name, path, progress }: Options,
  sizeBytes: number
) {
  const files = yield* FileSystem.FileSystem
  const head = FileFrame.encodeFileName(name)
  if (head.length + sizeBytes > DataFrame.PAYLOAD_BYTES_MAX)
    return yield* failure("TooLarge", `this peer takes files of at most ${DataFrame.PAYLOAD_BYTES_MAX} bytes`)
  const content = yield* Effect.mapError(files.readFile(path), unreadable)
  const ack = yield* Effect.scoped(
    Effect.gen(function* () {
      const link = Attempts.linkOver(yield* dial)
      yield* SendMessage.write(link, DataFrame.Kind.File, head, content)
      return yield* SendMessage.acknowledgement(link)
    })
  )
  yield* progress?.({ stage: "sending", doneBytes: content.length, totalBytes: content.length, name }) ?? Effect.void
  return { ack, sizeBytes: content.length }
})

const isSame = (path: string, version: FileDigest.FileVersion) =>
  Effect.orElseSucceed(FileDigest.isSame(path, version), () => false)

/** A file of ours that cannot be read. */
export const unreadable = ({ reason }: PlatformError.PlatformError): TransferError => {
  const path = "pathOrDescriptor" in reason ? String(reason.pathOrDescriptor) : "it"
  if (reason._tag === "NotFound") return failure("NotFound", `file not found: ${path}`)
  return reason._tag === "PermissionDenied"
    ? failure("Unreadable", `permission denied: ${path}`)
    : failure("Unreadable", `cannot read ${path}: ${reason._tag}`)
}

/** Smaller files take one round trip and no record, and every peer knows how. */
export const ONE_FRAME_BYTES_MAX = 65_536
