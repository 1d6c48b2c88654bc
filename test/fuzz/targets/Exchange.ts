/** Data exchange: frames, files in chunks, requests, names that peers choose, and what lies in an inbox. */
import { Arbitrary, Result } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as InboxRecord from "../../../src/protocol/exchange/InboxRecord.ts"
import * as RelativePath from "../../../src/protocol/exchange/RelativePath.ts"
import * as StoredName from "../../../src/protocol/exchange/StoredName.ts"
import * as TreeManifest from "../../../src/protocol/exchange/TreeManifest.ts"
import * as DataFrame from "../../../src/protocol/wire/DataFrame.ts"
import * as ExchangeRequest from "../../../src/protocol/wire/ExchangeRequest.ts"
import * as FileFrame from "../../../src/protocol/wire/FileFrame.ts"
import * as FileStream from "../../../src/protocol/wire/FileStream.ts"
import * as Arb from "../../support/Arbitraries.ts"
import * as Corpus from "../Corpus.ts"
import * as Fuzzer from "../Fuzzer.ts"
import { assertStable } from "../Oracle.ts"

const REQUESTS: ReadonlyArray<ExchangeRequest.ExchangeRequest> = [
  { op: "list", path: "" },
  { op: "get", path: "report/q4.bin" },
  { op: "tree", id: "0".repeat(32), name: "album", files: [["a/b", 3]], directories: ["a", "c"] },
  { op: "end", id: "0".repeat(32) },
  { op: "entries", entries: [{ name: "a", kind: "file", bytes: 1 }] },
  { op: "manifest", name: "m", files: [["x", 0]], directories: [] },
  { op: "sending", name: "q4.bin", bytes: 5 },
  { op: "hashing", done: 1, of: 2 },
  { op: "refused", reason: "NotFound", detail: "no" }
]

/** A stream of frames, cut where its first byte says. */
const frames = (bytes: Uint8Array): unknown => {
  const splitter = new DataFrame.DataFrameSplitter(LIMIT)
  const cut = (bytes[0] ?? 0) % (bytes.length + 1)
  const read = [bytes.subarray(1, cut), bytes.subarray(Math.max(1, cut))].map((chunk) => splitter.push(chunk))
  for (const { payload } of read.flatMap(({ frames: complete }) => complete))
    if (payload.length > LIMIT) throw new Error("a payload above the limit")
  if (splitter.announcedBytes > LIMIT) throw new Error("announces more than the limit")
  return read
}

/** Every path that comes through leads below its directory. */
const path = (text: string): unknown => {
  const stored = RelativePath.toStored(text)
  const names = [...(RelativePath.parse(text) ?? []), ...(Result.isSuccess(stored) ? stored.success.split("/") : [])]
  if (names.some((name) => name === "" || name === "." || name === ".." || name.includes("\0")))
    throw new Error("a path leads elsewhere")
  return [stored, StoredName.reduce(text)]
}

/** Everything of this file. */
export const targets: ReadonlyArray<Fuzzer.Target> = [
  Fuzzer.decoder({
    name: "wire/DataFrame",
    covers: [DataFrame.DataFrameSplitter],
    samples: () => [
      Bytes.concat(Uint8Array.of(5), DataFrame.encodeText("hello"), DataFrame.encode(9, new Uint8Array(3))),
      ...Corpus.vectorBytes((bytes) => bytes.length > DataFrame.HEADER_BYTES)
    ],
    decode: frames
  }),
  Fuzzer.decoder({
    name: "wire/FileStream",
    covers: [FileStream.decode],
    samples: () => Corpus.generated(Arb.fileStream, FileStream.encode),
    decode: (bytes) => assertStable(FileStream.decode, FileStream.encode, bytes)
  }),
  Fuzzer.decoder({
    name: "wire/FileFrame",
    covers: [FileFrame.decodeFile, FileFrame.decodeTrace, FileFrame.decodeAcknowledgement],
    samples: () => [
      Bytes.concat(FileFrame.encodeFileName("note.txt"), Bytes.fromUtf8("body")),
      FileFrame.encodeTrace({ inner: { kind: 1, payload: Bytes.fromUtf8("x") }, sentAtNanoseconds: 1n }),
      ...Corpus.texts("ACK TEXT 5 bytes", "ACK UNKNOWN(7) 1 bytes", "ERR FILE save failed: full")
    ],
    decode: (bytes) => [
      FileFrame.decodeFile(bytes),
      FileFrame.decodeTrace(bytes),
      FileFrame.decodeAcknowledgement(Bytes.toUtf8Lossy(bytes))
    ]
  }),
  Fuzzer.decoder({
    name: "wire/ExchangeRequest",
    covers: [ExchangeRequest.decode],
    samples: () => REQUESTS.map(ExchangeRequest.encode),
    decode: (bytes) => {
      const decoded = assertStable(ExchangeRequest.decode, ExchangeRequest.encode, bytes)
      if (Result.isSuccess(decoded) && decoded.success.op === "tree") TreeManifest.make(decoded.success)
      return decoded
    }
  }),
  Fuzzer.decoder({
    name: "exchange/names",
    covers: [RelativePath.parse],
    samples: () => Corpus.texts("a/b.txt", "../../etc", "con.txt", "x\\y", `${"ä".repeat(300)}.jpeg`),
    decode: (bytes) => path(Bytes.toUtf8Lossy(bytes))
  }),
  Fuzzer.decoder({
    name: "exchange/InboxRecord",
    covers: [InboxRecord.decode],
    samples: () =>
      Corpus.generated(Arbitrary.all({ kind: Arb.integer(1, 3), payload: Arb.bytes(20) }), ({ kind, payload }) =>
        Bytes.fromUtf8(
          InboxRecord.encode({ kind, payload, from: "0:0000.0000.0001", receivedAt: "2026-11-20T17:46:01Z" })
        )
      ),
    decode: (bytes) => InboxRecord.decode(Bytes.toUtf8Lossy(bytes))
  })
]

const LIMIT = 4096
