/**
 * The payload of the FileStream kind of data exchange (node §4.4): one file in chunks, with resume.
 *
 * ```
 * kind (1)  transfer id (16)  body
 *
 * 1 Init      size (8)  SHA-256 (32)  chunk size (4)  name length (2)  name      5 InitAck   resume offset (8)
 * 2 Chunk     offset (8)  bytes                                                  6 Complete  status (1, 0 = stored)  text
 * 3 Ack       contiguous offset (8)                                              7 Abort     text (ours)
 * 4 Done
 * ```
 *
 * The transfer id is the first half of the SHA-256 of the content, so a sender that begins again finds what is there.
 */
import { Data, Result } from "effect"
import * as ByteReader from "../../core/data/ByteReader.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as DecodeError from "./DecodeError.ts"
import * as FileFrame from "./FileFrame.ts"

/** One message; byte fields are views. Offsets and sizes are bytes of the file. */
export type FileStream = Data.TaggedEnum<{
  Init: { readonly id: Uint8Array; readonly file: FileFacts }
  Chunk: { readonly id: Uint8Array; readonly offset: number; readonly bytes: Uint8Array }
  Ack: { readonly id: Uint8Array; readonly offset: number }
  Done: { readonly id: Uint8Array }
  InitAck: { readonly id: Uint8Array; readonly offset: number }
  Complete: { readonly id: Uint8Array; readonly isStored: boolean; readonly text: string }
  Abort: { readonly id: Uint8Array; readonly text: string }
}>
/** Constructors and matchers of `FileStream`. */
export const FileStream = Data.taggedEnum<FileStream>()

/** What a sender says of the file. */
export interface FileFacts {
  readonly sizeBytes: number
  /** SHA-256 of the whole content. */
  readonly digest: Uint8Array
  readonly chunkBytes: number
  /** The sender's claim: see `StoredName` before it touches a disk. */
  readonly name: string
}

/** Bytes of a transfer id. */
export const ID_BYTES = 16

/** Chunks are as large as the reference's (node §4.4). */
export const CHUNK_BYTES = 48 << 10

/** The id of a transfer of this content. */
export const idOf = (digest: Uint8Array): Uint8Array => digest.subarray(0, ID_BYTES)

/** Reads one payload. */
export const decode = (payload: Uint8Array): Result.Result<FileStream, DecodeError.DecodeError> => {
  const reader = ByteReader.make(payload)
  const kind = ByteReader.u8(reader)
  const id = ByteReader.take(reader, ID_BYTES)
  const decoded = reader.isOverrun ? undefined : decodeBody(kind, id, reader)
  if (reader.isOverrun) return DecodeError.truncated(payload.length + 1, payload.length)
  return decoded ?? DecodeError.unknownType(kind)
}

/** The payload. A name longer than 65,535 bytes is cut. */
export const encode: (self: FileStream) => Uint8Array = FileStream.$match({
  Init: ({ file, id }) => {
    const name = Bytes.fromUtf8(file.name).subarray(0, 0xffff)
    const fixed = [ofU64(file.sizeBytes), file.digest, Bytes.ofU32(file.chunkBytes), Bytes.ofU16(name.length)]
    return Bytes.concat(header(KIND.Init, id), ...fixed, name)
  },
  Chunk: ({ bytes, id, offset }) => Bytes.concat(header(KIND.Chunk, id), ofU64(offset), bytes),
  Ack: ({ id, offset }) => Bytes.concat(header(KIND.Ack, id), ofU64(offset)),
  Done: ({ id }) => header(KIND.Done, id),
  InitAck: ({ id, offset }) => Bytes.concat(header(KIND.InitAck, id), ofU64(offset)),
  Complete: ({ id, isStored, text }) =>
    Bytes.concat(header(KIND.Complete, id), Uint8Array.of(isStored ? 0 : 1), Bytes.fromUtf8(text)),
  Abort: ({ id, text }) => Bytes.concat(header(KIND.Abort, id), Bytes.fromUtf8(text))
})

/** What stands before the bytes of a chunk: the sender writes both without joining them. */
export const encodeChunkHead = (id: Uint8Array, offset: number): Uint8Array =>
  Bytes.concat(header(KIND.Chunk, id), ofU64(offset))

const decodeBody = (
  kind: number,
  id: Uint8Array,
  reader: ByteReader.ByteReader
): Result.Result<FileStream, DecodeError.DecodeError> | undefined => {
  switch (kind) {
    case KIND.Init:
      return decodeInit(id, reader)
    case KIND.Chunk:
      return offsetOf(reader, (offset) => FileStream.Chunk({ id, offset, bytes: ByteReader.rest(reader) }))
    case KIND.Ack:
      return offsetOf(reader, (offset) => FileStream.Ack({ id, offset }))
    case KIND.Done:
      return Result.succeed(FileStream.Done({ id }))
    case KIND.InitAck:
      return offsetOf(reader, (offset) => FileStream.InitAck({ id, offset }))
    case KIND.Complete: {
      const isStored = ByteReader.u8(reader) === 0
      return Result.succeed(FileStream.Complete({ id, isStored, text: textOf(reader) }))
    }
    case KIND.Abort:
      return Result.succeed(FileStream.Abort({ id, text: textOf(reader) }))
    default:
      return undefined
  }
}

const decodeInit = (
  id: Uint8Array,
  reader: ByteReader.ByteReader
): Result.Result<FileStream, DecodeError.DecodeError> => {
  const sizeBytes = ByteReader.u64(reader)
  const digest = ByteReader.take(reader, DIGEST_BYTES)
  const chunkBytes = ByteReader.u32(reader)
  const name = FileFrame.boundedText(ByteReader.take(reader, ByteReader.u16(reader)), FileFrame.NAME_CHARACTERS_MAX)
  if (sizeBytes === undefined) return DecodeError.malformed("size")
  return Result.succeed(FileStream.Init({ id, file: { sizeBytes, digest, chunkBytes, name } }))
}

const offsetOf = (
  reader: ByteReader.ByteReader,
  make: (offset: number) => FileStream
): Result.Result<FileStream, DecodeError.DecodeError> => {
  const offset = ByteReader.u64(reader)
  return offset === undefined ? DecodeError.malformed("offset") : Result.succeed(make(offset))
}

const textOf = (reader: ByteReader.ByteReader): string =>
  FileFrame.boundedText(ByteReader.rest(reader).subarray(0, TEXT_BYTES_MAX), TEXT_CHARACTERS_MAX)

const header = (kind: number, id: Uint8Array): Uint8Array => Bytes.concat(Uint8Array.of(kind), id)

const ofU64 = (value: number): Uint8Array => {
  const bytes = new Uint8Array(8)
  Bytes.writeU64(bytes, 0, value)
  return bytes
}

const KIND = { Init: 1, Chunk: 2, Ack: 3, Done: 4, InitAck: 5, Complete: 6, Abort: 7 } as const
const DIGEST_BYTES = 32
/** Texts are for people; a longer one is cut. */
const TEXT_BYTES_MAX = 1024
const TEXT_CHARACTERS_MAX = 256
