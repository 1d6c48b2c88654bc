import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Result } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as DataFrame from "../../../src/protocol/wire/DataFrame.ts"
import * as ExchangeRequest from "../../../src/protocol/wire/ExchangeRequest.ts"
import * as FileFrame from "../../../src/protocol/wire/FileFrame.ts"
import * as FileStream from "../../../src/protocol/wire/FileStream.ts"
import * as Arb from "../../support/Arbitraries.ts"
import { failure, hex, success } from "../../support/Vectors.ts"
import node from "../../vectors/node.json" with { type: "json" }

const split = (bytes: Uint8Array, cuts: ReadonlyArray<number>, limit?: number) => {
  const splitter = new DataFrame.DataFrameSplitter(limit)
  const frames: Array<DataFrame.DataFrame> = []
  let exceeded: unknown
  const borders = [0, ...[...cuts].map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length]
  for (const [index, end] of borders.slice(1).entries()) {
    const pushed = splitter.push(bytes.subarray(borders[index], end))
    frames.push(...pushed.frames)
    exceeded ??= pushed.exceeded
  }
  return { frames, exceeded, splitter }
}

describe("DataFrame", () => {
  for (const vector of node.data_exchange.frames)
    it(`reads and writes the vector ${vector.name} (node §4.1)`, () => {
      const { frames } = split(hex(vector.hex), [3, 9])
      const content = Bytes.fromUtf8(vector.payload_utf8)

      assert.strictEqual(frames.length, 1)
      assert.strictEqual(frames[0]!.kind, vector.type)
      assert.strictEqual(DataFrame.nameOf(vector.type), vector.type_name)
      if (vector.type !== DataFrame.Kind.File) {
        assert.deepStrictEqual(Bytes.copy(frames[0]!.payload), content)
        assert.strictEqual(Bytes.toHex(DataFrame.encode(vector.type, content)), vector.hex)
        return
      }
      const file = FileFrame.decodeFile(frames[0]!.payload)
      assert.strictEqual(file.name, vector.filename)
      assert.deepStrictEqual(Bytes.copy(file.content), content)
      const written = DataFrame.encode(vector.type, FileFrame.encodeFileName(vector.filename), content)
      assert.strictEqual(Bytes.toHex(written), vector.hex)
    })

  it.prop(
    "gives back the frames of a stream, however it is cut",
    {
      frames: Arbitrary.array(Arbitrary.all({ kind: Arb.unsigned(32), payload: Arb.bytes(40) }), { maxLength: 5 }),
      cuts: Arbitrary.array(Arb.integer(0, 200), { maxLength: 8 })
    },
    ({ cuts, frames }) => {
      const bytes = Bytes.concat(...frames.map(({ kind, payload }) => DataFrame.encode(kind, payload)))
      const read = split(bytes, cuts)

      assert.deepStrictEqual(
        read.frames.map(({ kind, payload }) => ({ kind, payload: Bytes.copy(payload) })),
        [...frames]
      )
      assert.isFalse(read.splitter.isInside)
    }
  )

  it("refuses a length above the limit before any of it has come (node §4.1)", () => {
    const { exceeded, frames, splitter } = split(
      Bytes.concat(DataFrame.encodeText("first"), hex("00000001ffffffff")),
      []
    )

    assert.strictEqual(frames.length, 1)
    assert.deepStrictEqual(exceeded, { _tag: "LimitExceeded", limit: 16_777_216, actual: 0xffffffff })
    assert.strictEqual(splitter.announcedBytes, 0)
    assert.deepStrictEqual(splitter.push(new Uint8Array(100)).frames, [])
  })
})

