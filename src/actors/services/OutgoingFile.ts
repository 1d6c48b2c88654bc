/**
 * Sends one file in chunks over a link: does what `FileSender` says. Used by whoever sends a file, and by the service on port
 * 1001 for a file that is pulled.
 */
import { Clock, Effect, FileSystem, Option, type PlatformError, type Scope } from "effect"
import * as MonotonicTime from "../../core/actor/MonotonicTime.ts"
import { Signal } from "../../core/actor/Signal.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import { FileSender, type Outcome, Output } from "../../protocol/exchange/FileSender.ts"
import * as DataFrame from "../../protocol/wire/DataFrame.ts"
import * as FileFrame from "../../protocol/wire/FileFrame.ts"
import * as FileStream from "../../protocol/wire/FileStream.ts"
import type { FrameLink } from "./FrameLink.ts"

/** How it ended, when it did not end with the stream. */
export type Ended = Outcome | { readonly _tag: "Unsupported" }

/** What is sent. */
export interface Options {
  readonly path: string
  readonly file: FileStream.FileFacts
  /** Bytes that the receiver has, whenever that changes. */
  readonly progress?: (ackedBytes: number) => Effect.Effect<void>
}

/** Fails as the link does, `Cause.Done` when the other side closed it, and as the disk does. Reads and writes until then. */
export const run = Effect.fnUntraced(function* <E>(
  link: FrameLink<E>,
  options: Options
): Effect.fn.Return<
  Ended,
  PlatformError.PlatformError | Effect.Error<FrameLink<E>["read"]>,
  FileSystem.FileSystem | Scope.Scope
> {
  const clock = yield* Clock.Clock
  const now = () => MonotonicTime.nowMsUnsafe(clock)
  const source = yield* Effect.flatMap(FileSystem.FileSystem, (files) => files.open(options.path))
  const sender = new FileSender(options.file, now())
  const changed = new Signal()
  let isUnsupported = false
  let isWriting = false
  let heard = 0
  const ended = (): Ended | undefined => (isUnsupported ? { _tag: "Unsupported" } : sender.outcome)

  const pump: Effect.Effect<Ended, PlatformError.PlatformError | E> = Effect.suspend(() => {
    const end = ended()
    if (end !== undefined) return Effect.succeed(end)
    const before = heard
    const output = sender.next()
    const one =
      output === undefined
        ? changed.waitUnless(() => heard !== before)
        : send(link, source, FileStream.idOf(options.file.digest), output)
    isWriting = output !== undefined
    return Effect.andThen(one, pump)
  })
  let shown = -1
  const listen = Effect.forever(
    Effect.flatMap(link.read, (frame) => {
      isUnsupported ||= isRefusal(frame)
      const message = frame.kind === DataFrame.Kind.FileStream ? FileStream.decode(frame.payload) : undefined
      if (message?._tag === "Success") sender.receive(message.success, now())
      heard++
      changed.raise()
      if (options.progress === undefined || sender.ackedBytes === shown) return Effect.void
      shown = sender.ackedBytes
      return options.progress(shown)
    }),
    { disableYield: true }
  )
  // A receiver that reads nothing keeps the pump waiting in a write, so the deadline has a fiber of its own.
  const watch: Effect.Effect<Ended> = Effect.suspend(() => {
    const end = ended()
    if (end !== undefined) return Effect.succeed(end)
    return Effect.andThen(
      Effect.sleep(Math.max(1, sender.deadlineMs - now())),
      Effect.sync(() => sender.timeout(now()))
    ).pipe(Effect.andThen(Effect.suspend(() => watch)))
  })
  const end = yield* Effect.raceFirst(pump, Effect.raceFirst(watch, listen))
  // A receiver that is still storing it must not take the end of the stream for a sender that has heard its word.
  if (end._tag === "Silent" && !isWriting) {
    const id = FileStream.idOf(options.file.digest)
    const told = send(
      link,
      source,
      id,
      Output.Send({ message: FileStream.FileStream.Abort({ id, text: "no answer" }) })
    )
    yield* Effect.ignore(Effect.timeout(told, ABORT_TIMEOUT))
  }
  return end
})

const send = <E>(
  link: FrameLink<E>,
  source: FileSystem.File,
  id: Uint8Array,
  output: Output
): Effect.Effect<void, PlatformError.PlatformError | E> =>
  Output.$match(output, {
    Send: ({ message }) => link.write(DataFrame.encode(DataFrame.Kind.FileStream, FileStream.encode(message))),
    SendChunk: ({ offset, sizeBytes }) =>
      Effect.flatMap(readExactly(source, offset, sizeBytes), (bytes) => {
        const head = FileStream.encodeChunkHead(id, offset)
        return link.write(
          Bytes.concat(DataFrame.encodeHeader(DataFrame.Kind.FileStream, head.length + bytes.length), head, bytes)
        )
      })
  })

/** A file that became shorter is sent with zeros: the digest shows it, and the frames stay whole. */
const readExactly = (
  source: FileSystem.File,
  offset: number,
  sizeBytes: number
): Effect.Effect<Uint8Array, PlatformError.PlatformError> =>
  Effect.map(source.readAlloc(sizeBytes, { position: BigInt(offset) }), (read) => {
    const bytes = Option.getOrElse(read, () => Bytes.empty)
    return bytes.length === sizeBytes ? bytes : Bytes.concat(bytes, new Uint8Array(sizeBytes - bytes.length))
  })

/** `ACK UNKNOWN(7) …`: a peer of the reference before it had file streams. */
const isRefusal = ({ kind, payload }: DataFrame.DataFrame): boolean => {
  if (kind !== DataFrame.Kind.Text) return false
  const said = FileFrame.decodeAcknowledgement(Bytes.toUtf8Lossy(payload.subarray(0, TEXT_BYTES_MAX)))
  return said._tag === "Unknown" && said.kind === DataFrame.Kind.FileStream
}

/** A stream that takes nothing more breaks off by itself. */
const ABORT_TIMEOUT = "1 second"
const TEXT_BYTES_MAX = 256
