import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import { Envelope } from "../../../src/protocol/relay/JsonRpcPeek.ts"
import { Line, LineSplitter } from "../../../src/protocol/relay/LineSplitter.ts"

const splitAll = (bytes: Uint8Array, pieceBytes: number, lineBytesMax = 1000): ReadonlyArray<Line> => {
  const splitter = new LineSplitter(lineBytesMax)
  const lines: Array<Line> = []
  for (let at = 0; at < bytes.length; at += pieceBytes) lines.push(...splitter.push(bytes.slice(at, at + pieceBytes)))
  const last = splitter.finish()
  return last === undefined ? lines : [...lines, last]
}

const texts = (lines: ReadonlyArray<Line>): ReadonlyArray<string | undefined> =>
  lines.map((line) => (line._tag === "Whole" ? Bytes.toUtf8(line.bytes) : undefined))

const Piece = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 9 }))

describe("LineSplitter", () => {
  it.prop(
    "lines come whole from any pieces, characters split between chunks included (mcp §2.1)",
    {
      lines: Schema.Array(Schema.Literals(["{}", "𝄞é\u2028x", "a\rb", " {}", "x".repeat(40)])),
      end: Schema.Literals(["\n", "\r\n"]),
      pieceBytes: Piece
    },
    ({ end, lines, pieceBytes }) => {
      const bytes = Bytes.fromUtf8(lines.map((line) => line + end).join(""))

      assert.deepStrictEqual(texts(splitAll(bytes, pieceBytes)), lines)
    }
  )

  it("blank lines are ignored and a last line needs no newline (mcp §2.1)", () => {
    assert.deepStrictEqual(texts(splitAll(Bytes.fromUtf8("\n\r\n  \t\n{}\n\n[]"), 2)), ["{}", "[]"])
  })

  const oversized = (text: string, pieceBytes: number) =>
    splitAll(Bytes.fromUtf8(`${text}\n{"id":1}\n`), pieceBytes, 64)

  it.prop(
    "a line over the bound tells whose it is, and the next one is whole",
    { pieceBytes: Piece },
    ({ pieceBytes }) => {
      const long = "x".repeat(2000)
      const response = `{"result":{"content":[{"text":"${long}\\"}{","id":5}]},"jsonrpc":"2.0","id":"a\\u0062"}`
      const request = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"m":"${long}"}}}`

      assert.deepStrictEqual(oversized(response, pieceBytes), [
        Line.Oversized({
          sizeBytes: response.length,
          envelope: Envelope.Response({ id: '"a\\u0062"', isError: false })
        }),
        Line.Whole({ bytes: Bytes.fromUtf8('{"id":1}') })
      ])
      assert.deepStrictEqual(oversized(request, pieceBytes)[0], {
        _tag: "Oversized",
        sizeBytes: request.length,
        envelope: Envelope.Request({ id: "7", method: "tools/call", target: undefined, progressToken: undefined })
      })
    }
  )

  it("a member with a long name hides nobody's answer", () => {
    const [line] = oversized(`{"${"n".repeat(5000)}":1,"jsonrpc":"2.0","result":{},"id":9}`, 1000)

    assert.deepStrictEqual(line?._tag === "Oversized" && line.envelope, Envelope.Response({ id: "9", isError: false }))
  })

  it("an over-long line that is no object, or never closes, belongs to nobody", () => {
    for (const text of [
      "x".repeat(100),
      `[${"1,".repeat(100)}1]`,
      `{"id":${"[".repeat(100)}`,
      `{"${"k".repeat(20_000)}":1}`
    ]) {
      const [line] = oversized(text, 1000)
      assert.isTrue(
        line?._tag === "Oversized" && (line.envelope === undefined || line.envelope._tag === "Other"),
        text.slice(0, 20)
      )
    }
  })
})