describe("FileFrame", () => {
  it("takes a payload with a broken name for a file without one (node §4.1)", () => {
    for (const payload of ["", "00", "ffff78", "000461"]) {
      const { content, name } = FileFrame.decodeFile(hex(payload))
      assert.strictEqual(name, "")
      assert.strictEqual(content.length, payload.length / 2)
    }
  })

  it("says what was stored and what was not in the reference's words (node §4.2)", () => {
    assert.strictEqual(FileFrame.acknowledged(1, 5), "ACK TEXT 5 bytes")
    assert.strictEqual(FileFrame.acknowledged(9, 1), "ACK UNKNOWN(9) 1 bytes")
    assert.strictEqual(FileFrame.refused(4, "no space"), "ERR FILE save failed: no space")
    assert.deepStrictEqual(FileFrame.decodeAcknowledgement("ACK UNKNOWN(7) 100 bytes"), { _tag: "Unknown", kind: 7 })
    assert.deepStrictEqual(FileFrame.decodeAcknowledgement("ERR TEXT save failed: full"), {
      _tag: "Failed",
      reason: "full"
    })
    assert.deepStrictEqual(FileFrame.decodeAcknowledgement("ACK TEXT 5 bytes"), { _tag: "Stored" })
  })

  it("keeps the nanoseconds of a trace, which no number holds", () => {
    const sentAtNanoseconds = 1_795_196_962_123_456_789n
    const trace = { inner: { kind: 1, payload: Bytes.fromUtf8("x") }, sentAtNanoseconds }

    assert.deepStrictEqual(success(FileFrame.decodeTrace(FileFrame.encodeTrace(trace))), trace)
    const text = FileFrame.traceAnswer({ sentAt: sentAtNanoseconds, receivedAt: 2n, storedAt: 3n, innerAck: "ACK" })
    assert.include(text, '"sent_at_ns":1795196962123456789,')
    assert.strictEqual(
      failure(FileFrame.decodeTrace(FileFrame.encodeTrace({ ...trace, inner: { kind: 5, payload: Bytes.empty } })))
        ._tag,
      "Malformed"
    )
  })
})

describe("FileStream", () => {
  it.prop("decodes what it encodes (node §4.4)", { message: Arb.fileStream }, ({ message }) => {
    assert.deepStrictEqual(success(FileStream.decode(FileStream.encode(message))), message)
  })

  it.prop("a chunk's head and bytes are the chunk", { id: Arb.bytesOf(16), bytes: Arb.bytes(20) }, ({ bytes, id }) => {
    const message = FileStream.FileStream.Chunk({ id, offset: 7, bytes })
    assert.deepStrictEqual(Bytes.concat(FileStream.encodeChunkHead(id, 7), bytes), FileStream.encode(message))
  })

  it("refuses sizes and offsets that no number holds", () => {
    const id = "00".repeat(16)
    for (const payload of [
      `01${id}ffffffffffffffff${"00".repeat(38)}`,
      `02${id}0020000000000000`,
      `03${id}ffffffffffffffff`
    ])
      assert.strictEqual(failure(FileStream.decode(hex(payload)))._tag, "Malformed")
    assert.strictEqual(failure(FileStream.decode(hex(`09${id}`)))._tag, "UnknownType")
    assert.strictEqual(failure(FileStream.decode(hex("01")))._tag, "Truncated")
  })
})

describe("ExchangeRequest", () => {
  it("reads what it writes", () => {
    const tree: ExchangeRequest.ExchangeRequest = {
      op: "tree",
      id: "00",
      name: "photos",
      files: [["a/b.jpg", 12]],
      directories: ["a", "empty"]
    }
    for (const request of [
      tree,
      { op: "list", path: "" } as const,
      { op: "refused", reason: "NotFound", detail: "no" } as const
    ])
      assert.deepStrictEqual(success(ExchangeRequest.decode(ExchangeRequest.encode(request))), request)
  })

  it("refuses what is too long, no JSON, or no request", () => {
    assert.strictEqual(failure(ExchangeRequest.decode(new Uint8Array(4_194_305)))._tag, "LimitExceeded")
    for (const text of [
      "",
      "{",
      "[]",
      '{"op":"rm"}',
      '{"op":"get"}',
      '{"op":"get","path":7}',
      `{"op":"tree","id":"0","name":"n","files":[["a",-1]],"directories":[]}`
    ])
      assert.isTrue(Result.isFailure(ExchangeRequest.decode(Bytes.fromUtf8(text))), text)
  })
})
